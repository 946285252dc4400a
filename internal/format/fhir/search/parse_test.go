package search

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ward/internal/base/fault"
)

func TestParse_ResultParameters(t *testing.T) {
	t.Parallel()
	q, err := query(t, "Observation?_sort=status,-date,_id,-_lastUpdated&_count=50&_total=accurate&_summary=data&_elements=code,value,valueQuantity&_format=json&_pretty=true&_contained=false&_cursor=abc")
	if err != nil {
		t.Fatal(err)
	}
	var sorts []string
	for _, k := range q.Sort {
		sorts = append(sorts, fmt.Sprintf("%s %v %v", k.Code, k.Desc, k.Param != nil))
	}
	if want := []string{"status false true", "date true true", "_id false false", "_lastUpdated true false"}; !slices.Equal(sorts, want) {
		t.Errorf("sorted by %v, want %v", sorts, want)
	}
	if q.Count != 50 || !q.HasCount || q.Total != TotalAccurate || q.Summary != "data" || len(q.Elements) != 3 || q.Format != "json" || !q.Pretty || q.Cursor != "abc" {
		t.Errorf("%+v", q)
	}
	if strings.Contains(q.Canonical, "_cursor") {
		t.Errorf("the cursor is in the canonical form %s", q.Canonical)
	}
	for _, c := range []struct {
		query string
		count int
		has   bool
	}{
		{"Patient?", 20, false}, {"Patient?_count=0", 0, true}, {"Patient?_count=1000000000", 1000, true}, {"Patient?_count=99999999999999999999999", 1000, true},
	} {
		name, _ := strings.CutSuffix(c.query, "?")
		q, err := query(t, c.query)
		if name == "Patient" {
			q, err = Parse(Standard(), "Patient", nil, Options{})
		}
		if err != nil || q.Count != c.count || q.HasCount != c.has {
			t.Errorf("%s: %v %+v", c.query, err, q)
		}
	}
}

func TestParse_CanonicalFormIsOneForEqualQueries(t *testing.T) {
	t.Parallel()
	a, err := query(t, "Patient?name=Eve&birthdate=ge2000&_count=10")
	if err != nil {
		t.Fatal(err)
	}
	b, err := query(t, "Patient?_count=10&_cursor=x&birthdate=ge2000&name=Eve")
	if err != nil {
		t.Fatal(err)
	}
	if want := "_count=10&birthdate=ge2000&name=Eve"; a.Canonical != want || b.Canonical != want {
		t.Errorf("%q and %q, want %q", a.Canonical, b.Canonical, want)
	}
}

// describeClause writes a clause as the store has to understand it.
func describeClause(c *Clause) string {
	var b strings.Builder
	switch c.Kind {
	case KindHas:
		fmt.Fprintf(&b, "has(%s.%s: %s)", c.Has.Type, c.Has.Param.Code, describeClause(c.Has.Clause))
	case KindChain:
		fmt.Fprintf(&b, "%s→", c.Code)
		for i, l := range c.Chain {
			if i > 0 {
				b.WriteString(" or ")
			}
			fmt.Fprintf(&b, "%s(%s)", l.Target, describeClause(l.Clause))
		}
	case KindID, KindList:
		fmt.Fprintf(&b, "%s in %s", c.Code, strings.Join(c.IDs, ","))
	case KindValue, KindUpdated:
		b.WriteString(c.Code)
		for _, v := range c.Values {
			b.WriteString("=" + v.Text)
		}
	}
	return b.String()
}

