package load

import (
	"context"
	"errors"
)

// step is one of the nine types of the cycle. Its text refers to the ids made before it as {Type}; {state} changes
// between the create and the update.
type step struct {
	typ, text, before, after string
}

//nolint:gochecknoglobals // constant table
var steps = []step{
	{"Organization", `"active":{state},"name":"Harbour Clinic","telecom":[{"system":"phone","value":"555-0100"}]`, "true", "false"},
	{"Practitioner", `"active":{state},"name":[{"family":"Lindqvist","given":["Maja"]}],"gender":"female"`, "true", "false"},
	{"Patient", `"active":{state},"name":[{"family":"Okafor","given":["Chidi"]}],"gender":"male","birthDate":"1971-04-09","managingOrganization":{"reference":"Organization/{Organization}"}`, "true", "false"},
	{"Encounter", `"status":"{state}","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"Patient/{Patient}"},"participant":[{"individual":{"reference":"Practitioner/{Practitioner}"}}],"serviceProvider":{"reference":"Organization/{Organization}"},"period":{"start":"2024-05-06T08:00:00Z"}`, "in-progress", "finished"},
	{"Condition", `"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"{state}"}]},"code":{"coding":[{"system":"http://snomed.info/sct","code":"38341003","display":"Hypertensive disorder"}]},"subject":{"reference":"Patient/{Patient}"},"encounter":{"reference":"Encounter/{Encounter}"},"recordedDate":"2024-05-06"`, "active", "resolved"},
	{"Observation", `"status":"{state}","code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic blood pressure"}]},"subject":{"reference":"Patient/{Patient}"},"encounter":{"reference":"Encounter/{Encounter}"},"effectiveDateTime":"2024-05-06T08:10:00Z","valueQuantity":{"value":151.0,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}`, "preliminary", "final"},
	{"MedicationRequest", `"status":"{state}","intent":"order","medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"314076","display":"lisinopril 10 MG Oral Tablet"}]},"subject":{"reference":"Patient/{Patient}"},"encounter":{"reference":"Encounter/{Encounter}"},"authoredOn":"2024-05-06","requester":{"reference":"Practitioner/{Practitioner}"},"reasonReference":[{"reference":"Condition/{Condition}"}]`, "active", "completed"},
	{"Procedure", `"status":"{state}","code":{"coding":[{"system":"http://snomed.info/sct","code":"46973005","display":"Blood pressure taking"}]},"subject":{"reference":"Patient/{Patient}"},"encounter":{"reference":"Encounter/{Encounter}"},"performedDateTime":"2024-05-06T08:10:00Z"`, "in-progress", "completed"},
	{"DiagnosticReport", `"status":"{state}","code":{"coding":[{"system":"http://loinc.org","code":"55284-4"}]},"subject":{"reference":"Patient/{Patient}"},"encounter":{"reference":"Encounter/{Encounter}"},"effectiveDateTime":"2024-05-06T08:10:00Z","result":[{"reference":"Observation/{Observation}"}]`, "preliminary", "final"},
}

var errNoLocation = errors.New("the answer to a create has no Location")

// cycle creates the nine types, each linked to those before, reads, updates and deletes them: 36 requests.
func cycle(ctx context.Context, w *worker) error {
	if w.ids == nil {
		w.ids = make(map[string]string, len(steps))
	}
	for i := range steps {
		s := &steps[i]
		w.doc = s.append(w.doc[:0], w.ids, "", s.before)
		a, err := w.to("/").and(s.typ).send(ctx, "POST", w.doc, 1)
		if err != nil {
			return err
		}
		id := idOf(a.Location, s.typ)
		if id == "" {
			w.failed("POST " + s.typ + ": " + errNoLocation.Error())
			return errNoLocation
		}
		w.ids[s.typ] = id
	}
	for i := range steps {
		if _, err := w.instance(&steps[i]).send(ctx, "GET", nil, 1); err != nil {
			return err
		}
	}
	for i := range steps {
		s := &steps[i]
		w.doc = s.append(w.doc[:0], w.ids, w.ids[s.typ], s.after)
		if _, err := w.instance(s).send(ctx, "PUT", w.doc, 1); err != nil {
			return err
		}
	}
	for i := len(steps) - 1; i >= 0; i-- {
		if _, err := w.instance(&steps[i]).send(ctx, "DELETE", nil, 1); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) instance(s *step) *worker {
	return w.to("/").and(s.typ).and("/").and(w.ids[s.typ])
}

// append writes the resource with the ids filled in.
func (s *step) append(dst []byte, ids map[string]string, id, state string) []byte {
	dst = append(append(append(dst, `{"resourceType":"`...), s.typ...), `",`...)
	if id != "" {
		dst = append(append(append(dst, `"id":"`...), id...), `",`...)
	}
	text := s.text
	for {
		from, to := hole(text)
		if from < 0 {
			return append(append(dst, text...), '}')
		}
		dst = append(dst, text[:from]...)
		if name := text[from+1 : to]; name == "state" {
			dst = append(dst, state...)
		} else {
			dst = append(dst, ids[name]...)
		}
		text = text[to+1:]
	}
}

// hole finds the first {name} of the text: letters only, so that JSON's own braces are not taken for one.
func hole(text string) (from, to int) {
	for i := range len(text) {
		if text[i] != '{' {
			continue
		}
		j := i + 1
		for j < len(text) && (text[j]|0x20 >= 'a' && text[j]|0x20 <= 'z') {
			j++
		}
		if j > i+1 && j < len(text) && text[j] == '}' {
			return i, j
		}
	}
	return -1, -1
}
