package validate_test

import (
	"strconv"
	"strings"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
)

// row is a document and what is wrong with it: "kind expression: message" for each problem, in the order of the document.
type row struct {
	name, json string
	want       []string
}

func check(t *testing.T, rows []row) {
	t.Helper()
	v := validate.New(spec.R4())
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range problems(t, v, row.json, "") {
				got = append(got, d.Kind+" "+d.Expression+": "+d.Message)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(row.want, "\n"); g != w {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", row.json, g, w)
			}
		})
	}
}

func problems(t *testing.T, v *validate.Validator, text, resourceType string) []fault.Detail {
	t.Helper()
	var doc jsontape.Doc
	if err := doc.Parse([]byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v.Resource(&doc, doc.Root(), validate.Options{ResourceType: resourceType})
}

// obs is a valid Observation with more members.
func obs(more string) string {
	return `{"resourceType":"Observation","status":"final","code":{"text":"x"}` + more + `}`
}

// pat is a Patient with the members.
func pat(members string) string { return `{"resourceType":"Patient",` + members + `}` }

func TestResourceType(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"known", `{"resourceType":"Patient"}`, nil},
		{"not an object", `[]`, []string{"structure : a resource is a JSON object, not an array"}},
		{"missing", `{}`, []string{`required : resourceType is missing: add the name of the resource's type, such as "Patient"`}},
		{"not a string", `{"resourceType":1}`, []string{"structure : resourceType must be a string, not a number"}},
		{"unknown", `{"resourceType":"patient"}`, []string{`structure : resourceType is not a resource type of FHIR R4; names are case-sensitive, as in "Patient"`}},
		{"abstract", `{"resourceType":"DomainResource"}`, []string{`structure : resourceType is not a resource type of FHIR R4; names are case-sensitive, as in "Patient"`}},
		{"a data type", `{"resourceType":"HumanName"}`, []string{`structure : resourceType is not a resource type of FHIR R4; names are case-sensitive, as in "Patient"`}},
		{"of an entry", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Nope"}}]}`, []string{
			`structure Bundle.entry[0].resource: resourceType is not a resource type of FHIR R4; names are case-sensitive, as in "Patient"`,
		}},
	})
	got := problems(t, validate.New(spec.R4()), `{"resourceType":"Patient"}`, "Observation")
	if len(got) != 1 || got[0].Kind != "value" || got[0].Message != "resourceType must be Observation here" {
		t.Errorf("another type than the URL's: %+v", got)
	}
}

func TestProperties(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"unknown", pat(`"nome":"x"`), []string{"structure Patient: nome is not a property of Patient"}},
		{"unknown inside", pat(`"name":[{"first":"x"}]`), []string{
			"structure Patient.name[0]: first is not a property of HumanName",
		}},
		{"wrong case", pat(`"birthdate":"2000"`), []string{"structure Patient: birthdate is not a property of Patient; names are case-sensitive: birthDate"}},
		{"content in a key is not repeated", pat(`"John Smith 1970":1`), []string{"structure Patient: this property is not a property of Patient"}},
		{"choice without type", obs(`,"value":1`), []string{
			"structure Observation: value is not a property of Observation; write the type into the name: " +
				"valueQuantity, valueCodeableConcept, valueString, valueBoolean, valueInteger, valueRange, valueRatio, valueSampledData, ...",
		}},
		{"choice of a type that it does not have", obs(`,"valueInstant":"2000-01-01T00:00:00Z"`), []string{"structure Observation: valueInstant is not a property of Observation"}},
		{"underscore of no primitive", obs(`,"_subject":{"id":"x"}`), []string{
			"structure Observation: _subject is not a property of Observation; subject is not a primitive, so there is no _subject",
		}},
		{"underscore alone", obs(`,"_":{}`), []string{"structure Observation: _ is not a property of Observation"}},
		{"resourceType in a data type", pat(`"name":[{"resourceType":"HumanName","family":"x"}]`), []string{"structure Patient.name[0]: resourceType is not a property of HumanName"}},
		{"comments of DSTU2", pat(`"fhir_comments":["x"]`), []string{"structure Patient: fhir_comments is not a property of Patient"}},
	})
}

