package search

import (
	"strings"
	"testing"
	"time"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// The tests named after sections of R4's search.html are tables of these: does a resource match a query?
type matching struct {
	resource string // JSON, "resourceType" left out when the query names the type
	query    string // "Type?name=value&name=value", not percent-encoded
	want     bool
}

// noon is when the queries of these tests are asked.
var noon = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

func query(t testing.TB, text string) (*Query, error) {
	t.Helper()
	typ, rest, _ := strings.Cut(text, "?")
	var pairs []Pair
	for part := range strings.SplitSeq(rest, "&") {
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, Pair{name, value})
	}
	return Parse(Standard().At("http://example.org/fhir"), typ, pairs, Options{Now: noon})
}

// run demands that Match says what is wanted, and that the postings agree with it.
func run(t *testing.T, table []matching) {
	t.Helper()
	for _, c := range table {
		q, err := query(t, c.query)
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		typ := q.Types[0]
		doc := new(jsontape.Doc)
		if err := doc.Parse([]byte(c.resource)); err != nil {
			t.Fatalf("%s: %v", c.resource, err)
		}
		got := true
		for _, clause := range q.Clauses {
			matches := clause.Match(doc, typ)
			got = got && matches
			newIndex(clause.registry, doc, typ).check(t, clause, c.query+" on "+c.resource, matches)
		}
		if got != c.want {
			t.Errorf("%s on %s: got %v, want %v", c.query, c.resource, got, c.want)
		}
	}
}

func TestModifiers_Missing(t *testing.T) {
	t.Parallel()
	run(t, []matching{
		{`{}`, "Patient?gender:missing=true", true},
		{`{}`, "Patient?gender:missing=false", false},
		{`{"gender":"male"}`, "Patient?gender:missing=true", false},
		{`{"gender":"male"}`, "Patient?gender:missing=false", true},
		// "or where the element is present with extensions but no @value is specified"
		{`{"_gender":{"extension":[{"url":"http://x","valueCode":"unknown"}]}}`, "Patient?gender:missing=true", true},
		{`{"code":{"text":"Cough"}}`, "Condition?code:missing=false", true},
		{`{"telecom":[{"system":"phone","value":"1"}]}`, "Patient?email:missing=true", true},
		{`{"telecom":[{"system":"email","value":"a@b.c"}]}`, "Patient?email:missing=false", true},
		{`{"subject":{"reference":"Group/1"}}`, "Observation?patient:missing=true", true},
		{`{"subject":{"reference":"Group/1"}}`, "Observation?subject:missing=false", true},
	})
}

