package search

import (
	"slices"
	"strings"
	"testing"

	"ward/internal/base/fault"
)

// tenantParam is the definition of a parameter that a tenant adds.
func tenantParam(code string, typ ParamType, expression string, base ...string) Definition {
	return Definition{ID: code, URL: "http://acme.org/SearchParameter/" + code, Code: code, Type: typ, Base: base, Expression: expression}
}

func TestCompile_TenantsParameters(t *testing.T) {
	t.Parallel()
	doc := parsed(t, `{"resourceType":"Patient","extension":[{"url":"http://acme.org/ward","valueString":"North"},{"url":"http://acme.org/bed","valueCodeableConcept":{"coding":[{"system":"http://a","code":"12"}]}}],`+
		`"name":[{"use":"official","family":"Berg"},{"use":"nickname","family":"Bee"}],"contact":[{"relationship":[{"coding":[{"code":"N"}]}],"organization":{"reference":"Organization/1"}}],"photo":[{"size":5},{"size":7}]}`)
	for _, c := range []struct {
		def       Definition
		yes, no   string
		atoms     string
		unindexed bool
	}{
		{tenantParam("ward", String, "Patient.extension('http://acme.org/ward')", "Patient"), "nor", "south", "extension('http://acme.org/ward')", false},
		{tenantParam("ward2", String, "Patient.extension.where(url='http://acme.org/ward').value.as(string)", "Patient"), "north", "12", "extension.value.as(string)", false},
		{tenantParam("bed", Token, "Patient.extension('http://acme.org/bed').value", "Patient"), "http://a|12", "13", "extension('http://acme.org/bed').value", false},
		{tenantParam("bed2", Token, "(Patient.extension('http://acme.org/bed').value as CodeableConcept)", "Patient"), "12", "North", "extension('http://acme.org/bed').value.as(CodeableConcept)", false},
		{tenantParam("official", String, "Patient.name.where(use = 'official').family", "Patient"), "berg", "bee", "name.family", false},
		{tenantParam("first-family", String, "Patient.name[0].family", "Patient"), "berg", "bee", "name[0].family", false},
		{tenantParam("first-family2", String, "Patient.name.first().family", "Patient"), "berg", "bee", "name[0].family", false},
		{tenantParam("kin", Token, "name.given | contact.relationship", "Patient"), "N", "M", "name.given contact.relationship", false},
		{tenantParam("kin-org", Reference, "Patient.contact.organization", "Patient"), "Organization/1", "Organization/2", "contact.organization", false},
		{tenantParam("photo-size", Number, "Patient.photo.size", "Patient"), "gt6", "gt7", "photo.size", false},
	} {
		r := Standard()
		p, err := r.Compile(c.def)
		if err != nil {
			t.Errorf("%s: %v", c.def.Expression, err)
			continue
		}
		with := r.With(p)
		var paths []string
		for _, a := range p.Atoms("Patient") {
			paths = append(paths, a.Path)
		}
		if got := strings.Join(paths, " "); got != c.atoms {
			t.Errorf("%s reads %s, want %s", c.def.Expression, got, c.atoms)
		}
		if with.Param("Patient", c.def.Code) != p || r.Param("Patient", c.def.Code) != nil {
			t.Errorf("%s: not only the new registry has it", c.def.Code)
		}
		for value, want := range map[string]bool{c.yes: true, c.no: false} {
			q, err := Parse(with, "Patient", []Pair{{c.def.Code, value}}, Options{})
			if err != nil {
				t.Errorf("%s=%s: %v", c.def.Code, value, err)
				continue
			}
			if got := q.Clauses[0].Match(doc, "Patient"); got != want {
				t.Errorf("%s=%s: got %v", c.def.Code, value, got)
			}
			newIndex(with, doc, "Patient").check(t, q.Clauses[0], c.def.Code+"="+value, want)
		}
	}
}