func TestCardinality(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"required are there", obs(""), nil},
		{"required missing", `{"resourceType":"Observation","code":{"text":"x"}}`, []string{
			"required Observation.status: status is required: one of registered, preliminary, final, amended, corrected, cancelled, entered-in-error, unknown",
		}},
		{"two missing", `{"resourceType":"Observation"}`, []string{
			"required Observation.status: status is required: one of registered, preliminary, final, amended, corrected, cancelled, entered-in-error, unknown",
			"required Observation.code: code is required",
		}},
		{"missing in a repeating element", obs(`,"component":[{"code":{"text":"a"}},{"valueInteger":1}]`), []string{"required Observation.component[1].code: code is required"}},
		{"required by its extension only", `{"resourceType":"Observation","_status":{"extension":[{"url":"http://x","valueCode":"unknown"}]},"code":{"text":"x"}}`, nil},
		{"required choice", `{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"reference":"Patient/1"}}`, []string{
			"required MedicationRequest.medication: one of medicationCodeableConcept, medicationReference is required",
		}},
		{"array where one is meant", pat(`"birthDate":["2000"]`), []string{"structure Patient.birthDate: birthDate occurs at most once: write it without the brackets"}},
		{"one where an array is meant", pat(`"name":{"family":"x"}`), []string{"structure Patient.name: name may repeat, so it must be an array: put it into brackets"}},
		{"array in an array", pat(`"name":[[{"family":"x"}]]`), []string{"structure Patient.name[0]: name must be a HumanName object, not an array"}},
		{"empty array", pat(`"name":[]`), []string{"structure Patient.name: an array must not be empty; leave name out instead"}},
		{"empty object", pat(`"name":[{}]`), []string{"structure Patient.name[0]: an object must not be empty; leave the property out instead"}},
		{"empty string", pat(`"language":""`), []string{"value Patient.language: a string must not be empty; leave language out instead"}},
		{"null", pat(`"birthDate":null`), []string{"structure Patient.birthDate: null is not a value; leave birthDate out instead"}},
		{"null object", pat(`"maritalStatus":null`), []string{"structure Patient.maritalStatus: maritalStatus must be a CodeableConcept object, not null"}},
		{"only an id and its extension", pat(`"maritalStatus":{"id":"a","_id":{"extension":[{"url":"http://x","valueCode":"y"}]}}`), []string{
			"invariant Patient.maritalStatus: ele-1: an element must have a value or children, an id alone is not enough",
		}},
		{"only an id", pat(`"maritalStatus":{"id":"a"}`), []string{"invariant Patient.maritalStatus: ele-1: an element must have a value or children, an id alone is not enough"}},
		{"a content reference", obs(`,"component":[{"code":{"text":"a"},"referenceRange":[{"text":"x"},{"bogus":1}]}]`), []string{
			"invariant Observation.component[0].referenceRange[1]: obs-3: one of low, high and text is required",
			"structure Observation.component[0].referenceRange[1]: bogus is not a property of Observation.referenceRange",
		}},
	})
}

func TestPrimitiveTypes(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"boolean", pat(`"active":true,"multipleBirthBoolean":false`), nil},
		{"boolean in quotes", pat(`"active":"true"`), []string{"structure Patient.active: active must be true or false without quotes, not a string"}},
		{"integer", pat(`"multipleBirthInteger":2`), nil},
		{"integer in quotes", pat(`"multipleBirthInteger":"2"`), []string{"structure Patient.multipleBirth: multipleBirthInteger must be a number, not a string; leave the quotes away"}},
		{"integer with a fraction", pat(`"multipleBirthInteger":2.0`), []string{
			"value Patient.multipleBirth: multipleBirthInteger must be a whole number from -2147483648 to 2147483647, written without fraction or exponent",
		}},
		{"string", pat(`"name":[{"family":1}]`), []string{"structure Patient.name[0].family: family must be a string, not a number"}},
		{"date", pat(`"birthDate":"1970-13-01"`), []string{"value Patient.birthDate: birthDate must be a date that exists: YYYY, YYYY-MM or YYYY-MM-DD"}},
		{"dateTime without zone", obs(`,"effectiveDateTime":"2020-01-01T10:00:00"`), []string{
			"value Observation.effective: effectiveDateTime must be a date or time that exists: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss followed by Z or an offset such as +02:00",
		}},
		{"id", pat(`"id":"a_b"`), []string{"value Patient.id: id must be an id: 1 to 64 of the letters A-Z and a-z, the digits, '-' and '.'"}},
		{"decimal", obs(`,"valueQuantity":{"value":"1.50"}`), []string{"structure Observation.value.value: value must be a number, not a string; leave the quotes away"}},
		{"base64", `{"resourceType":"Binary","contentType":"text/plain","data":"a"}`, []string{"value Binary.data: data must be base64: groups of four characters, padded with '='"}},
	})
}