func TestNumber(t *testing.T) {
	t.Parallel()
	at := func(value string) string { return `{"prediction":[{"probabilityDecimal":` + value + `}]}` }
	q := func(s string) string { return "RiskAssessment?probability=" + s }
	run(t, []matching{
		// [99.5 ... 100.5)
		{at("100"), q("100"), true},
		{at("99.5"), q("100"), true},
		{at("99.4999999999999999999"), q("100"), false},
		{at("100.4999999999999999999"), q("100"), true},
		{at("100.5"), q("100"), false},
		// [99.995 ... 100.005)
		{at("99.995"), q("100.00"), true},
		{at("99.9949"), q("100.00"), false},
		{at("100.0049"), q("100.00"), true},
		{at("100.005"), q("100.00"), false},
		// [95 ... 105)
		{at("95"), q("1e2"), true},
		{at("94.9"), q("1e2"), false},
		{at("104.9"), q("1e2"), true},
		{at("105"), q("1e2"), false},
		// "100 and 1.00e2 both have the same number of significant digits"
		{at("99.5"), q("1.00e2"), true},
		{at("99.4"), q("1.00e2"), false},
		// "less than exactly 100"
		{at("99.9999999999999999999"), q("lt100"), true},
		{at("100"), q("lt100"), false},
		{at("100.0"), q("le100"), true},
		{at("100.1"), q("le100"), false},
		{at("100"), q("gt100"), false},
		{at("100.0000000000000000001"), q("gt100"), true},
		{at("100"), q("ge100"), true},
		{at("99.9"), q("ge100"), false},
		// "not equal to 100 (actually, in the range 99.5 to 100.5)"
		{at("100.4"), q("ne100"), false},
		{at("101"), q("ne100"), true},
		{at("100"), q("sa99"), true},
		{at("100"), q("sa100"), false},
		{at("100"), q("eb101"), true},
		{at("100"), q("eb100"), false},
		{at("109"), q("ap100"), true},
		{at("110"), q("ap100"), true},
		{at("111"), q("ap100"), false},
		{at("0.3"), q("ap0"), true},
		{at("-5.4"), q("-5.4"), true},
		{at("-5.46"), q("-5.4"), false},
		{at("0.0000001"), q("1.0e-7"), true},
		{at("0"), q("0.0"), true},
		{at("0e5"), q("0"), true},
		{at("0.85"), q("gt8e-1"), true},
		// a Range is a range
		{`{"prediction":[{"probabilityRange":{"low":{"value":10},"high":{"value":20}}}]}`, q("gt15"), true},
		{`{"prediction":[{"probabilityRange":{"low":{"value":10},"high":{"value":20}}}]}`, q("sa15"), false},
		{`{"prediction":[{"probabilityRange":{"low":{"value":10},"high":{"value":20}}}]}`, q("sa9"), true},
		{`{"prediction":[{"probabilityRange":{"low":{"value":10}}}]}`, q("gt1000"), true},
		{`{"prediction":[{"probabilityRange":{"high":{"value":20}}}]}`, q("eb21"), true},
		{`{"prediction":[{"probabilityRange":{"low":{"value":9.6},"high":{"value":10.4}}}]}`, q("10"), true},
		{`{"prediction":[{"probabilityRange":{"low":{"value":9.6},"high":{"value":10.5}}}]}`, q("10"), false},
		// integers are found exactly
		{`{"variant":[{"start":100}]}`, "MolecularSequence?variant-start=100", true},
		{`{"variant":[{"start":101}]}`, "MolecularSequence?variant-start=100", false},
		{`{"variant":[{"start":100}]}`, "MolecularSequence?variant-start=100.5", false},
	})
}

