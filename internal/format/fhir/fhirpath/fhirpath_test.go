package fhirpath_test

import (
	"strings"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/fhirpath"
	"ward/internal/format/jsontape"
)

const patient = `{"resourceType":"Patient","id":"p","active":true,"_active":{"id":"a1"},
"contained":[{"resourceType":"Organization","id":"o","name":"Org"}],
"extension":[{"url":"http://x/e","valueInteger":3}],
"name":[{"use":"official","family":"Chalmers","given":["Peter","James",null],"_given":[null,{"id":"g1"},{"extension":[{"url":"u","valueString":"none"}]}]},{"use":"usual","given":["Jim"]}],
"birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://x/time","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
"_gender":{"extension":[{"url":"http://x/why","valueCode":"unknown"}]},
"multipleBirthInteger":2,
"managingOrganization":{"reference":"#o"},"generalPractitioner":[{"reference":"Practitioner/1"}],
"contact":[{"name":{"text":"A"},"gender":"male"},{"name":{"text":"B"}}]}`

const observation = `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-2"}]},
"effectiveDateTime":"2020-02","issued":"2020-02-03T10:00:00.500Z","valueQuantity":{"value":1.50,"unit":"mg"},
"component":[{"code":{"text":"x"},"valueString":"s"},{"code":{"text":"y"},"valueInteger":5},{"code":{"text":"z"},"valueTime":"10:30:00"}]}`

// show writes items as the bytes they stand for.
func show(d *jsontape.Doc, items []fhirpath.Item) string {
	var out []string
	for i := range items {
		switch {
		case items[i].Literal():
			out = append(out, items[i].String())
		case items[i].Node >= 0:
			out = append(out, string(jsontape.AppendCompact(nil, d.Raw(items[i].Node))))
		default:
			out = append(out, "ext:"+string(d.Raw(items[i].Ext)))
		}
	}
	return strings.Join(out, " ")
}

func eval(t *testing.T, src, expression string) (string, error) {
	t.Helper()
	var d jsontape.Doc
	if err := d.Parse([]byte(src)); err != nil {
		t.Fatal(err)
	}
	e, err := fhirpath.Parse(expression)
	if err != nil {
		return "", err
	}
	items, err := e.Eval(&d, d.Root())
	return show(&d, items), err
}