func TestChoice(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"one", obs(`,"valueQuantity":{"value":1.50}`), nil},
		{"value and its extensions", obs(`,"valueString":"x","_valueString":{"id":"a"}`), nil},
		{"two", obs(`,"valueString":"x","valueInteger":1`), []string{"structure Observation.value: there can be only one value[x]: valueString is there already"}},
		{"two, one by its extensions", obs(`,"_valueString":{"extension":[{"url":"http://x","valueCode":"y"}]},"valueInteger":1`), []string{
			"structure Observation.value: there can be only one value[x]: valueString is there already",
		}},
		{"three", obs(`,"valueString":"x","valueInteger":1,"valueBoolean":true`), []string{
			"structure Observation.value: there can be only one value[x]: valueString is there already",
			"structure Observation.value: there can be only one value[x]: valueString is there already",
		}},
	})
}

func TestBinding(t *testing.T) {
	t.Parallel()
	const clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
	condition := func(status string) string {
		return `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":` + status + `}`
	}
	want := []string{"code-invalid Condition.clinicalStatus: clinicalStatus must have a coding that is one of active, recurrence, relapse, inactive, remission, resolved with system " + clinical}
	check(t, []row{
		{"code", pat(`"gender":"female"`), nil},
		{"not a code of the set", pat(`"gender":"F"`), []string{"code-invalid Patient.gender: gender must be one of male, female, other, unknown"}},
		{"codes are case-sensitive", pat(`"gender":"Female"`), []string{"code-invalid Patient.gender: gender must be one of male, female, other, unknown"}},
		{"a long list is named by its URL", `{"resourceType":"Linkage","item":[{"type":"source","resource":{"type":"x","display":"y"}},{"type":"no","resource":{"display":"z"}}]}`, []string{
			"code-invalid Linkage.item[1].type: type must be one of source, alternate, historical",
		}},
		{"concept", condition(`{"coding":[{"system":"` + clinical + `","code":"active"}]}`), nil},
		{"one of several codings is enough", condition(`{"coding":[{"system":"http://example.org","code":"1"},{"system":"` + clinical + `","code":"active"}]}`), nil},
		{"right code, wrong system", condition(`{"coding":[{"system":"http://example.org","code":"active"}]}`), want},
		{"right code, no system", condition(`{"coding":[{"code":"active"}]}`), want},
		{"text only", condition(`{"text":"active"}`), want},
		{"an extension says why there is none", condition(`{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}`), nil},
		{"many codes", `{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},"language":"de","participant":[{"individual":{"type":"Practitioner","display":"x"}}]}`, nil},
		{"UCUM is not listed", `{"resourceType":"Location","name":"x","position":{"longitude":1,"latitude":2}}`, nil},
	})
}

func TestReference(t *testing.T) {
	t.Parallel()
	subject := func(reference string) string { return obs(`,"subject":{` + reference + `}`) }
	want := func(typ string) []string {
		return []string{"value Observation.subject.reference: subject must refer to Device, Group, Location or Patient, not to " + typ}
	}
	check(t, []row{
		{"relative", subject(`"reference":"Patient/1"`), nil},
		{"with version", subject(`"reference":"Patient/1/_history/2"`), nil},
		{"absolute", subject(`"reference":"https://example.org/fhir/Patient/1"`), nil},
		{"uuid", subject(`"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`), nil},
		{"conditional", subject(`"reference":"Patient?identifier=http://x|1"`), nil},
		{"identifier only", subject(`"identifier":{"value":"1"}`), nil},
		{"another type", subject(`"reference":"Practitioner/1"`), want("Practitioner")},
		{"another type with version", subject(`"reference":"Practitioner/1/_history/1"`), want("Practitioner")},
		{"another type, absolute", subject(`"reference":"https://example.org/fhir/Practitioner/1"`), want("Practitioner")},
		{"another type, conditional", subject(`"reference":"Practitioner?identifier=1"`), want("Practitioner")},
		{"something else on the web", subject(`"reference":"https://example.org/a/b"`), nil},
		{"any type", obs(`,"focus":[{"reference":"Practitioner/1"}]`), nil},
		{"type", subject(`"reference":"Patient/1","type":"Patient"`), nil},
		{"type differs", subject(`"reference":"Patient/1","type":"Group"`), []string{"value Observation.subject.type: type must be Patient, as the reference says"}},
		{"type is not welcome", subject(`"type":"Practitioner","display":"x"`), []string{
			"value Observation.subject.type: subject must refer to Device, Group, Location or Patient, not to Practitioner",
		}},
		{"one target", pat(`"managingOrganization":{"reference":"Patient/1"}`), []string{
			"value Patient.managingOrganization.reference: managingOrganization must refer to Organization, not to Patient",
		}},
		{"in an extension: any", pat(`"extension":[{"url":"http://x","valueReference":{"reference":"Claim/1"}}]`), nil},
		{"empty", subject(`"reference":""`), []string{"value Observation.subject.reference: a string must not be empty; leave reference out instead"}},
	})
}