func TestChaining_AndReverseChaining(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]string{
		"DiagnosticReport?subject.name=peter":                                          "subject→Location(name=peter) or Patient(name=peter)",
		"DiagnosticReport?subject:Patient.name=peter":                                  "subject→Patient(name=peter)",
		"Patient?general-practitioner.name=Joe":                                        "general-practitioner→Organization(name=Joe) or Practitioner(name=Joe)",
		"Patient?general-practitioner:Organization.name=Joe":                           "general-practitioner→Organization(name=Joe)",
		"Observation?patient.organization.partof.name=x":                               "patient→Patient(organization→Organization(partof→Organization(name=x)))",
		"Patient?_has:Observation:patient:code=1234-5":                                 "has(Observation.patient: code=1234-5)",
		"Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/1": "has(Observation.patient: has(AuditEvent.entity: agent=Practitioner/1))",
		"Encounter?patient._has:Group:member:_id=102":                                  "patient→Patient(has(Group.member: _id in 102))",
		"Patient?_has:Group:member:_id=102,103":                                        "has(Group.member: _id in 102,103)",
		"DiagnosticReport?result.code-value-quantity=http://loinc.org|2823-3$gt5.4":    "result→Observation(code-value-quantity=http://loinc.org|2823-3$gt5.4)",
		"Observation?patient.identifier=http://a|1,2":                                  "patient→Patient(identifier=http://a|1=2)",
		"Patient?_has:Observation:patient:encounter.status=finished":                   "has(Observation.patient: encounter→Encounter(status=finished))",
		"Patient?_id=a,b":  "_id in a,b",
		"Patient?_list=42": "_list in 42",
		"AuditEvent?agent:Practitioner.identifier=x":                                        "agent→Practitioner(identifier=x)",
		"Observation?subject:Patient.general-practitioner:Practitioner.name:contains=house": "subject→Patient(general-practitioner→Practitioner(name=house))",
	} {
		parsed, err := query(t, q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		got := describeClause(parsed.Clauses[0])
		if got != want {
			t.Errorf("%s: got %s, want %s", q, got, want)
		}
	}
}

func TestChaining_IsBounded(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return "Organization?" + strings.Repeat("partof.", n) + "name=x" }
	if _, err := query(t, deep(maxDepth)); err != nil {
		t.Error(err)
	}
	for _, q := range []string{
		deep(maxDepth + 1), deep(50), deep(100_000), "Patient?" + strings.Repeat("_has:Patient:link:", 50) + "name=x",
	} {
		start := time.Now()
		_, err := query(t, q)
		if !fault.Is(err, fault.CodeTooCostly) {
			t.Errorf("%.40s…: %v", q, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%.40s… took %v", q, took)
		}
	}
	// every link may go to every type, and each of those on to every type
	_, err := query(t, "Basic?"+strings.Repeat("subject.", 9)+"_id=x")
	if err != nil && !fault.Is(err, fault.CodeTooCostly) {
		t.Error(err)
	}
}

func TestParse_Includes(t *testing.T) {
	t.Parallel()
	q, err := query(t, "MedicationRequest?_include=MedicationRequest:patient&_include:iterate=Patient:general-practitioner:Organization&_include=*&_revinclude=Provenance:target&_include=MedicationRequest:*")
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Include) != 4 || len(q.RevInclude) != 1 {
		t.Fatalf("%+v", q)
	}
	if i := q.Include[1]; i.SourceType != "Patient" || i.Param.Code != "general-practitioner" || i.Target != "Organization" || !i.Iterate {
		t.Errorf("%+v", i)
	}
	if i := q.Include[2]; i.SourceType != "" || i.Code != "*" || i.Param != nil {
		t.Errorf("%+v", i)
	}
	if i := q.RevInclude[0]; i.SourceType != "Provenance" || i.Code != "target" {
		t.Errorf("%+v", i)
	}
}

func TestParse_LastUpdated(t *testing.T) {
	t.Parallel()
	at := time.Date(2013, 1, 14, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]bool{
		"2013-01-14": true, "2013-01-15": false, "ge2013-01-14": true, "gt2013-01-14": false, "lt2013-01-14T10:00:00Z": false, "le2013-01-14T10:00:00Z": true, "ne2013-01-14": false,
		"2012,2013": true, "sa2013-01-13": true, "eb2013-01-15": true, "gt2013-01-14T09:59:59Z": true,
	} {
		q, err := query(t, "Patient?_lastUpdated="+value)
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if c := q.Clauses[0]; c.Kind != KindUpdated || c.MatchUpdated(at) != want {
			t.Errorf("_lastUpdated=%s: got %v, want %v (%v)", value, !want, want, c.Spans)
		}
	}
}

