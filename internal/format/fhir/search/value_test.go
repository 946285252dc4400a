package search

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

func TestDecimal_ReadsWhatJSONWrites(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "1": "1", "1.50": "3/2", "-1.5e2": "-150", "1E-2": "1/100", "123456789012345678901234567890": "123456789012345678901234567890",
		"0.1234567890123456789": "1234567890123456789/10000000000000000000", "1e18": "1000000000000000000", "0e999": "0",
	} {
		d, _, ok := parseDecimal([]byte(text))
		w, _ := new(big.Rat).SetString(want)
		if !ok || d.rat().Cmp(w) != 0 {
			t.Errorf("%s: %v %v, want %s", text, d.rat(), ok, want)
		}
	}
	for _, text := range []string{"", "-", ".", "1.", "e5", "1e", "1e+", "1 ", " 1", "0x1", "NaN", "Infinity", "1e5000", "1e-5000", "1e99999999999999999999", strings.Repeat("9", 500), "1.2.3", "--1"} {
		if d, _, ok := parseDecimal([]byte(text)); ok {
			t.Errorf("%.20q is read as %v", text, d)
		}
	}
}

func TestDecimal_ComparesExactlyAndFloatsKeepTheOrder(t *testing.T) {
	t.Parallel()
	draw := func(t *rapid.T) (decimal, string) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?(e[+-]?[0-9]{1,2})?`).Draw(t, "number")
		d, _, ok := parseDecimal([]byte(text))
		if !ok {
			t.Fatalf("%s is no number", text)
		}
		return d, text
	}
	rapid.Check(t, func(t *rapid.T) {
		a, at := draw(t)
		b, bt := draw(t)
		x, _ := new(big.Rat).SetString(at)
		y, _ := new(big.Rat).SetString(bt)
		if got, want := a.cmp(b), x.Cmp(y); got != want {
			t.Fatalf("%s and %s: %d, want %d", at, bt, got, want)
		}
		if got := a.cmp(b); got < 0 && a.float() > b.float() || got > 0 && a.float() < b.float() {
			t.Fatalf("%s and %s: floats %v %v", at, bt, a.float(), b.float())
		}
		if got, want := bytes.Compare(appendFloat(nil, a.float()), appendFloat(nil, b.float())), cmpFloat(a.float(), b.float()); got != want {
			t.Fatalf("%s and %s: keys compare %d, want %d", at, bt, got, want)
		}
		if s := a.add(b).rat(); s.Cmp(new(big.Rat).Add(x, y)) != 0 {
			t.Fatalf("%s + %s = %v", at, bt, s)
		}
	})
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Smith": "smith", "  O'Brien-Smith ": "obrien smith", "JOSÉ": "jose", "a\t\n b": "a b", "St. John's": "st johns", "---": "", "": "", "ﬁne": "fine", "１２": "12",
		"Ωmega": "ωmega", "Škoda, s.r.o.": "skoda s r o", "Łódź": "lodz", "Æsir": "aesir", "x²": "x2", "İstanbul": "istanbul",
	} {
		if got := string(fold(nil, []byte(text))); got != want {
			t.Errorf("%q folds to %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		once := fold(nil, []byte(s))
		if twice := fold(nil, once); !bytes.Equal(once, twice) {
			t.Fatalf("%q folds to %q, and that to %q", s, once, twice)
		}
		if bytes.HasPrefix(once, []byte(" ")) || bytes.HasSuffix(once, []byte(" ")) || bytes.Contains(once, []byte("  ")) {
			t.Fatalf("%q folds to %q", s, once)
		}
	})
}

func TestKeys_KeepTheOrderOfDates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if got := bytes.Compare(appendInt(nil, a), appendInt(nil, b)); (got < 0) != (a < b) || (got == 0) != (a == b) {
			t.Fatalf("%d and %d compare %d", a, b, got)
		}
		if intAt(appendInt(nil, a)) != a {
			t.Fatal(a)
		}
	})
}

func TestRefHash_IsStable(t *testing.T) {
	t.Parallel()
	// the beginning of SHA-256 of "Patient/1"; stored in databases, so it must never change
	if got, want := RefHash("Patient/1"), uint64(0x2b9a94ee8825269b); got != want {
		t.Errorf("RefHash is %#x, want %#x", got, want)
	}
	if got, want := CodeHash("8480-6"), CodeHash("8480-6"); got != want || CodeHash("A1") != CodeHash("a1") || CodeHash("a1") == CodeHash("a2") {
		t.Error("CodeHash")
	}
}

func TestSort(t *testing.T) {
	t.Parallel()
	r := Standard()
	// from the smallest to the largest, by the values that come first in ascending order
	for _, c := range []struct {
		typ, code string
		resources []string
	}{
		{"Patient", "family", []string{`{"name":[{"family":"adams"}]}`, `{"name":[{"family":"Ådams"},{"family":"Zorro"}]}`, `{"name":[{"family":"Baker"}]}`, `{"name":[{"family":"Baker-Smith"}]}`}},
		{"Observation", "date", []string{`{"effectiveDateTime":"1960"}`, `{"effectiveDateTime":"2013-01-14T10:00:00Z"}`, `{"effectivePeriod":{"start":"2013-01-14T10:00:01Z"}}`}},
		{"RiskAssessment", "probability", []string{`{"prediction":[{"probabilityDecimal":-5}]}`, `{"prediction":[{"probabilityDecimal":0.5}]}`, `{"prediction":[{"probabilityDecimal":10}]}`}},
		{"Observation", "code", []string{`{"code":{"coding":[{"code":"A"}]}}`, `{"code":{"coding":[{"code":"b"}]}}`}},
		{"Observation", "subject", []string{`{"subject":{"reference":"Group/1"}}`, `{"subject":{"reference":"Patient/1"}}`}},
		{"ValueSet", "url", []string{`{"url":"http://a"}`, `{"url":"http://b"}`}},
	} {
		p := r.Param(c.typ, c.code)
		var keys [][]byte
		for _, json := range c.resources {
			key, ok := p.SortValue(parsed(t, json), c.typ, false)
			if !ok {
				t.Errorf("%s: %s has no value to sort by", c.code, json)
			}
			keys = append(keys, key)
		}
		if !slices.IsSortedFunc(keys, bytes.Compare) {
			t.Errorf("%s: %x", c.code, keys)
		}
		if _, ok := p.SortValue(parsed(t, `{}`), c.typ, true); ok {
			t.Errorf("%s: nothing has a value", c.code)
		}
	}
	// of several values the one that comes first in the order asked for
	doc := parsed(t, `{"name":[{"family":"Adams"},{"family":"Zorro"}]}`)
	p := r.Param("Patient", "family")
	if key, _ := p.SortValue(doc, "Patient", false); string(key) != "adams" {
		t.Errorf("ascending by %q", key)
	}
	if key, _ := p.SortValue(doc, "Patient", true); string(key) != "zorro" {
		t.Errorf("descending by %q", key)
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	r := Standard().At("http://example.org/fhir")
	doc := parsed(t, observation)
	e := r.Chart(doc, "Observation")
	if !slices.Equal(e.Patients, []uint64{RefHash("Patient/4b2a1c9e-1d1f-4a7d-8c2b-0f9e8d7c6b5a")}) {
		t.Errorf("patients %x", e.Patients)
	}
	if !slices.Equal(e.Codes, []uint64{CodeHash("85354-9"), CodeHash("75367002")}) {
		t.Errorf("codes %x", e.Codes)
	}
	if want := int64(1358177025_000_000); e.At != want { // 2013-01-14T15:23:45Z
		t.Errorf("at %d, want %d", e.At, want)
	}
	for _, p := range r.Postings(nil, doc, "Observation") {
		if p.Atom == r.Param("Observation", "patient").Atoms("Observation")[0].ID {
			t.Error("the patient is in the postings too")
		}
	}
	for _, c := range []struct {
		typ, json string
		patients  []uint64
		at        int64
	}{
		{"Observation", `{"subject":{"reference":"Group/1"}}`, nil, math.MinInt64},
		{"Observation", `{"subject":{"reference":"http://example.org/fhir/Patient/1"}}`, []uint64{RefHash("Patient/1")}, math.MinInt64},
		{"Observation", `{"subject":{"reference":"http://other.org/fhir/Patient/1"}}`, nil, math.MinInt64},
		{"Observation", `{"effectivePeriod":{"end":"2013"}}`, nil, math.MinInt64},
		{"AuditEvent", `{"agent":[{"who":{"reference":"Patient/1"}}],"entity":[{"what":{"reference":"Patient/2"}},{"what":{"reference":"Patient/1"}}]}`, []uint64{RefHash("Patient/1"), RefHash("Patient/2")}, math.MinInt64},
		{"Patient", `{"id":"7","birthDate":"2000"}`, []uint64{RefHash("Patient/7")}, math.MinInt64},
		{"Encounter", `{"subject":{"reference":"Patient/1"},"period":{"start":"1970-01-02"}}`, []uint64{RefHash("Patient/1")}, day},
		{"Organization", `{"name":"x"}`, nil, math.MinInt64},
	} {
		e := r.Chart(parsed(t, c.json), c.typ)
		if !slices.Equal(e.Patients, c.patients) || e.At != c.at {
			t.Errorf("%s %s: %x at %d", c.typ, c.json, e.Patients, e.At)
		}
	}
	for typ, want := range map[string][3]string{
		"Observation": {"patient", "code", "date"}, "Condition": {"patient", "code", "recorded-date"}, "Encounter": {"patient", "type", "date"}, "Immunization": {"patient", "vaccine-code", "date"},
		"MedicationRequest": {"patient", "code", "authoredon"}, "Procedure": {"patient", "code", "date"}, "DiagnosticReport": {"patient", "code", "date"}, "Claim": {"patient", "", "created"},
		"DocumentReference": {"patient", "type", "date"}, "AllergyIntolerance": {"patient", "code", "date"}, "CarePlan": {"patient", "category", "date"}, "Goal": {"patient", "category", "start-date"},
		"ImagingStudy": {"patient", "", "started"}, "ExplanationOfBenefit": {"patient", "", "created"}, "Patient": {"", "", ""}, "Organization": {"", "", ""}, "Appointment": {"patient", "service-type", "date"},
	} {
		var got [3]string
		for i, p := range paramsOf(r.ChartParams(typ)) {
			if p != nil {
				got[i] = p.Code
			}
		}
		if got != want {
			t.Errorf("%s: %v, want %v", typ, got, want)
		}
	}
}

func paramsOf(patient, code, date *Param) []*Param { return []*Param{patient, code, date} }

func TestReferences_AllOfAResource(t *testing.T) {
	t.Parallel()
	doc := parsed(t, `{"resourceType":"Observation","subject":{"reference":"Patient/1","identifier":{"assigner":{"reference":"Organization/2"}}},"performer":[{"reference":"urn:uuid:0190b0a2-7f2a-7c3e-9f6d-1a2b3c4d5e6f"},{"display":"x"}],`+
		`"contained":[{"resourceType":"Patient","managingOrganization":{"reference":"Organization/1"}}],"extension":[{"url":"http://a","valueReference":{"reference":"#p"}}],"_status":{"extension":[{"url":"http://b","valueReference":{"reference":"Device/1"}}]},`+
		`"text":{"div":"Patient/9"},"note":[{"authorReference":{"reference":"http://x/fhir/Practitioner/1"}}]}`)
	var got []string
	References(doc, "Observation", func(n jsontape.Node, ref fhir.Ref) {
		got = append(got, doc.Text(n))
		if ref.Kind == fhir.NoReference {
			t.Errorf("%s is no reference", doc.Text(n))
		}
	})
	want := []string{"Patient/1", "Organization/2", "urn:uuid:0190b0a2-7f2a-7c3e-9f6d-1a2b3c4d5e6f", "Organization/1", "#p", "Device/1", "http://x/fhir/Practitioner/1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = nil
	r := Standard().At("http://x/fhir/")
	r.References(r.Param("Observation", "performer"), doc, "Observation", func(ref string) { got = append(got, ref) })
	r.Param("Observation", "subject").References(doc, "Observation", func(ref string) { got = append(got, ref) })
	if want := []string{"urn:uuid:0190b0a2-7f2a-7c3e-9f6d-1a2b3c4d5e6f", "Patient/1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIndex_AllocatesOnlyTheChart(t *testing.T) { //nolint:paralleltest // counts allocations
	r, doc := Standard(), parsed(t, observation)
	var arena Arena
	var dst []Posting
	if n := testing.AllocsPerRun(100, func() {
		arena.Reset()
		dst, _ = r.Index(&arena, dst[:0], doc, "Observation")
	}); n > 3 {
		t.Errorf("%v allocations", n)
	}
	if !slices.IsSortedFunc(dst, comparePostings) {
		t.Error("the postings are not sorted")
	}
}