// FHIRPath N1; FHIR R4 fhirpath.html.
func TestEval(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ expression, want string }{
		// §4.1 paths, §4.2 the resource's type in front
		{"Patient.birthDate", `"1974-12-25"`},
		{"birthDate", `"1974-12-25"`},
		{"Resource.id", `"p"`},
		{"DomainResource.id", `"p"`},
		{"%resource.id", `"p"`},
		{"Patient.name.given", `"Peter" "James" ext:{"extension":[{"url":"u","valueString":"none"}]} "Jim"`},
		{"Patient.`name`.family", `"Chalmers"`},
		{"Patient.maritalStatus.coding.code", ""},
		{"Patient.gender", `ext:{"extension":[{"url":"http://x/why","valueCode":"unknown"}]}`},
		{"Patient.multipleBirth", "2"},
		{"Patient.multipleBirth.ofType(integer)", "2"},
		{"(Patient.multipleBirth as integer)", "2"},
		{"Patient.multipleBirth as boolean", ""},
		{"Patient.multipleBirth is integer", "true"},
		{"Patient.multipleBirth.is(FHIR.boolean)", "false"},
		{"Patient.multipleBirth is System.Integer", "true"},
		{"Patient is DomainResource", "true"},
		{"Patient.contained.name", `"Org"`},
		{"Patient.contained.ofType(Organization).id", `"o"`},
		{"Patient.contained.ofType(Patient)", ""},
		// indexers and subsetting (§5.3)
		{"Patient.name[1].given[0]", `"Jim"`},
		{"Patient.name[7]", ""},
		{"Patient.name.first().family", `"Chalmers"`},
		{"Patient.name.last().given", `"Jim"`},
		{"Patient.name.given.tail().first()", `"James"`},
		{"Patient.name.given.skip(1).take(1)", `"James"`},
		{"Patient.name.where(use='usual').single().given.single()", `"Jim"`},
		{"Patient.name.skip(9)", ""},
		// filtering and existence (§5.1, §5.2)
		{"Patient.name.where(use = 'official' and family.exists()).given[0]", `"Peter"`},
		{"Patient.name.where($this.use != 'official').use", `"usual"`},
		{"Patient.name.where($index = 1).use", `"usual"`},
		{"Patient.name.exists(use = 'x')", "false"},
		{"Patient.name.all(use.exists())", "true"},
		{"Patient.name.count()", "2"},
		{"Patient.photo.empty()", "true"},
		{"Patient.name.select(use)", `"official" "usual"`},
		{"Patient.active.not()", "false"},
		{"Patient.photo.exists().not()", "true"},
		{"Patient.birthDate.hasValue()", "true"},
		{"Patient.gender.hasValue()", "false"},
		{"Patient.birthDate.getValue()", `"1974-12-25"`},
		{"Patient.contact.name.children()", `"A" "B"`},
		// extensions (fhirpath.html#functions)
		{"Patient.extension('http://x/e').value", "3"},
		{"Patient.birthDate.extension('http://x/time').value", `"1974-12-25T14:35:45-05:00"`},
		{"Patient.gender.extension.url", `"http://x/why"`},
		{"Patient.name.given.id", `"g1"`},
		{"Patient.active.id", `"a1"`},
		// contained references only
		{"Patient.managingOrganization.resolve().name", `"Org"`},
		{"Patient.managingOrganization.reference.resolve().id", `"o"`},
		// equality, order, logic (§6)
		{"1.50 = 1.5", "true"},
		{"Patient.birthDate = @1974-12-25", "true"},
		{"Patient.birthDate = '1974-12-25'", "true"},
		{"Patient.birthDate = @1974", ""},
		{"Patient.birthDate = @1975", "false"},
		{"Patient.birthDate < @1975", "true"},
		{"Patient.birthDate >= @1974-12-25", "true"},
		{"Patient.birthDate > @1974", ""},
		{"Patient.name.given = 'Jim'", "false"},
		{"Patient.photo = 'x'", ""},
		{"Patient.contact[0] = Patient.contact[0]", "true"},
		{"Patient.contact[0] != Patient.contact[1]", "true"},
		{"'a' < 'b' and 2 > 1 and 2 <= 2.0", "true"},
		{"{} and false", "false"},
		{"{} or true", "true"},
		{"{} and true", ""},
		{"true xor true", "false"},
		{"{} implies true", "true"},
		{"true implies {}", ""},
		{"false implies {}", "true"},
		{"'a' in ('a' | 'b')", "true"},
		{"('a' | 'b' | 'a').count()", "2"},
		{"Patient.name.given contains 'Jim'", "true"},
		{"Patient.contact and true", "!"},
		{"true or false and false", "true"},
		{"(true or false) and false", "false"},
		{"1 | 2 = 1", "false"},
		{"-1 < 1", "true"},
		{"@T14:30 < @T14:30:00.5", ""},
		{"@T14 < @T15:00", "true"},
		{"@2015-02-04T14:34:28.1Z = @2015-02-04T14:34:28.100Z", "true"},
		{"@2015T = @2015", "true"},
		// strings (§5.6)
		{"Patient.name.family.startsWith('Chal')", "true"},
		{"Patient.name.family.endsWith('x')", "false"},
		{"Patient.name.family.contains('alm')", "true"},
		{"Patient.name.family.length()", "8"},
		{"Patient.name.family.upper()", "CHALMERS"},
		{"Patient.photo.title.lower()", ""},
		{`'\u00e9\'\\\/\n' = 'é\'\\/` + "\n'", "true"},
		{"'é'.length()", "1"},
	} {
		got, err := eval(t, patient, row.expression)
		if row.want == "!" {
			if !fault.Is(err, fault.CodeInvalid) {
				t.Errorf("%s: %q, %v; want an error", row.expression, got, err)
			}
			continue
		}
		if err != nil || got != row.want {
			t.Errorf("%s\n got %s, %v\nwant %s", row.expression, got, err, row.want)
		}
	}
	for _, row := range []struct{ expression, want string }{
		{"Observation.value", `{"value":1.50,"unit":"mg"}`},
		{"Observation.value.value", "1.50"},
		{"Observation.value.ofType(Quantity).unit", `"mg"`},
		{"(Observation.value as Quantity).value > 1.4999", "true"},
		{"Observation.value as string", ""},
		{"Observation.component.value.ofType(string)", `"s"`},
		{"Observation.component.where(value is integer).code.text", `"y"`},
		{"Observation.component.where(code.text='z').value < @T10:30:01", "true"},
		{"Observation.effective < @2020-03-01", "true"},
		{"Observation.issued is instant and Observation.issued is System.DateTime", "true"},
		{"Observation.code.coding.where(system='http://loinc.org').code", `"1-2"`},
	} {
		if got, err := eval(t, observation, row.expression); err != nil || got != row.want {
			t.Errorf("%s\n got %s, %v\nwant %s", row.expression, got, err, row.want)
		}
	}
}