func TestContained(t *testing.T) {
	t.Parallel()
	with := func(contained, subject string) string {
		return obs(`,"contained":[` + contained + `],"subject":{"reference":"` + subject + `"}`)
	}
	check(t, []row{
		{"referred to", with(`{"resourceType":"Patient","id":"p"}`, "#p"), nil},
		{"not there", with(`{"resourceType":"Patient","id":"p"}`, "#q"), []string{
			"invariant Observation.contained[0]: dom-3: a contained resource must be referred to from the resource that contains it, or refer to it",
			"value Observation.subject.reference: ref-1: no contained resource has this id",
		}},
		{"none contained", obs(`,"subject":{"reference":"#q"}`), []string{"value Observation.subject.reference: ref-1: no contained resource has this id"}},
		{"of another type", with(`{"resourceType":"Claim","id":"p","language":1}`, "#p"), []string{
			"required Observation.contained[0].status: status is required: one of active, cancelled, draft, entered-in-error",
			"required Observation.contained[0].type: type is required",
			"required Observation.contained[0].use: use is required: one of claim, preauthorization, predetermination",
			"required Observation.contained[0].patient: patient is required",
			"required Observation.contained[0].created: created is required",
			"required Observation.contained[0].provider: provider is required",
			"required Observation.contained[0].priority: priority is required",
			"required Observation.contained[0].insurance: insurance is required",
			"structure Observation.contained[0].language: language must be a string, not a number",
			"value Observation.subject.reference: subject must refer to Device, Group, Location or Patient, not to Claim",
		}},
		{"refers to its container", obs(`,"contained":[{"resourceType":"Observation","id":"o","status":"final","code":{"text":"y"},"hasMember":[{"reference":"#"}]}]`), nil},
		{"referred to by a canonical", `{"resourceType":"Questionnaire","status":"draft","contained":[{"resourceType":"ValueSet","id":"v","status":"draft"}],"item":[{"linkId":"1","type":"choice","answerValueSet":"#v"}]}`, nil},
		{"referred to by another contained", obs(`,"contained":[{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"#o"}},{"resourceType":"Organization","id":"o","name":"x"}],"subject":{"reference":"#p"}`), nil},
		{"without id", with(`{"resourceType":"Patient"}`, "Patient/1"), []string{
			"required Observation.contained[0]: a contained resource must have an id, by which the resource refers to it",
		}},
		{"the same id twice", with(`{"resourceType":"Patient","id":"p"},{"resourceType":"Group","id":"p","type":"person","actual":true}`, "#p"), []string{
			"invariant Observation.contained[1]: dom-3: a contained resource must be referred to from the resource that contains it, or refer to it",
			"value Observation.contained[1]: two contained resources must not have the same id",
		}},
		{"nested", with(`{"resourceType":"Patient","id":"p","contained":[{"resourceType":"Patient","id":"q"}]}`, "#p"), []string{
			"invariant Observation.contained[0]: dom-2: a contained resource must not contain resources; contain them all in the outermost one",
		}},
		{"with a version", with(`{"resourceType":"Patient","id":"p","meta":{"versionId":"1","lastUpdated":"2020-01-01T00:00:00Z","security":[{"code":"R"}]}}`, "#p"), []string{
			"invariant Observation.contained[0]: dom-4: a contained resource must not have meta.versionId",
			"invariant Observation.contained[0]: dom-4: a contained resource must not have meta.lastUpdated",
			"invariant Observation.contained[0]: dom-5: a contained resource must not have a security label of its own",
		}},
		{"an entry has its own", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + with(`{"resourceType":"Patient","id":"p"}`, "#p") + `},{"resource":` + obs(`,"subject":{"reference":"#p"}`) + `}]}`, []string{
			"value Bundle.entry[1].resource.subject.reference: ref-1: no contained resource has this id",
		}},
	})
}

