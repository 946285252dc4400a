package oauth

import (
	"strings"
	"testing"
)

func TestScope_Parse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"patient/Observation.rs": "patient Observation rs ",
		"patient/*.cruds":        "patient * cruds ",
		"user/Patient.read":      "user Patient rs ",
		"system/*.*":             "system * cruds ",
		"user/Claim.write":       "user Claim cud ",
		"patient/Observation.rs?category=laboratory":              "patient Observation rs category=laboratory",
		"patient/Observation.rs?category=http://x|y&status=final": "patient Observation rs category=http://x|y&status=final",
		"patient/Observation":                                     "",
		"patient/Observation.":                                    "",
		"patient/Observation.sr":                                  "", // in another order
		"patient/Observation.rr":                                  "",
		"patient/Observation.x":                                   "",
		"patient/observation.rs":                                  "",
		"patient/.rs":                                             "",
		"patient/Obs-1.rs":                                        "",
		"patients/Observation.rs":                                 "",
		"patient/Observation.read?category=laboratory":            "", // version 1 has none
		"patient/Observation.rs?":                                 "",
		"patient/Observation.rs?%zz":                              "",
		"openid":                                                  "",
		"":                                                        "",
	} {
		got := ""
		if s, ok := parseScope(text); ok {
			got = s.context + " " + s.typ + " " + s.actions + " " + s.query
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestScope_Narrow(t *testing.T) {
	t.Parallel()
	registered := []string{"openid", "patient/*.rs", "patient/Condition.cud", "user/Observation.rs?category=laboratory", "system/Patient.read"}
	for text, want := range map[string]string{
		"openid":                                 "openid",
		"fhirUser":                               "",
		"patient/Observation.rs":                 "patient/Observation.rs",
		"patient/Observation.cruds":              "patient/Observation.rs",
		"patient/Observation.*":                  "patient/Observation.read",
		"patient/Observation.write":              "",
		"patient/Condition.cruds":                "patient/Condition.cruds",
		"patient/Observation.rs?code=1":          "patient/Observation.rs?code=1",
		"user/Observation.rs":                    "", // it would be more than the constraint allows
		"user/Observation.r?category=laboratory": "user/Observation.r?category=laboratory",
		"user/Observation.rs?category=vital":     "",
		"system/Patient.rs":                      "system/Patient.rs",
		"system/*.rs":                            "",
	} {
		got, ok := narrow(registered, text)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestScope_Words(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory": "Read and search measurements and laboratory results with category laboratory of this patient",
		"user/*.cruds":         "Read, search, add, change and delete all records that you may see yourself",
		"patient/Basic.read":   "Read and search records of the type Basic of this patient",
		"offline_access":       "Keep its access when you are away, until you take it back",
		"system/Patient.write": "Add, change and delete personal details of all patients",
	} {
		if got := words(text); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func FuzzScope(f *testing.F) {
	f.Add("patient/Observation.rs?category=laboratory")
	f.Add("user/*.*")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseScope(text)
		if !ok {
			return
		}
		if !s.covers(s) || words(text) == "" {
			t.Errorf("%q does not cover itself", text)
		}
		if got, ok := narrow([]string{text}, text); !ok || got != text {
			t.Errorf("%q narrows itself to %q", text, got)
		}
		for _, c := range s.actions {
			one := s.with(string(c))
			if again, ok := parseScope(one.text); !ok || again.actions != string(c) || !s.covers(again) {
				t.Errorf("%q: %q", text, one.text)
			}
		}
	})
}

func TestScope_ForRole(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"patient patient/Observation.cruds":           "patient/Observation.rs",
		"patient patient/Observation.*":               "patient/Observation.read",
		"patient patient/Observation.write":           "",
		"patient patient/*.cruds":                     "patient/*.crus",
		"patient patient/QuestionnaireResponse.cruds": "patient/QuestionnaireResponse.crus",
		"clinician user/Condition.cruds?status=x":     "user/Condition.cruds?status=x",
		"clinician user/AuditEvent.rs":                "",
		"auditor patient/Observation.rs":              "",
		"root patient/*.rs":                           "",
	} {
		role, scope, _ := strings.Cut(text, " ")
		s, ok := parseScope(scope)
		if !ok {
			t.Fatal(scope)
		}
		got := ""
		if s, ok = s.forRole(role); ok {
			got = s.text
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
