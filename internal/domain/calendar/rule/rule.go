package rule

import (
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/part"
	"ward/internal/format/ical"
)

// A rule must hold before a visit is booked. Each is one function over what is known about the visit, in a file of its own; it gives the
// reason against it in words that are shown to the person, empty when there is none.
type rule struct {
	name   string
	needs  func(s *availability.Service) bool // whether the service asks for it
	reason func(v *Visit) string
}

// all are the rules that there are.
func all() []rule {
	return []rule{
		{"age", func(s *availability.Service) bool { return s.MinimumAge != nil || s.MaximumAge != nil }, ageAccepted},
		{"licence", func(s *availability.Service) bool { return s.Licence }, licensed},
		{"coverage", func(s *availability.Service) bool { return s.Coverage }, payerActive},
	}
}

// Visit is what rules know about a visit.
type Visit struct {
	Starts  int64 // seconds
	Zone    *ical.Zone
	Service *availability.Service
	State   string // where the patient will be: "NY"; empty when it is not known

	Patient       Patient
	Practitioners []Practitioner // who need a licence
	Coverages     []Coverage
}

// Day is the date of the visit, as FHIR writes it.
func (v *Visit) Day() string {
	return time.Unix(v.Starts, 0).In(v.Zone.Location()).Format(time.DateOnly)
}

// Finding is a rule that does not hold, and why.
type Finding struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// Examine asks every rule that the service has.
func Examine(v *Visit) []Finding {
	var found []Finding
	for _, r := range all() {
		if !r.needs(v.Service) {
			continue
		}
		if reason := r.reason(v); reason != "" {
			found = append(found, Finding{r.name, reason})
		}
	}
	return found
}

// Refusal is the refusal of a visit by its rules: Unprocessable, with each reason.
func Refusal(found []Finding) error {
	details := make([]fault.Detail, len(found))
	texts := make([]string, len(found))
	for i, f := range found {
		details[i] = fault.Detail{Severity: "error", Kind: "business-rule", Message: f.Reason}
		texts[i] = f.Reason
	}
	return fault.Unprocessable("%s", strings.Join(texts, "; ")).Detail(details...)
}

// What rules read of FHIR resources.
type (
	// Patient is whose visit it is.
	Patient struct {
		BirthDate string         `json:"birthDate"`
		Address   []part.Address `json:"address"`
		Telecom   []part.Contact `json:"telecom"`
	}
	// Practitioner is somebody who needs a licence for the visit.
	Practitioner struct {
		Active        *bool `json:"active"`
		Qualification []struct {
			Extension []part.Extension `json:"extension"`
			Period    part.Period      `json:"period"`
		} `json:"qualification"`
	}
	// Coverage is an insurance of the patient.
	Coverage struct {
		Status string      `json:"status"`
		Period part.Period `json:"period"`
	}
	// Location is where the visit is.
	Location struct {
		Name    string       `json:"name"`
		Address part.Address `json:"address"`
	}
)