func TestContained_Many(t *testing.T) {
	t.Parallel()
	var contained, members strings.Builder
	for i := range 500 {
		if i > 0 {
			contained.WriteByte(',')
			members.WriteByte(',')
		}
		id := strconv.Itoa(i)
		contained.WriteString(`{"resourceType":"Patient","id":"p` + id + `"}`)
		members.WriteString(`{"entity":{"reference":"#p` + id + `"}}`)
	}
	got := problems(t, validate.New(spec.R4()),
		`{"resourceType":"Group","type":"person","actual":true,"contained":[`+contained.String()+`],"member":[`+members.String()+`,{"entity":{"reference":"#p500"}}]}`, "")
	if len(got) != 1 || got[0].Expression != "Group.member[500].entity.reference" {
		t.Errorf("%+v", got)
	}
}

func TestUnderscore(t *testing.T) {
	t.Parallel()
	const ext = `{"extension":[{"url":"http://x","valueCode":"y"}]}`
	check(t, []row{
		{"beside its value", pat(`"birthDate":"1970","_birthDate":` + ext), nil},
		{"an id is enough beside a value", pat(`"birthDate":"1970","_birthDate":{"id":"a"}`), nil},
		{"an id is not enough alone", pat(`"_birthDate":{"id":"a"}`), []string{"invariant Patient.birthDate: ele-1: an element must have a value or children, an id alone is not enough"}},
		{"other members", pat(`"birthDate":"1970","_birthDate":{"value":"x"}`), []string{"structure Patient.birthDate: value is not a property of Element"}},
		{"not an object", pat(`"birthDate":"1970","_birthDate":"x"`), []string{
			"structure Patient.birthDate: _birthDate holds the id and the extensions of birthDate, so it must be an object, not a string",
		}},
		{"array", pat(`"name":[{"given":["a",null],"_given":[null,` + ext + `]}]`), nil},
		{"array before its values", pat(`"name":[{"_given":[null,` + ext + `],"given":["a",null]}]`), nil},
		{"array alone", pat(`"name":[{"_given":[` + ext + `]}]`), nil},
		{"a gap that nothing fills", pat(`"name":[{"given":["a",null]}]`), []string{"structure Patient.name[0].given[1]: null is only for a gap that _given fills at the same place"}},
		{"a gap in both", pat(`"name":[{"given":["a",null],"_given":[` + ext + `,null]}]`), []string{
			"structure Patient.name[0].given[1]: null is only for a gap that _given fills at the same place",
		}},
		{"lengths differ", pat(`"name":[{"given":["a","b"],"_given":[` + ext + `]}]`), []string{
			"structure Patient.name[0].given: _given and given must be equally long; fill the gaps with null",
		}},
		{"an object for an array", pat(`"name":[{"given":["a"],"_given":` + ext + `}]`), []string{
			"structure Patient.name[0].given: _given must be an array with an entry, or null, for each of given",
		}},
		{"null alone", pat(`"name":[{"family":"x","_given":[null]}]`), []string{"structure Patient.name[0].given[0]: null stands here for a gap that no entry of given fills"}},
	})
}

func TestExtension(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"value", pat(`"extension":[{"url":"http://x","valueString":"y"}]`), nil},
		{"extensions", pat(`"extension":[{"url":"http://x","extension":[{"url":"a","valueString":"y"}]}]`), nil},
		{"both", pat(`"extension":[{"url":"http://x","valueString":"y","extension":[{"url":"a","valueString":"y"}]}]`), []string{
			"invariant Patient.extension[0]: ext-1: extension must not be there together with value",
		}},
		{"neither", pat(`"extension":[{"url":"http://x"}]`), []string{"invariant Patient.extension[0]: ext-1: one of value and extension is required"}},
		{"no url", pat(`"extension":[{"valueString":"y"}]`), []string{"required Patient.extension[0].url: url is required"}},
		{"two values", pat(`"extension":[{"url":"http://x","valueString":"y","valueCode":"z"}]`), []string{
			"structure Patient.extension[0].value: there can be only one value[x]: valueString is there already",
		}},
		{"modifier where none may be", pat(`"name":[{"family":"x","modifierExtension":[{"url":"http://x","valueString":"y"}]}]`), []string{
			"structure Patient.name[0]: modifierExtension is not a property of HumanName",
		}},
	})
}