func TestDate(t *testing.T) {
	t.Parallel()
	at := func(value string) string { return `{"effectiveDateTime":"` + value + `"}` }
	from := func(value string) string { return `{"effectivePeriod":{"start":"` + value + `"}}` }
	until := func(value string) string { return `{"effectivePeriod":{"end":"` + value + `"}}` }
	q := func(s string) string { return "Observation?date=" + s }
	run(t, []matching{
		{at("2013-01-14T00:00:00Z"), q("eq2013-01-14"), true},
		{at("2013-01-14T10:00:00Z"), q("2013-01-14"), true},
		{at("2013-01-15T00:00:00Z"), q("eq2013-01-14"), false},
		{at("2013-01-15T00:00:00Z"), q("ne2013-01-14"), true},
		{at("2013-01-14T00:00:00Z"), q("ne2013-01-14"), false},
		{at("2013-01-14T10:00:00Z"), q("ne2013-01-14"), false},
		{at("2013-01-14"), q("lt2013-01-14T10:00"), true},
		{at("2013-01-14"), q("gt2013-01-14T10:00"), true},
		{from("2013-01-21"), q("ge2013-03-14"), true},
		{from("2013-01-21"), q("le2013-03-14"), true},
		{from("2013-03-15"), q("sa2013-03-14"), true},
		{from("2013-01-21"), q("sa2013-03-14"), false},
		{until("2013-01-21"), q("sa2013-03-14"), false},
		{from("2013-03-15"), q("eb2013-03-14"), false},
		{from("2013-01-21"), q("eb2013-03-14"), false},
		{until("2013-01-21"), q("eb2013-03-14"), true},
		{at("2013-03-14"), q("ap2013-03-14"), true},
		{at("2015-06-15"), q("ap2013-03-14"), false}, // 10 % of 6.8 years to either side
		// what contains what
		{at("2013-01"), q("2013-01-14"), false},
		{at("2013-01-14"), q("2013-01"), true},
		{at("2013"), q("2013"), true},
		{at("2013-12-31T23:59:59Z"), q("2013"), true},
		{at("2013-01-14"), q("gt2013-01-14"), false},
		{at("2013-01-14"), q("ge2013-01-14"), true},
		{at("2013-01"), q("gt2013-01-14"), true},
		{at("2013-01"), q("ge2013-01-20"), true},
		{at("2013-01"), q("lt2013-01-14"), true},
		{at("2013-02"), q("lt2013-01-14"), false},
		// zones
		{at("2013-01-14T23:30:00-05:00"), q("2013-01-15"), true},
		{at("2013-01-14T23:30:00-05:00"), q("2013-01-14"), false},
		{at("2013-01-14T10:00:00+02:00"), q("2013-01-14T08:00:00Z"), true},
		{at("2013-01-14T10:00:00+02:00"), q("2013-01-14T10:00:00+02:00"), true},
		{at("2013-01-14T10:00:00+02:00"), q("2013-01-14T10:00:00 02:00"), true}, // "+" that was read as a space
		{at("2013-01-14T10:00:00.123Z"), q("2013-01-14T10:00:00Z"), true},
		{at("2013-01-14T10:00:00Z"), q("2013-01-14T10:00:00.123Z"), false},
		{at("2013-01-14T10:00:30Z"), q("2013-01-14T10:00"), true},
		// "an interval with an effective width of 0"
		{`{"effectiveInstant":"2013-01-14T10:00:00Z"}`, q("2013-01-14T10:00:00.000Z"), true},
		{`{"effectiveInstant":"2013-01-14T10:00:01Z"}`, q("2013-01-14T10:00:00Z"), false},
		// a Period
		{`{"effectivePeriod":{"start":"2013-01-01","end":"2013-01-31"}}`, q("2013-01"), true},
		{`{"effectivePeriod":{"start":"2013-01-01","end":"2013-02-01"}}`, q("2013-01"), false},
		{`{"effectivePeriod":{"start":"2010","end":"2015"}}`, q("gt2014"), true},
		{`{"effectivePeriod":{"start":"2010","end":"2015"}}`, q("gt2015"), false},
		{`{"effectivePeriod":{"start":"2010","end":"2015"}}`, q("sa2009"), true},
		{`{"effectivePeriod":{"start":"2010","end":"2015"}}`, q("eb2016"), true},
		{`{"effectivePeriod":{"start":"2010","end":"2015"}}`, q("ge2012-05&date=le2012-06"), true},
		{`{"effectivePeriod":{"start":"2010","end":"2015"}}`, q("2012"), false},
		{from("2013"), q("gt9999"), true},
		{until("2013"), q("lt0001"), true},
		{`{"effectivePeriod":{}}`, q("ge0001"), false},
		{`{}`, q("ne2013"), false},
		// "every second day between 31-Jan 2013 and 24-Mar 2013 includes 1-Feb 2013"
		{`{"effectiveTiming":{"repeat":{"boundsPeriod":{"start":"2013-01-31","end":"2013-03-24"}}}}`, q("ge2013-02-01&date=le2013-02-01"), true},
		{`{"effectiveTiming":{"event":["2013-01-31","2013-03-24"]}}`, q("ge2013-02-01&date=le2013-02-01"), true},
		{`{"effectiveTiming":{"event":["2013-01-31","2013-03-24"]}}`, q("gt2013-03-24"), false},
		// an OR, and an AND of repeats
		{at("2013-01-14"), q("2012,2013"), true},
		{at("2013-01-14"), q("ge2013&date=lt2014"), true},
		{at("2014-01-14"), q("ge2013&date=lt2014"), false},
	})
}

