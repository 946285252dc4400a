package oauth

import (
	"net/url"
	"slices"
	"strings"
)

// words says in plain words what a scope lets an app do, for the consent page.
func words(scope string) string {
	switch scope {
	case scopeOpenID:
		return "Know that it is you who signed in"
	case scopeProfile:
		return "See your name"
	case scopeFHIRUser:
		return "See which record here is your own"
	case scopeOffline:
		return "Keep its access when you are away, until you take it back"
	case scopeOnline:
		return "Keep its access for as long as you are signed in"
	case scopeLaunch:
		return "Open with what you have on your screen"
	case scopePatient:
		return "Know which patient is chosen"
	case scopeEncounter:
		return "Know which encounter is chosen"
	}
	s, ok := parseScope(scope)
	if !ok {
		return scope
	}
	text := verbs(s.actions) + " " + plural(s.typ)
	if s.query != "" {
		text += " with " + conditions(s.query)
	}
	switch s.context {
	case contextPatient:
		return text + " of this patient"
	case contextUser:
		return text + " that you may see yourself"
	default:
		return text + " of all patients"
	}
}

func verbs(actions string) string {
	var list []string
	for _, v := range []struct{ action, verb string }{{"r", "read"}, {"s", "search"}, {"c", "add"}, {"u", "change"}, {"d", "delete"}} {
		if strings.Contains(actions, v.action) {
			list = append(list, v.verb)
		}
	}
	text := list[0]
	if n := len(list); n > 1 {
		text = strings.Join(list[:n-1], ", ") + " and " + list[n-1]
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

//nolint:gochecknoglobals // constant table
var typeWords = map[string]string{
	"*": "all records", "Patient": "personal details", "Observation": "measurements and laboratory results", "Condition": "problems and diagnoses",
	"AllergyIntolerance": "allergies", "MedicationRequest": "prescriptions", "MedicationStatement": "medicines taken", "Medication": "medicines",
	"Immunization": "vaccinations", "Procedure": "procedures", "DiagnosticReport": "reports of examinations", "DocumentReference": "documents",
	"Encounter": "visits and stays", "CarePlan": "care plans", "CareTeam": "care teams", "Goal": "goals of care", "Appointment": "appointments",
	"Practitioner": "details of practitioners", "Organization": "details of organizations", "Coverage": "insurance", "Claim": "claims",
	"ServiceRequest": "orders", "ImagingStudy": "images", "QuestionnaireResponse": "answers to questionnaires", "Device": "devices", "Provenance": "who wrote what",
}

func plural(typ string) string {
	if w, ok := typeWords[typ]; ok {
		return w
	}
	return "records of the type " + typ
}

func conditions(query string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		return query
	}
	var list []string
	for name, all := range values {
		for _, v := range all {
			if _, code, ok := strings.Cut(v, "|"); ok {
				v = code
			}
			list = append(list, name+" "+v)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " and ")
}