func TestInvariants(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"obs-6", obs(`,"valueInteger":1,"dataAbsentReason":{"text":"x"}`), []string{"invariant Observation: obs-6: value must not be there together with dataAbsentReason"}},
		{"obs-7 the same code twice", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s:x","code":"1"}]},"valueInteger":1,"component":[{"code":{"coding":[{"system":"s:x","code":"1"}]},"valueInteger":2}]}`, []string{
			"invariant Observation: obs-7: a component must not have the code of the observation when the observation has a value",
		}},
		{"obs-7 no value", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s:x","code":"1"}]},"component":[{"code":{"coding":[{"system":"s:x","code":"1"}]},"valueInteger":2}]}`, nil},
		{"qty-3", obs(`,"valueQuantity":{"value":1,"code":"mg"}`), []string{"invariant Observation.value: qty-3: system is required where there is code"}},
		{"sqty-1", obs(`,"referenceRange":[{"low":{"value":1,"comparator":"<"}}]`), []string{
			"invariant Observation.referenceRange[0].low: sqty-1: a comparator must not be there, the quantity is exact here",
		}},
		{"cpt-2", pat(`"telecom":[{"value":"1"}]`), []string{"invariant Patient.telecom[0]: cpt-2: system is required where there is value"}},
		{"pat-1", pat(`"contact":[{"gender":"male"}]`), []string{"invariant Patient.contact[0]: pat-1: one of name, telecom, address and organization is required"}},
		{"per-1", obs(`,"effectivePeriod":{"start":"2020-01-02","end":"2020-01-01"}`), []string{"invariant Observation.effective: per-1: start must not be after end"}},
		{"per-1 different precision", obs(`,"effectivePeriod":{"start":"2020-01-02","end":"2020"}`), nil},
		{"per-1 years", obs(`,"effectivePeriod":{"start":"2021","end":"2020-12-31"}`), []string{"invariant Observation.effective: per-1: start must not be after end"}},
		{"per-1 zones", obs(`,"effectivePeriod":{"start":"2020-01-01T12:00:00+02:00","end":"2020-01-01T10:30:00Z"}`), nil},
		{"per-1 zones, after", obs(`,"effectivePeriod":{"start":"2020-01-01T12:00:00Z","end":"2020-01-01T13:30:00+02:00"}`), []string{"invariant Observation.effective: per-1: start must not be after end"}},
		{"per-1 fractions", obs(`,"effectivePeriod":{"start":"2020-01-01T12:00:00.5Z","end":"2020-01-01T12:00:00.49Z"}`), []string{"invariant Observation.effective: per-1: start must not be after end"}},
		{"per-1 same day, unknown zone", obs(`,"effectivePeriod":{"start":"2020-01-01T23:00:00-05:00","end":"2020-01-01"}`), nil},
		{"tim-2", `{"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"Patient/1"},"occurrenceTiming":{"repeat":{"period":-1}}}`, []string{
			"invariant ServiceRequest.occurrence.repeat: tim-2: periodUnit is required where there is period",
			"invariant ServiceRequest.occurrence.repeat: tim-5: period must not be negative",
		}},
		{"con-5", `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},` +
			`"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"entered-in-error"}]}}`, []string{
			"invariant Condition: con-5: clinicalStatus must not be there when verificationStatus is entered-in-error",
		}},
		{"con-4", `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"abatementString":"x","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}`, []string{
			"invariant Condition: con-4: a condition that has abated must have the clinicalStatus inactive, resolved or remission",
		}},
		{"ait-1", `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"}}`, []string{
			"invariant AllergyIntolerance: ait-1: clinicalStatus is required unless verificationStatus is entered-in-error",
		}},
		{"bdl-1", `{"resourceType":"Bundle","type":"collection","total":1}`, []string{"invariant Bundle: bdl-1: total is only for searchset and history"}},
		{"bdl-3", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"}}]}`, []string{
			"invariant Bundle.entry[0]: bdl-3: request is required in batch, transaction and history",
		}},
		{"bdl-3 surplus", `{"resourceType":"Bundle","type":"searchset","entry":[{"request":{"method":"GET","url":"x"}}]}`, []string{
			"invariant Bundle.entry[0]: bdl-3: request is only for batch, transaction and history",
		}},
		{"bdl-5", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:x"}]}`, []string{"invariant Bundle.entry[0]: bdl-5: one of resource, request and response is required"}},
		{"bdl-8", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://x/Patient/1/_history/2","resource":{"resourceType":"Patient"}}]}`, []string{
			"invariant Bundle.entry[0]: bdl-8: fullUrl must not name a version",
		}},
		{"bdl-7", `{"resourceType":"Bundle","type":"collection","entry":[
			{"fullUrl":"urn:x","resource":{"resourceType":"Patient"}},{"fullUrl":"urn:x","resource":{"resourceType":"Patient","meta":{"versionId":"2"}}},
			{"fullUrl":"urn:x","resource":{"resourceType":"Patient"}}]}`, []string{
			"invariant Bundle.entry[2]: bdl-7: fullUrl must be unique in a bundle, or its resources have different versions",
		}},
		{"bdl-9, bdl-10, bdl-11", `{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Patient"}}]}`, []string{
			"invariant Bundle: bdl-9: a document must have an identifier with a system and a value",
			"invariant Bundle: bdl-10: a document must have a timestamp",
			"invariant Bundle.entry[0]: bdl-11: the first resource of a document must be a Composition",
		}},
		{"rat-1", obs(`,"valueRatio":{"numerator":{"value":1}}`), []string{"invariant Observation.value: rat-1: denominator is required where there is numerator"}},
	})
}