func TestCompile_SaysWhatIsNotSupported(t *testing.T) {
	t.Parallel()
	composite := tenantParam("pair", Composite, "Patient.contact", "Patient")
	composite.Components = []ComponentDefinition{{"http://acme.org/none", "gender"}, {"http://acme.org/none", "name"}}
	one := composite
	one.Components = one.Components[:1]
	for _, c := range []struct {
		def  Definition
		want string
	}{
		{tenantParam("x", String, "", "Patient"), "it has no expression"},
		{tenantParam("x", String, "Patient.nam.family", "Patient"), `Patient has no element "nam"`},
		{tenantParam("x", String, "Patient.name.family.x", "Patient"), `HumanName.family has no element "x"`},
		{tenantParam("x", String, "Patient.birthDate", "Patient"), "Patient.birthDate can't be searched as a string"},
		{tenantParam("x", String, "Observation.code.text", "Patient"), "its expression says nothing about Patient"},
		{tenantParam("x", String, "Patient.name.family |", "Patient"), "at character 22: a name was expected"},
		{tenantParam("x", String, "Patient.name.select(family)", "Patient"), "the function select() is not supported; as, ofType, first, extension, where and exists are"},
		{tenantParam("x", String, "Patient.name.where(family.startsWith('x'))", "Patient"), `"=" was expected`},
		{tenantParam("x", String, "Patient.name.where(foo='x').family", "Patient"), `Patient.name has no element "foo" to compare`},
		{tenantParam("x", Token, "(Patient.deceased as Strange)", "Patient"), `"Strange" is no type`},
		{tenantParam("x", Token, "(Patient.deceased as Quantity)", "Patient"), "Patient.deceased[x] can't be a Quantity"},
		{tenantParam("x", Token, "Patient.active.exists()", "Patient"), `exists() is understood only in "path.exists() and path != false"`},
		{tenantParam("x", Reference, "Patient.link.other.where(resolve() is Foo)", "Patient"), `"Foo" is no resource type`},
		{tenantParam("x", String, "Patient.name.extension(url)", "Patient"), "extension needs a URL in quotes"},
		{tenantParam("x", String, "Patient.name.family", "Pasient"), `"Pasient" is no resource type`},
		{tenantParam("x", String, "Patient.name.family"), "it names no resource type"},
		{tenantParam("1x", String, "Patient.name.family", "Patient"), "a code has 1 to 64 letters"},
		{tenantParam("a.b", String, "Patient.name.family", "Patient"), "a code has 1 to 64 letters"},
		{tenantParam("name", String, "Patient.name.family", "Patient"), `Patient already has a search parameter with the code "name"`},
		{tenantParam("x", Special, "Patient.name", "Patient"), "the special parameter x is not supported"},
		{tenantParam("x", String, strings.Repeat("(", 50)+"Patient.name", "Patient"), "parentheses nest deeper"},
		{tenantParam("x", String, strings.Repeat("Patient.name|", 1000)+"Patient.name", "Patient"), "more than 400 branches"},
		{tenantParam("x", String, strings.Repeat("Patient.name|", 10_000)+"Patient.name", "Patient"), "longer than"},
		{one, "a composite has at least two components"},
		{composite, `the component "http://acme.org/none" is no search parameter`},
	} {
		_, err := Standard().Compile(c.def)
		if !fault.Is(err, fault.CodeUnprocessable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, want %s", c.def.Expression, err, c.want)
		}
		if details := fault.Details(err); err != nil && (len(details) != 1 || !strings.HasPrefix(details[0].Expression, "SearchParameter.")) && !strings.Contains(c.want, "not supported") {
			t.Errorf("%.60s: details %+v", c.def.Expression, details)
		}
	}
}

func TestParseDefinition(t *testing.T) {
	t.Parallel()
	d, err := ParseDefinition(parsed(t, `{"resourceType":"SearchParameter","id":"p","url":"http://acme.org/p","code":"pair","base":["Patient","Person"],"type":"composite",`+
		`"expression":"Patient.contact","target":["Patient"],"component":[{"definition":"http://a","expression":"x"}]}`))
	if err != nil || d.ID != "p" || d.Type != Composite || !slices.Equal(d.Base, []string{"Patient", "Person"}) || d.Components[0] != (ComponentDefinition{"http://a", "x"}) || d.Target[0] != "Patient" {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := ParseDefinition(parsed(t, `{"type":"foo"}`)); !fault.Is(err, fault.CodeUnprocessable) {
		t.Error(err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, p := range Standard().Params("Observation") {
		f.Add(p.Expression, uint8(p.Type))
	}
	f.Add("Patient.extension('http://a').value.as(string)", uint8(String))
	f.Add("name.where(use='x' and period='y')[3].first()", uint8(Token))
	r := Standard()
	doc := parsed(f, observation)
	f.Fuzz(func(_ *testing.T, expression string, typ uint8) {
		p, err := r.Compile(tenantParam("x-fuzz", ParamType(typ%10), expression, "Observation", "Patient"))
		if err != nil {
			return
		}
		with := r.With(p)
		with.Postings(nil, doc, "Observation")
		p.SortValue(doc, "Observation", false)
	})
}