func TestParse_RefusesWithPosition(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ expression, want string }{
		{"", "character 1: the expression is empty"},
		{"Patient.", "character 9: expected a name after the point"},
		{"Patient..name", "character 9: expected a name after the point"},
		{"Patient.name[", "character 14: the expression ends where an operand is expected"},
		{"Patient.name[0", "character 15: expected ']'"},
		{"Patient.name)", "character 13: expected an operator, a point or the end here"},
		{"Patient name", "character 9: expected an operator, a point or the end here"},
		{"(1", "character 3: expected ')'"},
		{"{1}", "character 2: expected '}': only the empty collection is written with braces"},
		{"'a", "character 1: the closing quote is missing"},
		{`"a"`, "character 1: strings stand in single quotes"},
		{`'é\x'`, "character 3: there is no such escape in a string"},
		{`'\ud800'`, `character 2: \u needs four hexadecimal digits, and surrogates come in pairs`},
		{"01", "character 1: a number may not start with 0 and another digit"},
		{"@2015-13", "character 1: this is no date or time; they are written @2015-02-04, @2015-02-04T14:34:28Z and @T14:34:28"},
		{"$total", "character 1: only $this and $index are known"},
		{"%ucum", "character 1: only %resource, %rootResource and %context are known"},
		{"a ; b", "character 3: this character has no meaning here"},
		{"1 + 1", "character 3: the operator + is not supported here"},
		{"a ~ b", "character 3: the operator ~ is not supported here"},
		{"4 'mg'", "character 1: quantities are not supported here"},
		{"2 days", "character 1: quantities are not supported here"},
		{"name.matches('x')", "character 6: the function matches() is not supported here"},
		{"name.where()", "character 6: where() takes 1 argument(s), not 0"},
		{"name.exists(a, b)", "character 6: exists() takes 0 or 1 argument(s), not 2"},
		{"name.skip(1 2)", "character 13: expected ',' or ')'"},
		{"value.ofType(Zebra)", "character 14: FHIR R4 has no type of this name"},
		{"value is 5", "character 10: expected the name of a type"},
		{"value as System.Zebra", "character 17: FHIR R4 has no type of this name"},
		{"-'a'", "character 1: a sign stands before a number only"},
		{strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100), "character 66: the expression is nested too deeply"},
		{strings.Repeat("a", 9000), "the expression is longer than 8192 bytes"},
	} {
		_, err := fhirpath.Parse(row.expression)
		want := "FHIRPath: " + row.want
		if strings.HasPrefix(row.want, "character") {
			want = "FHIRPath, " + row.want
		}
		if !fault.Is(err, fault.CodeInvalid) || fault.Message(err) != want {
			t.Errorf("%.40s: %v\nwant %s", row.expression, err, want)
		}
	}
}

func TestEval_RefusesWithPosition(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ expression, want string }{
		{"Observation.status", "character 1: the path starts with Observation, but the resource is of type Patient"},
		{"Patient.foo", "character 9: Patient has no element foo"},
		{"Patient.name.foo", "character 14: HumanName has no element foo"},
		{"Patient.birthDate.foo", "character 19: date has no element foo"},
		{"Patient.multipleBirthInteger", "character 9: Patient has no element multipleBirthInteger; a choice is named without its type, which ofType() selects"},
		{"'a'.foo", "character 5: a literal has no elements"},
		{"Patient.name['a']", "character 13: an index must be a whole number"},
		{"Patient.name.take('a')", "character 14: take() takes a whole number"},
		{"Patient.name.single()", "character 14: single() found 2 items"},
		{"Patient.name as HumanName", "character 14: as needs a single item, found 2; use ofType or an index"},
		{"Patient.name.not()", "character 14: a condition needs a single value, found 2"},
		{"Patient.generalPractitioner.resolve()", "character 29: resolve() reaches contained resources only"},
		{"Patient.name.extension(1)", "character 14: extension() takes a string"},
		{"Patient.name.given.length()", "character 20: length() works on a single string"},
		{"Patient.name < 1", "character 14: < compares single values"},
		{"Patient.active < 1", "character 16: < can't compare values of these types"},
		{"('a' | 'b') in Patient.name", "character 13: in needs a single item to look for"},
	} {
		got, err := eval(t, patient, row.expression)
		if want := "FHIRPath, " + row.want; !fault.Is(err, fault.CodeInvalid) || fault.Message(err) != want {
			t.Errorf("%s: %q, %v\nwant %s", row.expression, got, err, want)
		}
	}
}

