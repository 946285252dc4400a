package records

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/format/fhir/search"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
)

// pureService has what needs no database.
func pureService() *Service {
	return &Service{definitions: spec.R4(), validator: validate.New(spec.R4()), standard: search.Standard()}
}

func FuzzReadTarget(f *testing.F) {
	for _, seed := range []string{
		"Patient/1", "/Patient/1/_history/2", "Patient?name=x", "Patient/_search", "Patient/1/$everything?x", "Patient/1/*", "_history", "$meta",
		testBase + "/Patient/1", "https://example.com/t/test/fhir/Patient", "http://elsewhere.org/Patient/1", "", "?", "%zz", "Patient/%2e%2e", "metadata",
	} {
		f.Add(seed)
	}
	s := pureService()
	f.Fuzz(func(t *testing.T, ref string) {
		got, err := s.readTarget(ref, testBase)
		if err != nil {
			if code := fault.CodeOf(err); code != fault.CodeInvalid && code != fault.CodeNotFound {
				t.Fatalf("%q: %v", ref, err)
			}
			return
		}
		if got.typ != "" && !s.definitions.IsResource(got.typ) || got.id != "" && !id.Valid(got.id) {
			t.Fatalf("%q: %+v", ref, got)
		}
	})
}

func FuzzReadBundle(f *testing.F) {
	f.Add(bundleOfType("transaction", entryOf(urn1, "POST", "Patient", patient(`"link":[{"type":"refer","other":{"reference":"`+urn1+`"}}]`))))
	f.Add(bundleOfType("batch", entryOf("", "GET", "Patient?_id=1", ""), `{}`, `1`))
	f.Add(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","text":{"div":"<a href='x'>"}},"request":{"method":"PUT","url":"Patient/1"}}]}`)
	s := pureService()
	f.Fuzz(func(t *testing.T, body string) {
		b, err := s.readBundle([]byte(body))
		if err != nil {
			return
		}
		tx := &transaction{s: s, bundle: b, base: testBase}
		if tx.plan() != nil {
			return
		}
		l := links{byURL: map[string]identity{}, byCriteria: map[string]string{}}
		for i := range tx.steps {
			if e := tx.steps[i].entry; e.fullURL != "" {
				l.byURL[e.fullURL] = identity{typ: "Patient", id: "new"}
			}
		}
		for i := range tx.steps {
			e := tx.steps[i].entry
			if e.node == jsontape.Invalid {
				continue
			}
			json, _ := s.relink(b.doc, e, &l)
			var doc jsontape.Doc
			if err := doc.Parse(json); err != nil {
				t.Fatalf("relinked to what is no JSON: %v\n%s", err, json)
			}
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{`W/"1"`, `"1"`, `*`, `W/"`, `return=minimal; x, handling=lenient`, `W/"1", W/"2"`} {
		f.Add(seed)
	}
	v := &Version{Number: 1, Seq: 1 << 40}
	f.Fuzz(func(t *testing.T, value string) {
		n, err := readIfMatch(value)
		if err == nil && n == 0 && strings.TrimSpace(value) != "" {
			t.Fatalf("%q asks for nothing", value)
		}
		_ = readPreference(http.Header{"Prefer": {value}})
		_ = notModified(http.Header{"If-None-Match": {value}}, v)
		_ = notModified(http.Header{"If-Modified-Since": {value}}, v)
	})
}

func FuzzHistoryParameters(f *testing.F) {
	f.Add("_since=2020-01-01T00:00:00Z&_count=2")
	f.Add("_at=2020&_count=99999999999999999999")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		var h historyQuery
		if err := h.read(values); err == nil && (h.count < 0 || h.count > maxCount) {
			t.Fatalf("%q: count %d", query, h.count)
		}
		_ = seqBound(h.since)
		_ = seqBound(h.until)
	})
}

func TestReadPreference(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		headers []string
		want    preference
	}{
		{nil, preference{}},
		{[]string{"return=minimal"}, preference{returns: returnMinimal}},
		{[]string{"RETURN=Minimal"}, preference{returns: returnMinimal}},
		{[]string{`return="OperationOutcome"`}, preference{returns: returnOutcome}},
		{[]string{"handling=lenient, return=minimal; foo=bar"}, preference{returns: returnMinimal, lenient: true}},
		{[]string{"handling=strict", "return=minimal"}, preference{returns: returnMinimal}},
		{[]string{"return=minimal, return=representation"}, preference{returns: returnMinimal}},
		{[]string{"wait=10, respond-async"}, preference{}},
	} {
		if got := readPreference(http.Header{"Prefer": row.headers}); got != row.want {
			t.Errorf("%q: %+v, want %+v", row.headers, got, row.want)
		}
	}
}