func TestBundle(t *testing.T) {
	t.Parallel()
	check(t, []row{
		{"problems in entries", `{"resourceType":"Bundle","type":"transaction","entry":[
			{"resource":{"resourceType":"Patient","gender":"F"},"request":{"method":"POST","url":"Patient"}},
			{"resource":{"resourceType":"Observation","status":"final","code":{},"subject":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}},"request":{"method":"post","url":"Observation"}}]}`, []string{
			"code-invalid Bundle.entry[0].resource.gender: gender must be one of male, female, other, unknown",
			"structure Bundle.entry[1].resource.code: an object must not be empty; leave the property out instead",
			"code-invalid Bundle.entry[1].request.method: method must be one of GET, HEAD, POST, PUT, DELETE, PATCH",
		}},
		{"Parameters", `{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Patient","gender":"F"}},{"name":"b","part":[{"name":"c","valueCode":"x "}]}]}`, []string{
			"code-invalid Parameters.parameter[0].resource.gender: gender must be one of male, female, other, unknown",
			"value Parameters.parameter[1].part[0].value: valueCode must be a code: no white space before, after, or twice in a row",
		}},
	})
}

func TestNarrative(t *testing.T) {
	t.Parallel()
	text := func(div string) string {
		return pat(`"text":{"status":"generated","div":` + strconv.Quote(div) + `}`)
	}
	in := func(content string) string {
		return text(`<div xmlns="http://www.w3.org/1999/xhtml">` + content + `</div>`)
	}
	const at = "value Patient.text.div: div must be well-formed XHTML: "
	check(t, []row{
		{"plain", in("hello"), nil},
		{"formatted", in(`<p style="color:red">a &amp; b<br/>c</p><table><tr><td>1</td></tr></table><img src='#p' alt=""/><!-- c --><a href="https://x">y</a>&#160;`), nil},
		{"status", pat(`"text":{"status":"made","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}`), []string{
			"code-invalid Patient.text.status: status must be one of generated, extensions, additional, empty",
		}},
		{"no div", text("hello"), []string{`value Patient.text.div: div must be XHTML that starts with <div xmlns="http://www.w3.org/1999/xhtml">`}},
		{"no namespace", text("<div>hello</div>"), []string{`value Patient.text.div: the first div must say xmlns="http://www.w3.org/1999/xhtml"`}},
		{"another namespace", text(`<div xmlns="http://x">hello</div>`), []string{`value Patient.text.div: xmlns must be http://www.w3.org/1999/xhtml`}},
		{"not closed", text(`<div xmlns="http://www.w3.org/1999/xhtml">hello`), []string{at + "<div> is not closed"}},
		{"crossed", in("<b><i>x</b></i>"), []string{at + "<i> is closed by another element's end"}},
		{"br as in HTML", in("a<br>b"), []string{at + "<br> is closed by another element's end"}},
		{"bare ampersand", in("a & b"), []string{at + "'&' starts an entity such as &amp;"}},
		{"bare less-than", in("a < b"), []string{at + "'<' starts a tag; write &lt; for the character"}},
		{"attribute without quotes", in("<p id=1>x</p>"), []string{at + "in a tag, an attribute's value must be in quotes"}},
		{"something after", text(`<div xmlns="http://www.w3.org/1999/xhtml">x</div><p>y</p>`), []string{"value Patient.text.div: div must end with the </div> that closes its first <div>"}},
		{"script", in("<script>alert(1)</script>"), []string{
			"invariant Patient.text.div: txt-1: the narrative has an element that FHIR does not allow; basic formatting, tables, lists, links and images are",
		}},
		{"event handler", in(`<p onclick="x()">y</p>`), []string{
			"invariant Patient.text.div: txt-1: the narrative has an attribute that FHIR does not allow; event handlers and forms are not",
		}},
		{"script in a link", in(`<a href=" JavaScript:x()">y</a>`), []string{"invariant Patient.text.div: txt-1: the narrative must not have scripts"}},
		{"declaration", in(`<!DOCTYPE html>x`), []string{
			"invariant Patient.text.div: txt-1: the narrative must not have declarations, CDATA sections or processing instructions",
		}},
	})
}