func TestEval_WorkIsBounded(t *testing.T) {
	t.Parallel()
	src := `{"resourceType":"Patient","name":[{"text":"x"}` + strings.Repeat(`,{"text":"x"}`, 3000) + `]}`
	_, err := eval(t, src, "Patient.name.where(%resource.name.where(%resource.name.exists(text='y')).exists())")
	if !fault.Is(err, fault.CodeTooCostly) {
		t.Errorf("got %v", err)
	}
}

// TestEval_ItemsSayWhereTheyAre holds what patches rely on.
func TestEval_ItemsSayWhereTheyAre(t *testing.T) {
	t.Parallel()
	var d jsontape.Doc
	if err := d.Parse([]byte(patient)); err != nil {
		t.Fatal(err)
	}
	one := func(expression string) fhirpath.Item {
		e, err := fhirpath.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		items, err := e.Eval(&d, d.Root())
		if err != nil || len(items) != 1 {
			t.Fatalf("%s: %d items, %v", expression, len(items), err)
		}
		return items[0]
	}
	i := one("Patient.name[0].given[2]")
	if i.Key != "given" || i.Index != 2 || i.Node >= 0 || d.Kind(i.Ext) != jsontape.Object || d.Kind(i.Parent) != jsontape.Object || i.Owner.Name != "HumanName" {
		t.Errorf("given[2] is %+v", i)
	}
	i = one("Patient.multipleBirth")
	if i.Key != "multipleBirthInteger" || i.Index != -1 || i.Parent != d.Root() || i.Type.Name != "integer" || i.Field.Element.Name != "multipleBirth" {
		t.Errorf("multipleBirth is %+v", i)
	}
	i = one("Patient")
	if i.Node != d.Root() || i.Parent >= 0 || i.Type.Name != "Patient" {
		t.Errorf("Patient is %+v", i)
	}
	e, err := fhirpath.Parse("Patient.name[0].given")
	if err != nil {
		t.Fatal(err)
	}
	parent, name, ok := e.Parent()
	if !ok || name != "given" {
		t.Fatalf("Parent() = %q, %v", name, ok)
	}
	if items, err := parent.Eval(&d, d.Root()); err != nil || len(items) != 1 || items[0].Key != "name" {
		t.Errorf("the parent is %+v, %v", items, err)
	}
	for expression, want := range map[string]bool{"photo": true, "Patient": false, "Patient.name[0]": false, "name.first()": false} {
		e, err := fhirpath.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := e.Parent(); ok != want {
			t.Errorf("%s has a parent: %v", expression, ok)
		}
	}
}

func TestEvalBool(t *testing.T) {
	t.Parallel()
	var d jsontape.Doc
	if err := d.Parse([]byte(patient)); err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]bool{"active": true, "photo": false, "name.exists()": true, "contact[0]": true, "{}": false} {
		e, err := fhirpath.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.EvalBool(&d, d.Root()); got != want || err != nil {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
	if err := d.Parse([]byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	e, _ := fhirpath.Parse("a")
	if _, err := e.Eval(&d, d.Root()); !fault.Is(err, fault.CodeInvalid) {
		t.Errorf("not a resource: %v", err)
	}
}

func FuzzParseAndEval(f *testing.F) {
	for _, s := range []string{
		"Patient.name.where(use = 'official').given[0]", "(Observation.value as Quantity).value > 1.5", "a.b | c and {} implies true",
		"@2015-02-04T14:34:28.1Z = %resource.birthDate", "name.extension('u').value.ofType(string).startsWith('a')", "$this.name[$index].`given`", "-1.5 <= 2", "a contains 'x' xor b in c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := fhirpath.Parse(s)
		if err != nil {
			if !fault.Is(err, fault.CodeInvalid) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		for _, src := range []string{patient, observation} {
			var d jsontape.Doc
			if err := d.Parse([]byte(src)); err != nil {
				t.Fatal(err)
			}
			items, err := e.Eval(&d, d.Root())
			if err != nil && !fault.Is(err, fault.CodeInvalid) && !fault.Is(err, fault.CodeTooCostly) {
				t.Fatalf("%q: %v", s, err)
			}
			for i := range items {
				if it := &items[i]; !it.Literal() && it.Node < 0 && it.Ext < 0 {
					t.Fatalf("%q: an item that is nowhere: %+v", s, it)
				}
			}
		}
	})
}

func BenchmarkEval(b *testing.B) {
	var d jsontape.Doc
	if err := d.Parse([]byte(patient)); err != nil {
		b.Fatal(err)
	}
	e, err := fhirpath.Parse("Patient.name.where(use = 'official').given[0]")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if items, err := e.Eval(&d, d.Root()); err != nil || len(items) != 1 {
			b.Fatal(err)
		}
	}
}