func TestParse_SeveralTypes(t *testing.T) {
	t.Parallel()
	q, err := Parse(Standard(), "", []Pair{{"_type", "Observation,Condition"}, {"code", "x"}, {"_sort", "code"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c := q.Clauses[0]; !slices.Equal(q.Types, []string{"Condition", "Observation"}) || c.ParamFor("Observation") == nil || c.ParamFor("Condition") == nil {
		t.Errorf("%+v", q)
	}
	if _, err = Parse(Standard(), "", []Pair{{"_lastUpdated", "2013"}, {"_profile", "http://a"}}, Options{}); err != nil {
		t.Error(err)
	}
	if _, err = Parse(Standard(), "", []Pair{{"_type", "Observation,Patient"}, {"code", "x"}}, Options{}); err == nil || !strings.Contains(err.Error(), "Patient has no search parameter") {
		t.Error(err)
	}
	if _, err = Parse(Standard(), "", []Pair{{"code", "x"}}, Options{}); err == nil || !strings.Contains(err.Error(), "a search on all types has no search parameter") {
		t.Error(err)
	}
}

func TestParse_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]string{
		"Patient?foo=1":                                        `Patient has no search parameter "foo"; it supports _has, _id, _lastUpdated, _list, _profile, _security, _source, _tag, active, address`,
		"Patient?name:exakt=1":                                 "the modifier :exakt is not supported by name, a string parameter; it supports :missing, :exact, :contains",
		"Patient?gender:exact=male":                            "it supports :missing, :text, :not, :in, :not-in, :below, :above",
		"Patient?birthdate:exact=2000":                         "it supports :missing",
		"Patient?birthdate=yesterday":                          "a date is written 2013",
		"Patient?birthdate=2013-13-01":                         "a date is written 2013",
		"Patient?birthdate=xx2013":                             "with one of eq, ne, gt, lt, ge, le, sa, eb, ap before it",
		"Observation?value-quantity=high":                      "a number is written 100",
		"Observation?value-quantity=5|mg":                      "a quantity is written number, number||unit or number|system|code",
		"Observation?code=a|b|c":                               "a token is written code, system|code, |code or system|",
		"Observation?code=|":                                   "a token has a code or a system",
		`Observation?code=xx\xx`:                               "a backslash stands only before",
		`Observation?code=x\`:                                  "a backslash stands only before",
		"Observation?code=":                                    "it has no value",
		"Observation?code=a,,b":                                "a value between commas is empty",
		"Observation?code-value-quantity=a":                    "a value has 2 parts with $ between them",
		"Observation?code-value-quantity=a$1$2":                "a value has 2 parts",
		"Observation?code-value-quantity=a$":                   "a part of a value is empty",
		"Observation?code-value-quantity:missing=true":         "it supports none",
		"Observation?subject:Medication=1":                     "the modifier :Medication is not supported by subject",
		"Observation?subject:Patient=Group/1":                  "the value refers to a Group, the modifier says Patient",
		"Observation?subject=a b":                              "a reference is written id, Type/id or as an absolute URL",
		"Observation?subject:below=1":                          "hierarchies are not followed",
		"Observation?code.x=1":                                 "only reference parameters can be chained; code is a token parameter",
		"Observation?patient.foo=1":                            `Patient has no search parameter "foo"`,
		"Observation?subject:Medication.code=1":                "subject can't refer to a Medication; it refers to Device, Group, Location, Patient",
		"Patient?_has=1":                                       `no search parameter "_has"`,
		"Patient?_has:Observation=1":                           "_has is written _has:Type:reference:parameter",
		"Patient?_has:Foo:bar:baz=1":                           `"Foo" is no resource type`,
		"Patient?_has:Observation:code:status=final":           "_has needs a reference parameter",
		"Patient?_has:Observation:encounter:status=final":      "encounter of Observation never refers to a Patient",
		"Patient?_include=Patient":                             "it is written Type:parameter",
		"Patient?_include=Patient:name":                        "name of Patient is a string parameter; those of type reference are general-practitioner, link, organization",
		"Patient?_include=Patient:link:Medication":             "link of Patient never refers to a Medication",
		"Patient?_include:foo=Patient:link":                    "it supports :iterate",
		"Patient?_sort=name,-foo":                              `no search parameter "foo"`,
		"Observation?_sort=code-value-quantity":                "nothing can be sorted by code-value-quantity",
		"Patient?_count=-1":                                    "a whole number from 0",
		"Patient?_count=ten":                                   "a whole number from 0",
		"Patient?_count=1&_count=2":                            "it is given twice",
		"Patient?_total=yes":                                   "it is none, estimate or accurate",
		"Patient?_summary=yes":                                 "it is true, text, data, count or false",
		"Patient?_elements=name,foo":                           "a value is no element of Patient",
		"Patient?_id=a/b":                                      "a resource id has 1 to 64 letters",
		"Patient?_type=Observation":                            "a search on one resource type can't ask for another",
		"Patient?gender:in=http://acme.org/vs":                 "the value set is not known here",
		"Observation?code:below=8480-6":                        "it takes the code with its system",
		"Patient?telecom=phone|555":                            `its values have no system, so no "|" is written`,
		"Patient?active=http://a|true":                         `its values have no system`,
		"Patient?identifier:of-type=a|b":                       ":of-type takes system|code|value, all three",
		"Patient?name='":                                       "no letters or digits",
		"Patient?gender:missing=maybe":                         ":missing is true or false",
		"ValueSet?url:below=urn:oid:1.2":                       "apply to URLs, not to URNs",
		"Patient?name=" + strings.Repeat("a,", 1000) + "b":     "more than 1000 values",
		"Patient?name=" + strings.Repeat("a", 5000):            "a value has at most 4096 bytes",
		"Patient?name=" + strings.Repeat("a,", 100_000) + "b":  "a value has at most 65536 bytes",
		"Patient?" + strings.Repeat("name=x&", 300) + "name=x": "a search has at most 200 parameters",
	} {
		_, err := query(t, q)
		if !fault.Is(err, fault.CodeInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s:\n got %v\nwant %s", q, err, want)
		}
	}
}

// TestParse_SpecialParameters lists what is refused of the standard, with what is said.
func TestParse_SpecialParameters(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]string{
		"Location?near=42.2|-71.1|10|km":                        "searching locations by distance (near) is not supported",
		"Patient?_text=bone":                                    "searching the narrative (_text) is not supported",
		"Patient?_content=bone":                                 "searching the whole content (_content) is not supported",
		"Patient?_query=x":                                      "named queries (_query) are not supported",
		"Patient?_filter=name eq x":                             "filter expressions (_filter) are not supported",
		"Patient?_list=$current-allergies":                      "functional lists ($current-…) are not supported",
		"Patient?_contained=both":                               "contained resources are not searched",
		"Patient?_sort=_score":                                  "no score",
		"Condition?code:below=http://snomed.info/sct|126851005": "the hierarchy of this code system is not known here",
	} {
		_, err := query(t, q)
		if !fault.Is(err, fault.CodeNotImplemented) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", q, err, want)
		}
	}
}

func TestParse_ListsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := query(t, "Patient?foo=1&birthdate=x&name=ok&gender:exact=male")
	details := fault.Details(err)
	if len(details) != 3 || !strings.HasPrefix(details[0].Message, "foo: ") || !strings.HasPrefix(details[1].Message, "birthdate: ") || details[2].Kind != "not-supported" {
		t.Errorf("%v %+v", err, details)
	}
	if _, err = query(t, "Patient?birthdate=secret-value"); strings.Contains(fmt.Sprintf("%+v", err), "secret") {
		t.Errorf("the value is in the error: %v", err)
	}
}

func TestParse_LenientIgnoresWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	q, err := Parse(Standard(), "Patient", []Pair{{"foo", "1"}, {"_text", "x"}, {"name", "eve"}, {"gender", ""}}, Options{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Clauses) != 1 || len(q.Ignored) != 3 || q.Canonical != "name=eve" || !strings.HasPrefix(q.Ignored[0], "foo: ") {
		t.Errorf("%+v", q)
	}
	// a modifier that is not supported is never ignored: "Server SHALL reject"
	if _, err := Parse(Standard(), "Patient", []Pair{{"gender:exact", "male"}}, Options{Lenient: true}); !fault.Is(err, fault.CodeInvalid) {
		t.Error(err)
	}
	if _, err := Parse(Standard(), "Patient", []Pair{{"birthdate", "x"}}, Options{Lenient: true}); !fault.Is(err, fault.CodeInvalid) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range [][3]string{
		{"Patient", "name:exact", `a\,b,c`},
		{"Observation", "code-value-quantity", "a|b$gt5|c|d"},
		{"Patient", "_has:Observation:patient:code", "x"},
		{"Observation", "subject:Patient.general-practitioner.name", "x"},
		{"Observation", "date", "ge2013-01-14T10:00:00+02:00"},
		{"", "_type", "Patient,Group"},
		{"Observation", "value-quantity", "ap1e-9|http://unitsofmeasure.org|mg"},
		{"Patient", "_include:iterate", "Patient:link"},
		{"ValueSet", "url:above", "http://a/b"},
		{"Patient", "gender:in", "http://hl7.org/fhir/ValueSet/administrative-gender"},
		{"Patient", "_sort", "-name"},
		{"Measure", "depends-on:below", "http://a|1"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	r := Standard()
	doc := parsed(f, observation)
	f.Fuzz(func(t *testing.T, typ, name, value string) {
		q, err := Parse(r, typ, []Pair{{name, value}}, Options{Lenient: len(name)%2 == 0, Now: noon})
		if err != nil {
			return
		}
		for _, c := range q.Clauses {
			if c.Kind != KindValue {
				continue
			}
			for _, typ := range []string{"Observation", "Patient"} {
				matches := c.Match(doc, typ)
				if typ == "Observation" && c.ParamFor(typ) != nil {
					newIndex(r, doc, typ).check(t, c, name+"="+value, matches)
				}
			}
		}
	})
}

// TestParse_HostileQueriesTakeBoundedTime has a generous limit: each takes milliseconds when the machine is idle.
func TestParse_HostileQueriesTakeBoundedTime(t *testing.T) {
	t.Parallel()
	many := func(n int, p Pair) []Pair { return slices.Repeat([]Pair{p}, n) }
	ids := strings.TrimSuffix(strings.Repeat("a,", maxAlternatives), ",")
	act := "http://terminology.hl7.org/ValueSet/v3-ActCode,"
	for name, c := range map[string]struct {
		typ   string
		pairs []Pair
	}{
		"any type, nine links":    {"Basic", many(1, Pair{strings.Repeat("subject.", 9) + "_id", "x"})},
		"many chains":             {"Basic", many(maxPairs, Pair{"subject.subject._id", "x"})},
		"ids of any type":         {"Provenance", many(maxPairs, Pair{"target", ids})},
		"large value sets":        {"Observation", many(maxPairs, Pair{"code:in", strings.TrimSuffix(strings.Repeat(act, 900), ",")})},
		"many values":             {"Observation", many(maxPairs, Pair{"code", ids})},
		"chains with many values": {"Basic", many(maxPairs, Pair{"subject.name", ids})},
	} {
		start := time.Now()
		q, err := Parse(Standard(), c.typ, c.pairs, Options{})
		if err == nil {
			for _, clause := range q.Clauses {
				clause.Ranges(c.typ)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: %v (%v)", name, took, err)
		} else {
			t.Logf("%s: %v (%.60v)", name, took, err)
		}
	}
}