func TestPositions(t *testing.T) {
	t.Parallel()
	got := problems(t, validate.New(spec.R4()), "{\n  \"resourceType\": \"Observation\",\n  \"Status\": \"final\",\n  \"code\": {\"text\": \"é\", \"x\": 1},\n  \"component\": [\n    {\"code\": {\"text\": \"a\"}},\n    {}\n  ]\n}", "")
	want := []string{
		"1:1 Observation.status",
		"3:3 Observation",
		"4:25 Observation.code",
		"7:5 Observation.component[1]",
		"7:5 Observation.component[1].code",
	}
	for i, d := range got {
		have := strconv.Itoa(d.Line) + ":" + strconv.Itoa(d.Column) + " " + d.Expression
		if i >= len(want) || have != want[i] {
			t.Errorf("problem %d: %s: %s", i, have, d.Message)
		}
		if d.Severity != "error" {
			t.Errorf("severity %q", d.Severity)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d problems, want %d", len(got), len(want))
	}
}

func TestMaxProblems(t *testing.T) {
	t.Parallel()
	v := validate.New(spec.R4())
	for n, want := range map[int]int{99: 99, 100: 100, 101: 101, 5000: 101} {
		got := problems(t, v, pat(`"name":[`+strings.Repeat(`{},`, n-1)+`{}]`), "")
		if len(got) != want {
			t.Errorf("%d problems are listed as %d, want %d", n, len(got), want)
		}
		if last := got[len(got)-1]; (last.Severity == "information") != (n > 100) {
			t.Errorf("%d problems end with %+v", n, last)
		}
	}
}

// TestMessages_NoContent looks for the document's values in what is said about them: they are patients' data.
func TestMessages_NoContent(t *testing.T) {
	t.Parallel()
	v := validate.New(spec.R4())
	const secret = "Zaphod-Beeblebrox"
	for _, text := range []string{
		pat(`"gender":"` + secret + `"`), pat(`"birthDate":"` + secret + `"`), pat(`"` + secret + `":1`), pat(`"id":"` + secret + `_"`),
		obs(`,"subject":{"reference":"#` + secret + `","type":"` + secret + `"}`), `{"resourceType":"` + secret + `"}`,
		pat(`"text":{"status":"generated","div":"<div xmlns=\"` + secret + `\"><` + secret + `>` + secret + `</div>"}`),
	} {
		for _, d := range problems(t, v, text, "") {
			if strings.Contains(d.Message+d.Expression, secret) {
				t.Errorf("%s: %s", d.Expression, d.Message)
			}
		}
	}
}
