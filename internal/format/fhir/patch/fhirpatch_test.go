package patch_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/patch"
	"ward/internal/format/jsontape"
)

// operation writes one operation: its type, its path and its other parts.
func operation(kind, path string, parts ...string) string {
	all := []string{`{"name":"type","valueCode":"` + kind + `"}`, `{"name":"path","valueString":` + string(jsontape.AppendQuoted(nil, path)) + `}`}
	return `{"name":"operation","part":[` + strings.Join(append(all, parts...), ",") + `]}`
}

func name(s string) string { return `{"name":"name","valueString":"` + s + `"}` }

func value(x, json string) string { return `{"name":"value","value` + x + `":` + json + `}` }

func parts(parts ...string) string {
	return `{"name":"value","part":[` + strings.Join(parts, ",") + `]}`
}

func number(part string, n int) string {
	return fmt.Sprintf(`{"name":"%s","valueInteger":%d}`, part, n)
}

func parameters(operations ...string) []byte {
	return []byte(`{"resourceType":"Parameters","parameter":[` + strings.Join(operations, ",") + `]}`)
}

type patchRow struct {
	name, doc  string
	operations []string
	want       string
}

func checkPatches(t *testing.T, rows []patchRow) {
	t.Helper()
	for _, row := range rows {
		got, err := patch.FHIRPathPatch([]byte(row.doc), parameters(row.operations...))
		if err != nil || string(got) != row.want {
			t.Errorf("%s\n got %s, %v\nwant %s", row.name, got, err, row.want)
		}
	}
}

// fhirpatch.html#concept, row "add".
func TestFHIRPathPatch_Add(t *testing.T) {
	t.Parallel()
	checkPatches(t, []patchRow{
		{"a primitive", `{"resourceType":"Patient"}`, []string{operation("add", "Patient", name("birthDate"), value("Date", `"1930-01-01"`))}, `{"resourceType":"Patient","birthDate":"1930-01-01"}`},
		{"a nested primitive", `{"resourceType":"Patient","contact":[{"name":{"text":"a"}}],"active":true}`, []string{operation("add", "Patient.contact[0]", name("gender"), value("Code", `"male"`))}, `{"resourceType":"Patient","contact":[{"name":{"text":"a"},"gender":"male"}],"active":true}`},
		{"a complex type", `{"resourceType":"Patient"}`, []string{operation("add", "Patient", name("maritalStatus"), value("CodeableConcept", `{ "text" : "m" }`))}, `{"resourceType":"Patient","maritalStatus":{"text":"m"}}`},
		{"to a list", `{"resourceType":"Patient","identifier":[{"value":"1"}]}`, []string{operation("add", "Patient", name("identifier"), value("Identifier", `{"value":"2"}`))}, `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"2"}]}`},
		{"the first of a list", `{"resourceType":"Patient"}`, []string{operation("add", "Patient", name("identifier"), value("Identifier", `{"value":"1"}`))}, `{"resourceType":"Patient","identifier":[{"value":"1"}]}`},
		{"a choice, by the type of the value", `{"resourceType":"Observation","status":"final"}`, []string{operation("add", "Observation", name("value"), value("Quantity", `{"value":1.50}`))}, `{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.50}}`},
		{"a choice named with [x]", `{"resourceType":"Observation"}`, []string{operation("add", "Observation", name("value[x]"), value("DateTime", `"2020"`))}, `{"resourceType":"Observation","valueDateTime":"2020"}`},
		{"a choice named with its type", `{"resourceType":"Observation"}`, []string{operation("add", "Observation", name("valueString"), value("String", `"s"`))}, `{"resourceType":"Observation","valueString":"s"}`},
		{"to a list of primitives, keeping companions in step", `{"resourceType":"Patient","name":[{"given":["A"],"_given":[{"id":"a"}]}]}`, []string{operation("add", "Patient.name[0]", name("given"), value("String", `"B"`))}, `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"id":"a"},null]}]}`},
		{"a primitive with a companion", `{"resourceType":"Patient"}`, []string{operation("add", "Patient", name("birthDate"), `{"name":"value","valueDate":"1930","_valueDate":{"id":"x"}}`)}, `{"resourceType":"Patient","birthDate":"1930","_birthDate":{"id":"x"}}`},
		{"an extension on a primitive", `{"resourceType":"Patient","birthDate":"1930","active":true}`, []string{operation("add", "Patient.birthDate", name("extension"), value("Extension", `{"url":"u","valueCode":"c"}`))}, `{"resourceType":"Patient","birthDate":"1930","_birthDate":{"extension":[{"url":"u","valueCode":"c"}]},"active":true}`},
		{"one more extension on a primitive in a list", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]}`, []string{operation("add", "Patient.name.given[1]", name("extension"), value("Extension", `{"url":"u"}`))}, `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b","extension":[{"url":"u"}]}]}]}`},
		{"a contained resource", `{"resourceType":"Patient"}`, []string{operation("add", "Patient", name("contained"), `{"name":"value","resource":{"resourceType":"Organization","id":"o"}}`)}, `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}]}`},
		{"to a contained resource", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}]}`, []string{operation("add", "Patient.contained.where(id='o')", name("name"), value("String", `"n"`))}, `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"n"}]}`},
	})
}

// fhirpatch.html#concept, row "insert".
func TestFHIRPathPatch_Insert(t *testing.T) {
	t.Parallel()
	const doc = `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"2"}],"active":true}`
	insert := func(i int) []string {
		return []string{operation("insert", "Patient.identifier", number("index", i), value("Identifier", `{"value":"n"}`))}
	}
	checkPatches(t, []patchRow{
		{"at the start", doc, insert(0), `{"resourceType":"Patient","identifier":[{"value":"n"},{"value":"1"},{"value":"2"}],"active":true}`},
		{"in the middle", doc, insert(1), `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"n"},{"value":"2"}],"active":true}`},
		{"at the end", doc, insert(2), `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"2"},{"value":"n"}],"active":true}`},
		{"into an empty list", `{"resourceType":"Patient"}`, insert(0), `{"resourceType":"Patient","identifier":[{"value":"n"}]}`},
		{"a primitive, keeping companions in step", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]}`, []string{operation("insert", "Patient.name[0].given", number("index", 1), value("String", `"n"`))}, `{"resourceType":"Patient","name":[{"given":["A","n","B"],"_given":[null,null,{"id":"b"}]}]}`},
	})
}