func TestString(t *testing.T) {
	t.Parallel()
	given := func(name string) string { return `{"name":[{"given":["` + name + `"]}]}` }
	family := func(name string) string { return `{"name":[{"family":"` + name + `"}]}` }
	run(t, []matching{
		{given("Eve"), "Patient?given=eve", true},
		{given("Evelyn"), "Patient?given=eve", true},
		{given("Severine"), "Patient?given=eve", false},
		{given("Severine"), "Patient?given:contains=eve", true},
		{given("Evelyn"), "Patient?given:contains=EVE", true},
		{given("Eve"), "Patient?given:exact=Eve", true},
		{given("eve"), "Patient?given:exact=Eve", false},
		{given("Evelyn"), "Patient?given:exact=Eve", false},
		// case, accents, punctuation and white space
		{family("García"), "Patient?family=garcia", true},
		{family("Garcia"), "Patient?family=GARCÍA", true},
		{family("García"), "Patient?family:exact=Garcia", false},
		{family("O'Brien"), "Patient?family=obrien", true},
		{family("OBrien"), "Patient?family=o’brien", true},
		{family("Smith-Jones"), "Patient?family=smith jones", true},
		{family("van  der\\tBerg"), "Patient?family=Van der berg", true},
		{family("Straße"), "Patient?family=strasse", true},
		{family("Ørsted"), "Patient?family=orsted", true},
		{family("Åström"), "Patient?family=astrom", true},
		{family("Ａｂｅ"), "Patient?family=abe", true},
		{family("王"), "Patient?family=王", true},
		{family("Nguyễn"), "Patient?family=nguyen", true},
		// decomposed and composed forms are one
		{family("Ga\u0301rcia"), "Patient?family=gárcia", true},
		// "searching either Carreno or Quinones should match a family name of Carreno Quinones"
		{family("Carreno Quinones"), "Patient?family=carreno", true},
		{family("Carreno Quinones"), "Patient?family=quinones", true},
		{family("Carreno Quinones"), "Patient?name=quinones", true},
		{family("Carreno Quinones"), "Patient?family=reno", false},
		// the parts of a name and of an address
		{`{"name":[{"text":"Mrs. Anna Berg","prefix":["Mrs."],"suffix":["PhD"],"use":"usual"}]}`, "Patient?name=anna", true},
		{`{"name":[{"prefix":["Mrs."]}]}`, "Patient?name=mrs", true},
		{`{"name":[{"suffix":["PhD"]}]}`, "Patient?name=phd", true},
		{`{"name":[{"use":"usual"}]}`, "Patient?name=usual", false},
		{`{"address":[{"line":["PO Box 1","12 High St."],"city":"Ghent","postalCode":"9000","country":"BE"}]}`, "Patient?address=12 high st", true},
		{`{"address":[{"city":"Ghent"}]}`, "Patient?address-city=ghe", true},
		{`{"address":[{"city":"Ghent","use":"home"}]}`, "Patient?address=home", false},
		{`{"address":[{"country":"BE"}]}`, "Patient?address=be", true},
		// long texts
		{family("Wolfeschlegelsteinhausenbergerdorff"), "Patient?family=wolfeschlegelsteinhausenbergerdo", true},
		{family("Wolfeschlegelsteinhausenbergerdorff"), "Patient?family=wolfeschlegelsteinhausenbergerdorfg", false},
		{family("Wolfeschlegelsteinhausenbergerdorff"), "Patient?family:contains=dorff", true},
		// values with separators, escaped
		{`{"title":"a,b|c$d\\e"}`, `ValueSet?title:exact=a\,b\|c\$d\\e`, true},
		{`{"title":"x"}`, `ValueSet?title=a,x`, true},
	})
}

func TestURI(t *testing.T) {
	t.Parallel()
	at := func(url string) string { return `{"url":"` + url + `","version":"2.0"}` }
	run(t, []matching{
		{at("http://acme.org/fhir/ValueSet/123"), "ValueSet?url=http://acme.org/fhir/ValueSet/123", true},
		{at("http://acme.org/fhir/ValueSet/123"), "ValueSet?url=http://acme.org/fhir/valueset/123", false},
		{at("http://acme.org/fhir/ValueSet/123"), "ValueSet?url=http://acme.org/fhir/ValueSet/12", false},
		{at("http://acme.org/fhir/ValueSet/123"), "ValueSet?url:below=http://acme.org/fhir/", true},
		{at("http://acme.org/fhirs/ValueSet/123"), "ValueSet?url:below=http://acme.org/fhir/", false},
		{at("http://acme.org/fhir/ValueSet/123"), "ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", true},
		{at("http://acme.org/fhir"), "ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", true},
		{at("http://acme.org/fhir/ValueSet/12"), "ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", false},
		{at("urn:oid:1.2.3.4.5"), "ValueSet?url=urn:oid:1.2.3.4.5", true},
		// "automatically detecting a |[version] portion"
		{at("http://acme.org/fhir/ValueSet/123"), "ValueSet?url=http://acme.org/fhir/ValueSet/123|2.0", true},
		{at("http://acme.org/fhir/ValueSet/123"), "ValueSet?url=http://acme.org/fhir/ValueSet/123|1.0", false},
		{`{"meta":{"profile":["http://acme.org/P|1.0"]}}`, "Patient?_profile=http://acme.org/P", true},
		{`{"meta":{"profile":["http://acme.org/P|1.0"]}}`, "Patient?_profile=http://acme.org/P|1.0", true},
		{`{"meta":{"profile":["http://acme.org/P|1.0"]}}`, "Patient?_profile=http://acme.org/P|2.0", false},
		{`{"meta":{"source":"http://acme.org/feed"}}`, "Patient?_source=http://acme.org/feed", true},
	})
}