// fhirpatch.html#concept, row "delete": the element, if found.
func TestFHIRPathPatch_Delete(t *testing.T) {
	t.Parallel()
	checkPatches(t, []patchRow{
		{"a primitive with its companion", `{"resourceType":"Patient","birthDate":"1920","_birthDate":{"id":"x"},"active":true}`, []string{operation("delete", "Patient.birthDate")}, `{"resourceType":"Patient","active":true}`},
		{"a companion alone", `{"resourceType":"Patient","_birthDate":{"id":"x"}}`, []string{operation("delete", "Patient.birthDate")}, `{"resourceType":"Patient"}`},
		{"what is not there", `{"resourceType":"Patient"}`, []string{operation("delete", "Patient.birthDate")}, `{"resourceType":"Patient"}`},
		{"a nested primitive", `{"resourceType":"Patient","contact":[{"name":{"text":"a"},"gender":"male"}]}`, []string{operation("delete", "Patient.contact[0].gender")}, `{"resourceType":"Patient","contact":[{"name":{"text":"a"}}]}`},
		{"and what is empty after it", `{"resourceType":"Patient","contact":[{"name":{"text":"a"},"gender":"male"}]}`, []string{operation("delete", "Patient.contact[0].name.text")}, `{"resourceType":"Patient","contact":[{"gender":"male"}]}`},
		{"up to the list", `{"resourceType":"Patient","contact":[{"name":{"text":"a"}}]}`, []string{operation("delete", "Patient.contact[0].name.text")}, `{"resourceType":"Patient"}`},
		{"one of a list", `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"2"},{"value":"3"}]}`, []string{operation("delete", "Patient.identifier[1]")}, `{"resourceType":"Patient","identifier":[{"value":"1"},{"value":"3"}]}`},
		{"found by where()", `{"resourceType":"Patient","identifier":[{"system":"a","value":"1"},{"system":"b","value":"2"}]}`, []string{operation("delete", "Patient.identifier.where(system='a')")}, `{"resourceType":"Patient","identifier":[{"system":"b","value":"2"}]}`},
		{"the last of a list", `{"resourceType":"Patient","identifier":[{"value":"1"}]}`, []string{operation("delete", "Patient.identifier[0]")}, `{"resourceType":"Patient"}`},
		{"a primitive of a list", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"id":"a"},null]}]}`, []string{operation("delete", "Patient.name[0].given[0]")}, `{"resourceType":"Patient","name":[{"given":["B"]}]}`},
		{"an extension of a primitive", `{"resourceType":"Patient","birthDate":"1920","_birthDate":{"extension":[{"url":"u"}]}}`, []string{operation("delete", "Patient.birthDate.extension('u')")}, `{"resourceType":"Patient","birthDate":"1920"}`},
		{"an extension of a primitive in a list", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"extension":[{"url":"u"}]},{"id":"b"}]}]}`, []string{operation("delete", "Patient.name.given.extension('u')")}, `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]}`},
		{"a choice", `{"resourceType":"Observation","valueQuantity":{"value":1},"status":"final"}`, []string{operation("delete", "Observation.value")}, `{"resourceType":"Observation","status":"final"}`},
	})
}

// fhirpatch.html#concept, row "replace".
func TestFHIRPathPatch_Replace(t *testing.T) {
	t.Parallel()
	checkPatches(t, []patchRow{
		{"a primitive and its companion", `{"resourceType":"Patient","birthDate":"1920","_birthDate":{"id":"x"},"active":true}`, []string{operation("replace", "Patient.birthDate", value("Date", `"1930"`))}, `{"resourceType":"Patient","birthDate":"1930","active":true}`},
		{"a nested primitive", `{"resourceType":"Patient","contact":[{"name":{"text":"a"},"gender":"male"}]}`, []string{operation("replace", "Patient.contact[0].name.text", value("String", `"b"`))}, `{"resourceType":"Patient","contact":[{"name":{"text":"b"},"gender":"male"}]}`},
		{"a complex type", `{"resourceType":"Patient","maritalStatus":{"id":"1","text":"m"}}`, []string{operation("replace", "Patient.maritalStatus", value("CodeableConcept", `{"id":"2","text":"s"}`))}, `{"resourceType":"Patient","maritalStatus":{"id":"2","text":"s"}}`},
		{"an element of a list", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"id":"a"},null]}]}`, []string{operation("replace", "Patient.name.given[1]", value("String", `"C"`))}, `{"resourceType":"Patient","name":[{"given":["A","C"],"_given":[{"id":"a"},null]}]}`},
		{"a choice by another type, in its place", `{"resourceType":"Observation","valueQuantity":{"value":1},"status":"final"}`, []string{operation("replace", "Observation.value", value("String", `"high"`))}, `{"resourceType":"Observation","valueString":"high","status":"final"}`},
		{"a code and narrative given as strings", `{"resourceType":"Patient","text":{"status":"generated","div":"<div/>"},"gender":"male"}`, []string{operation("replace", "Patient.gender", value("String", `"female"`)), operation("replace", "Patient.text.div", value("String", `"<div>\u00e9</div>"`))}, `{"resourceType":"Patient","text":{"status":"generated","div":"<div>\u00e9</div>"},"gender":"female"}`},
		{"a backbone element", `{"resourceType":"Patient","contact":[{"gender":"male"}]}`, []string{operation("replace", "Patient.contact[0]", parts(`{"name":"gender","valueCode":"female"}`))}, `{"resourceType":"Patient","contact":[{"gender":"female"}]}`},
	})
}

// fhirpatch.html#concept, row "move".
func TestFHIRPathPatch_Move(t *testing.T) {
	t.Parallel()
	list := func(values string) string {
		return `{"resourceType":"Patient","identifier":[{"value":"` + strings.Join(strings.Split(values, ""), `"},{"value":"`) + `"}]}`
	}
	move := func(from, to int) string {
		return operation("move", "Patient.identifier", number("source", from), number("destination", to))
	}
	checkPatches(t, []patchRow{
		{"backwards", list("1234"), []string{move(3, 1)}, list("1423")},
		{"to the start", list("1234"), []string{move(3, 0)}, list("4123")},
		{"to the end", list("1234"), []string{move(0, 3)}, list("2341")},
		{"to where it is", list("1234"), []string{move(2, 2)}, list("1234")},
		{"several times", list("1234"), []string{move(3, 0), move(3, 1), move(3, 2)}, list("4321")},
		{"primitives with companions", `{"resourceType":"Patient","name":[{"given":["A","B","C"],"_given":[null,null,{"id":"c"}]}]}`, []string{operation("move", "Patient.name[0].given", number("source", 2), number("destination", 0))}, `{"resourceType":"Patient","name":[{"given":["C","A","B"],"_given":[{"id":"c"},null,null]}]}`},
	})
}

// fhirpatch.html#anonymous.
func TestFHIRPathPatch_AnonymousTypes(t *testing.T) {
	t.Parallel()
	checkPatches(t, []patchRow{
		{"parts named after elements", `{"resourceType":"Patient"}`, []string{operation("add", "Patient", name("contact"), parts(`{"name":"name","valueHumanName":{"text":"a name"}}`))}, `{"resourceType":"Patient","contact":[{"name":{"text":"a name"}}]}`},
		{
			"as deep as necessary", `{"resourceType":"Patient"}`,
			[]string{operation("add", "Patient", name("contact"), parts(
				`{"name":"telecom","valueContactPoint":{"value":"1"}}`, `{"name":"name","part":[{"name":"given","valueString":"A"},{"name":"given","valueString":"B","_valueString":{"id":"b"}}]}`,
				`{"name":"telecom","valueContactPoint":{"value":"2"}}`))},
			`{"resourceType":"Patient","contact":[{"telecom":[{"value":"1"},{"value":"2"}],"name":{"given":["A","B"],"_given":[null,{"id":"b"}]}}]}`,
		},
		{"choices inside", `{"resourceType":"Observation"}`, []string{operation("add", "Observation", name("component"), parts(`{"name":"code","valueCodeableConcept":{"text":"c"}}`, `{"name":"value","valueInteger":5}`))}, `{"resourceType":"Observation","component":[{"code":{"text":"c"},"valueInteger":5}]}`},
		{"a type that is referred to", `{"resourceType":"Questionnaire"}`, []string{operation("add", "Questionnaire", name("item"), parts(`{"name":"linkId","valueString":"1"}`, `{"name":"item","part":[{"name":"linkId","valueString":"1.1"}]}`))}, `{"resourceType":"Questionnaire","item":[{"linkId":"1","item":[{"linkId":"1.1"}]}]}`},
	})
}

// fhirpatch.html#concept: operations are applied in order, each to the result of the one before; all bytes that are not
// touched stay.
func TestFHIRPathPatch_InOrderAndBytesStay(t *testing.T) {
	t.Parallel()
	checkPatches(t, []patchRow{
		{"none", "{ \"resourceType\" : \"Patient\" }", nil, `{"resourceType":"Patient"}`},
		{
			"decimals, escapes and order", `{"resourceType":"Observation","valueQuantity":{"value":1.50,"unit":"m\u0067"},"component":[{"valueQuantity":{"value":2.00}}],"status":"final","zebra":1e5}`,
			[]string{operation("add", "Observation.component[0]", name("code"), value("CodeableConcept", `{"text":"x"}`)), operation("delete", "Observation.component[0].value"), operation("replace", "Observation.status", value("Code", `"amended"`))},
			`{"resourceType":"Observation","valueQuantity":{"value":1.50,"unit":"m\u0067"},"component":[{"code":{"text":"x"}}],"status":"amended","zebra":1e5}`,
		},
	})
	const doc = `{"resourceType":"Patient","birthDate":"1920"}`
	given := []byte(doc)
	if _, err := patch.FHIRPathPatch(given, parameters(operation("delete", "Patient.birthDate"), operation("delete", "Patient.foo"))); err == nil || string(given) != doc {
		t.Errorf("a failing patch must leave the resource alone: %s, %v", given, err)
	}
}

// fhirpatch.html#concept, base rules, and #format.
func TestFHIRPathPatch_Refuses(t *testing.T) {
	t.Parallel()
	const doc = `{"resourceType":"Patient","active":true,"birthDate":"1920","identifier":[{"value":"1"},{"value":"2"}],"name":[{"given":["A"]},{"given":["B"]}],"deceasedBoolean":false,"generalPractitioner":[{"reference":"Practitioner/1"}]}`
	for _, row := range []struct {
		operation, message string
		code               fault.Code
	}{
		{`{"name":"other"}`, `operation[0]: each parameter of a FHIRPath Patch has the name "operation"`, fault.CodeInvalid},
		{`{"name":"operation"}`, "operation[0]: an operation has parts: type, path and what the type needs", fault.CodeInvalid},
		{`{"name":"operation","part":[{"name":"kind"}]}`, "operation[0]: the parts of an operation are type, path, name, value, index, source and destination", fault.CodeInvalid},
		{`{"name":"operation","part":[{"name":"path"},{"name":"path"}]}`, "operation[0]: the part path occurs twice", fault.CodeInvalid},
		{`{"name":"operation","part":[{"name":"path","valueString":"a"}]}`, "operation[0]: the part type is missing", fault.CodeInvalid},
		{`{"name":"operation","part":[{"name":"type","valueCode":"add"}]}`, "operation[0] add: the part path is missing", fault.CodeInvalid},
		{operation("append", "Patient"), "operation[0]: the type of an operation is add, insert, delete, replace or move", fault.CodeInvalid},
		{operation("delete", "Patient."), "operation[0] delete: FHIRPath, character 9: expected a name after the point", fault.CodeInvalid},
		{operation("delete", "Observation.status"), "operation[0] delete: FHIRPath, character 1: the path starts with Observation, but the resource is of type Patient", fault.CodeInvalid},
		{operation("add", "Patient", value("Date", `"1"`)), "operation[0] add: the part name is missing", fault.CodeInvalid},
		{operation("add", "Patient", name("birthDate")), "operation[0] add: the part value is missing", fault.CodeInvalid},
		{operation("add", "Patient", name("birthDate"), `{"name":"value"}`), "operation[0] add: the value is missing: give value[x], a resource, or parts for a type that value[x] can't be", fault.CodeInvalid},
		{operation("add", "Patient", name("birthDate"), value("Date", `"1930"`)), "operation[0] add: Patient.birthDate is there already and does not repeat; use replace", fault.CodeUnprocessable},
		{operation("add", "Patient", name("deceased"), value("DateTime", `"1930"`)), "operation[0] add: Patient.deceased[x] is there already and does not repeat; use replace", fault.CodeUnprocessable},
		{operation("add", "Patient", name("zebra"), value("Date", `"1930"`)), "operation[0] add: Patient has no element of the name given", fault.CodeUnprocessable},
		{operation("add", "Patient.contact", name("gender"), value("Code", `"male"`)), "operation[0] add: no element matches the path", fault.CodeUnprocessable},
		{operation("add", "Patient.name", name("family"), value("String", `"x"`)), "operation[0] add: the path matches 2 elements and must match a single one", fault.CodeUnprocessable},
		{operation("add", "Patient", name("photo"), value("String", `"x"`)), "operation[0] add: Patient.photo can't be of type string; it is of type Attachment", fault.CodeUnprocessable},
		{operation("replace", "Patient.active", value("String", `"x"`)), "operation[0] replace: Patient.active can't be of type string; it is of type boolean", fault.CodeUnprocessable},
		{operation("replace", "Patient.active", value("Boolean", `"x"`)), "operation[0] replace: a value of type boolean can't be a string", fault.CodeUnprocessable},
		{operation("replace", "Patient.deceased", value("String", `"x"`)), "operation[0] replace: Patient.deceased[x] can't be of type string; it may be boolean, dateTime", fault.CodeUnprocessable},
		{operation("replace", "Patient.active", value("Zebra", `true`)), "operation[0] replace: there is no type for value[x] of this name", fault.CodeInvalid},
		{operation("replace", "Patient.gender", value("Code", `"male"`)), "operation[0] replace: no element matches the path", fault.CodeUnprocessable},
		{operation("replace", "Patient", value("Code", `"male"`)), "operation[0] replace: the resource itself can't be the target of replace", fault.CodeUnprocessable},
		{operation("replace", "Patient.identifier", value("Identifier", `{}`)), "operation[0] replace: the path matches 2 elements and must match a single one", fault.CodeUnprocessable},
		{operation("delete", "Patient"), "operation[0] delete: the resource itself can't be the target of delete", fault.CodeUnprocessable},
		{operation("delete", "Patient.identifier"), "operation[0] delete: the path matches 2 elements and must match a single one", fault.CodeUnprocessable},
		{operation("delete", "'x'"), "operation[0] delete: the path must lead to elements of the resource, and this one makes values of its own", fault.CodeInvalid},
		{operation("delete", "Patient.generalPractitioner.resolve()"), "operation[0] delete: FHIRPath, character 29: resolve() reaches contained resources only", fault.CodeInvalid},
		{operation("insert", "Patient.identifier", value("Identifier", `{}`)), "operation[0] insert: the part index is missing", fault.CodeInvalid},
		{operation("insert", "Patient.identifier", number("index", -1), value("Identifier", `{}`)), "operation[0] insert: the part index needs a valueInteger that is not negative", fault.CodeInvalid},
		{operation("insert", "Patient.identifier", number("index", 3), value("Identifier", `{}`)), "operation[0] insert: the list has 2 elements, so the index must be 0 to 2", fault.CodeUnprocessable},
		{operation("insert", "Patient.photo", number("index", 1), value("Attachment", `{}`)), "operation[0] insert: the list is empty, so the index must be 0", fault.CodeUnprocessable},
		{operation("insert", "Patient.birthDate", number("index", 0), value("Date", `"1930"`)), "operation[0] insert: the path must lead to a list, and this element does not repeat", fault.CodeUnprocessable},
		{operation("insert", "Patient.gender", number("index", 0), value("Code", `"male"`)), "operation[0] insert: the path must lead to a list, and this element does not repeat", fault.CodeUnprocessable},
		{operation("insert", "Patient.identifier.where(value='1')", number("index", 0), value("Identifier", `{}`)), "operation[0] insert: the path must lead to one whole list, not to a part of it or to several", fault.CodeUnprocessable},
		{operation("insert", "Patient.name.given", number("index", 0), value("String", `"x"`)), "operation[0] insert: the path must lead to one whole list, not to a part of it or to several", fault.CodeUnprocessable},
		{operation("move", "Patient.identifier", number("source", 2), number("destination", 0)), "operation[0] move: the list has 2 elements, so source and destination must be 0 to 1", fault.CodeUnprocessable},
		{operation("move", "Patient.photo", number("source", 0), number("destination", 0)), "operation[0] move: no element matches the path", fault.CodeUnprocessable},
		{operation("add", "Patient", name("contact"), parts(`{"name":"zebra","valueCode":"x"}`)), "operation[0] add: Patient.contact has no element of the name that a part of the value has", fault.CodeUnprocessable},
		{operation("add", "Patient", name("contact"), parts(`{"name":"gender","valueCode":"x"}`, `{"name":"gender","valueCode":"y"}`)), "operation[0] add: Patient.contact.gender is given twice and does not repeat", fault.CodeUnprocessable},
		{operation("add", "Patient", name("gender"), parts(`{"name":"id","valueString":"x"}`)), "operation[0] add: Patient.gender is of type code and can't be given as parts", fault.CodeUnprocessable},
		{operation("add", "Patient", name("contact"), `{"name":"value","resource":{}}`), "operation[0] add: Patient.contact is no place for a resource", fault.CodeUnprocessable},
	} {
		_, err := patch.FHIRPathPatch([]byte(doc), parameters(row.operation))
		if !fault.Is(err, row.code) || fault.Message(err) != row.message {
			t.Errorf("%s\n got %v\nwant %s", row.operation, err, row.message)
		}
		if d := fault.Details(err); len(d) != 1 || d[0].Expression != "Parameters.parameter[0]" || d[0].Line != 1 {
			t.Errorf("%s: details %+v", row.operation, d)
		}
	}
	for _, body := range []string{`[]`, `{"resourceType":"Patient"}`, `{"resourceType":"Parameters","parameter":{}}`} {
		if _, err := patch.FHIRPathPatch([]byte(doc), []byte(body)); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func patients(tb testing.TB) [][]byte {
	tb.Helper()
	f, err := os.Open("../../jsontape/testdata/examples.ndjson.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if bytes.HasPrefix(lines.Bytes(), []byte(`{"resourceType":"Patient"`)) {
			out = append(out, bytes.Clone(lines.Bytes()))
		}
	}
	return out
}

// TestFHIRPathPatch_AddAndDeleteGoesBack holds that adding to a list of a real resource and deleting what was added gives the
// very bytes back, and that moving there and back does.
func TestFHIRPathPatch_AddAndDeleteGoesBack(t *testing.T) {
	t.Parallel()
	docs := patients(t)
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.SampledFrom(docs).Draw(t, "doc")
		var d jsontape.Doc
		if err := d.Parse(doc); err != nil {
			t.Fatal(err)
		}
		field := rapid.SampledFrom([]string{"identifier:Identifier", "name:HumanName", "telecom:ContactPoint", "address:Address"}).Draw(t, "field")
		element, x, _ := strings.Cut(field, ":")
		count := d.Len(d.Get(d.Root(), element))
		index := rapid.IntRange(0, count).Draw(t, "index")
		path := "Patient." + element
		apply := func(doc []byte, operations ...string) []byte {
			out, err := patch.FHIRPathPatch(doc, parameters(operations...))
			if err != nil {
				t.Fatalf("%s: %v", operations, err)
			}
			if err := d.Parse(out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		added := apply(doc, operation("insert", path, number("index", index), value(x, `{"id":"n"}`)))
		if d.Text(d.Get(d.Index(d.Get(d.Root(), element), index), "id")) != "n" {
			t.Fatalf("not at %d: %s", index, added)
		}
		if back := apply(added, operation("delete", fmt.Sprintf("%s[%d]", path, index))); !bytes.Equal(back, doc) {
			t.Fatalf("got %s\nwant %s", back, doc)
		}
		to := rapid.IntRange(0, count).Draw(t, "to")
		moved := apply(added, operation("move", path, number("source", index), number("destination", to)), operation("move", path, number("source", to), number("destination", index)))
		if !bytes.Equal(moved, added) {
			t.Fatalf("got %s\nwant %s", moved, added)
		}
	})
}

// TestFHIRPathPatch_AnyOperation holds that whatever operation is applied, the result is a resource in JSON whose arrays of primitives
// and companions are in step and which has no empty objects or arrays, or the error has a code.
func TestFHIRPathPatch_AnyOperation(t *testing.T) {
	t.Parallel()
	const doc = `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}],"active":true,"_active":{"id":"a","extension":[{"url":"u","valueCode":"c"}]},"_gender":{"id":"g"},"birthDate":"1920",` +
		`"identifier":[{"value":"1"},{"value":"2"}],"name":[{"family":"F","given":["A",null,"C"],"_given":[null,{"id":"x","extension":[{"url":"u"}]},null]},{"_family":{"id":"f"}}],"deceasedBoolean":false,"contact":[{"name":{"text":"t"}}]}`
	paths := rapid.SampledFrom([]string{
		"Patient", "Patient.active", "Patient.active.extension", "Patient.active.extension('u')", "Patient.active.extension('u').value", "Patient.active.id", "Patient.gender", "Patient.gender.id", "Patient.birthDate",
		"Patient.identifier", "Patient.identifier[0]", "Patient.identifier.last().value", "Patient.name", "Patient.name[0]", "Patient.name[1]", "Patient.name[1].family", "Patient.name[1].family.id", "Patient.name[0].given", "Patient.name[0].given[0]",
		"Patient.name[0].given[1]", "Patient.name[0].given.extension", "Patient.name[0].given.id", "Patient.deceased", "Patient.contact", "Patient.contact.name", "Patient.contact.name.text", "Patient.contained[0]", "Patient.contained[0].id", "Patient.photo", "Patient.telecom",
	})
	values := rapid.SampledFrom([]string{
		value("String", `"s"`), value("Boolean", "true"), value("Date", `"2020"`), value("Identifier", `{"value":"v"}`), value("HumanName", `{"text":"v"}`), value("Extension", `{"url":"e"}`), value("DateTime", `"2020"`),
		`{"name":"value","valueString":"s","_valueString":{"id":"q"}}`, `{"name":"value","_valueString":{"id":"q"}}`, `{"name":"value","_valueCode":{"id":"q"}}`, parts(`{"name":"gender","valueCode":"male"}`), `{"name":"value","resource":{"resourceType":"Patient"}}`,
	})
	names := rapid.SampledFrom([]string{"extension", "id", "given", "family", "identifier", "name", "contact", "deceased", "gender", "birthDate", "contained", "value", "telecom"})
	rapid.Check(t, func(t *rapid.T) {
		var operations []string
		for range rapid.IntRange(1, 6).Draw(t, "operations") {
			all := []string{name(names.Draw(t, "name")), values.Draw(t, "value")}
			for _, p := range []string{"index", "source", "destination"} {
				all = append(all, number(p, rapid.IntRange(0, 3).Draw(t, p)))
			}
			operations = append(operations, operation(rapid.SampledFrom([]string{"add", "insert", "delete", "replace", "move"}).Draw(t, "kind"), paths.Draw(t, "path"), all...))
		}
		out := []byte(doc)
		for _, o := range operations {
			next, err := patch.FHIRPathPatch(out, parameters(o))
			if err != nil {
				if !fault.Is(err, fault.CodeInvalid) && !fault.Is(err, fault.CodeUnprocessable) {
					t.Fatalf("%s on %s: %v", o, out, err)
				}
				continue
			}
			checkShape(t, next, o)
			out = next
		}
	})
}

func checkShape(t *rapid.T, resource []byte, operation string) {
	var d jsontape.Doc
	if err := d.Parse(resource); err != nil {
		t.Fatalf("%s gives %s: %v", operation, resource, err)
	}
	for n := range jsontape.Node(d.Nodes()) { //nolint:gosec // small
		if k := d.Kind(n); (k == jsontape.Object || k == jsontape.Array) && d.Len(n) == 0 {
			t.Fatalf("%s leaves something empty: %s", operation, resource)
		}
		for m := d.First(n); d.Kind(n) == jsontape.Object && m >= 0; m = d.Next(m) {
			companion := d.Get(n, "_"+string(d.Key(m)))
			if companion >= 0 && d.Kind(m) == jsontape.Array && d.Len(companion) != d.Len(m) {
				t.Fatalf("%s: %s and its companion are out of step: %s", operation, d.Key(m), resource)
			}
		}
	}
}

func FuzzFHIRPathPatch(f *testing.F) {
	const doc = `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}],"active":true,"_active":{"id":"a"},"birthDate":"1920","identifier":[{"value":"1"},{"value":"2"}],"name":[{"given":["A",null],"_given":[null,{"id":"x"}]}],"deceasedBoolean":false}`
	for _, s := range []string{
		operation("add", "Patient", name("contact"), parts(`{"name":"name","part":[{"name":"given","valueString":"A"}]}`)),
		operation("insert", "Patient.name.given", number("index", 1), value("String", `"n"`)), operation("delete", "Patient.name.given[1]"),
		operation("replace", "Patient.deceased", value("DateTime", `"2020"`)), operation("move", "Patient.identifier", number("source", 0), number("destination", 1)),
		operation("add", "Patient.active", name("extension"), value("Extension", `{"url":"u"}`)), operation("add", "Patient.contained[0]", name("name"), value("String", `"n"`)),
	} {
		f.Add(doc, s)
	}
	f.Fuzz(func(t *testing.T, doc, operations string) {
		out, err := patch.FHIRPathPatch([]byte(doc), parameters(operations))
		if err != nil {
			if _, ok := fault.Of(err); !ok {
				t.Fatalf("%s on %s: %v", operations, doc, err)
			}
			return
		}
		var d jsontape.Doc
		if err := d.Parse(out); err != nil {
			t.Fatalf("%s on %s gives %s: %v", operations, doc, out, err)
		}
	})
}

func BenchmarkFHIRPathPatch(b *testing.B) {
	doc := patients(b)[0]
	operations := parameters(operation("replace", "Patient.birthDate", value("Date", `"1930-01-01"`)), operation("add", "Patient", name("identifier"), value("Identifier", `{"value":"1"}`)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := patch.FHIRPathPatch(doc, operations); err != nil && !fault.Is(err, fault.CodeUnprocessable) {
			b.Fatal(err)
		}
	}
}