func TestToken(t *testing.T) {
	t.Parallel()
	coded := func(system, code string) string {
		return `{"code":{"coding":[{"system":"` + system + `","code":"` + code + `"}]}}`
	}
	bare := `{"code":{"coding":[{"code":"ha125"}]}}`
	run(t, []matching{
		{`{"identifier":[{"system":"http://acme.org/patient","value":"2345"}]}`, "Patient?identifier=http://acme.org/patient|2345", true},
		{`{"identifier":[{"system":"http://acme.org/patient","value":"2345"}]}`, "Patient?identifier=2345", true},
		{`{"identifier":[{"system":"http://acme.org/patient","value":"2345"}]}`, "Patient?identifier=http://other.org|2345", false},
		{`{"identifier":[{"value":"urn:oid:1.2"}]}`, "Patient?identifier=|urn:oid:1.2,urn:oid:1.2", true},
		{`{"gender":"male"}`, "Patient?gender=male", true},
		{`{"gender":"female"}`, "Patient?gender=male", false},
		// the four forms
		{coded("http://a", "ha125"), "Condition?code=ha125", true},
		{coded("http://a", "ha125"), "Condition?code=http://a|ha125", true},
		{coded("http://b", "ha125"), "Condition?code=http://a|ha125", false},
		{coded("http://a", "ha125"), "Condition?code=|ha125", false},
		{bare, "Condition?code=|ha125", true},
		{bare, "Condition?code=http://a|ha125", false},
		{bare, "Condition?code=ha125", true},
		{coded("http://a", "other"), "Condition?code=http://a|", true},
		{coded("http://b", "other"), "Condition?code=http://a|", false},
		{bare, "Condition?code=http://a|", false},
		// "when in doubt, servers SHOULD treat tokens in a case-insensitive manner"; systems are URIs
		{coded("http://a", "HA125"), "Condition?code=http://a|ha125", true},
		{coded("http://A", "ha125"), "Condition?code=http://a|ha125", false},
		// "the system is defined in the value set"
		{`{"gender":"male"}`, "Patient?gender=http://hl7.org/fhir/administrative-gender|male", true},
		{`{"gender":"male"}`, "Patient?gender=http://loinc.org|male", false},
		{`{"gender":"male"}`, "Patient?gender=http://hl7.org/fhir/administrative-gender|", true},
		{`{"gender":"male"}`, "Patient?gender=http://loinc.org|", false},
		{`{"active":true}`, "Patient?active=true", true},
		{`{"active":false}`, "Patient?active=true", false},
		{`{}`, "Patient?active=false", false},
		{`{"telecom":[{"system":"phone","value":"555-1234"}]}`, "Patient?phone=555-1234", true},
		{`{"telecom":[{"system":"phone","value":"555-1234"}]}`, "Patient?email=555-1234", false},
		{`{"telecom":[{"system":"email","value":"Eve@Example.org"}]}`, "Patient?email=eve@example.org", true},
		{`{"telecom":[{"system":"email","value":"a"}]}`, "Patient?telecom=a", true},
		// Patient.deceased.exists() and Patient.deceased != false
		{`{}`, "Patient?deceased=false", true},
		{`{"deceasedBoolean":false}`, "Patient?deceased=false", true},
		{`{"deceasedBoolean":true}`, "Patient?deceased=true", true},
		{`{"deceasedDateTime":"2020"}`, "Patient?deceased=true", true},
		{`{"deceasedDateTime":"2020"}`, "Patient?deceased=false", false},
		// :text
		{`{"code":{"text":"Headache, severe"}}`, "Condition?code:text=headache", true},
		{`{"code":{"coding":[{"code":"1","display":"Headache"}]}}`, "Condition?code:text=head", true},
		{`{"code":{"coding":[{"code":"headache"}]}}`, "Condition?code:text=headache", false},
		{`{"identifier":[{"type":{"text":"Record number"},"value":"1"}]}`, "Patient?identifier:text=record", true},
		// :not
		{`{"gender":"male"}`, "Patient?gender:not=male", false},
		{`{"gender":"female"}`, "Patient?gender:not=male", true},
		{`{}`, "Patient?gender:not=male", true},
		{`{"gender":"female"}`, "Patient?gender:not=male,female", false},
		// "the negation applies to the set, not each individual entry"
		{`{"section":[{"code":{"coding":[{"code":"48765-2"}]}},{"code":{"coding":[{"code":"1"}]}}]}`, "Composition?section:not=48765-2", false},
		{`{"section":[{"code":{"coding":[{"code":"1"}]}}]}`, "Composition?section:not=48765-2", true},
		// :of-type
		{
			`{"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"value":"446053"}]}`,
			"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|446053", true,
		},
		{
			`{"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"SS"}]},"value":"446053"},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"value":"1"}]}`,
			"Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|446053", false,
		},
		// a repeat is AND, a comma OR
		{`{"communication":[{"language":{"coding":[{"code":"FR"}]}},{"language":{"coding":[{"code":"NL"}]}}]}`, "Patient?language=FR&language=NL", true},
		{`{"communication":[{"language":{"coding":[{"code":"FR"}]}}]}`, "Patient?language=FR&language=NL", false},
		{`{"communication":[{"language":{"coding":[{"code":"FR"}]}}]}`, "Patient?language=FR,NL", true},
		// escapes
		{coded("http://a", "x|y"), `Condition?code=x\|y`, true},
		{coded("http://a", "x,y"), `Condition?code=http://a|x\,y`, true},
		{coded("http://a", `x\\y`), `Condition?code=x\\y`, true},
		{coded("http://a", "x,y"), `Condition?code=x,y`, false},
		{`{"meta":{"tag":[{"system":"http://a","code":"t"}]}}`, "Patient?_tag=http://a|t", true},
		{`{"meta":{"security":[{"system":"http://a","code":"R"}]}}`, "Patient?_security=R", true},
	})
}

func TestToken_ValueSetsAndSubsumption(t *testing.T) {
	t.Parallel()
	act := func(code string) string {
		return `{"class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"` + code + `"}}`
	}
	run(t, []matching{
		{`{"gender":"male"}`, "Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", true},
		{`{"gender":"M"}`, "Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", false},
		{`{"gender":"M"}`, "Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", true},
		{`{}`, "Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", true},
		{act("AMB"), "Encounter?class:in=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", true},
		{act("ACUTE"), "Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP", true},
		{act("IMP"), "Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP", true},
		{act("AMB"), "Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP", false},
		{act("IMP"), "Encounter?class:above=http://terminology.hl7.org/CodeSystem/v3-ActCode|ACUTE", true},
		{act("ACUTE"), "Encounter?class:above=http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP", false},
		{`{"class":{"system":"http://other","code":"IMP"}}`, "Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP", false},
		// search.html#mimetype
		{`{"content":[{"attachment":{"contentType":"text/xml; charset=UTF-8"}}]}`, "DocumentReference?contenttype=text/xml", false},
		{`{"content":[{"attachment":{"contentType":"text/xml; charset=UTF-8"}}]}`, "DocumentReference?contenttype:below=text/xml&contenttype:below=text/xml", true},
		{`{"content":[{"attachment":{"contentType":"text/xml"}}]}`, "DocumentReference?contenttype:below=text", true},
		{`{"content":[{"attachment":{"contentType":"text/xml-x"}}]}`, "DocumentReference?contenttype:below=text/xml", false},
	})
	if spec.R4().CodeSystem("http://terminology.hl7.org/CodeSystem/v3-ActCode") == nil {
		t.Error("the code system of these tests is gone")
	}
}
