package availability

import (
	"strconv"
)

// Service is something that can be booked, and what must hold before it is.
type Service struct {
	ID         string `json:"id,omitempty"`
	Title      string `json:"title"`
	Minutes    int    `json:"minutes"`
	MinimumAge *int   `json:"minimumAge,omitempty"` // years at the visit
	MaximumAge *int   `json:"maximumAge,omitempty"` // years at the visit, included
	Licence    bool   `json:"licence,omitempty"`    // the practitioner must be licensed in the state where the patient will be
	Coverage   bool   `json:"coverage,omitempty"`   // the patient's payer must be active on the day
	Telehealth bool   `json:"telehealth,omitempty"` // the patient is at home, not where the clinician is
}

// Check says what is wrong with a service. Errors: Invalid, naming each part.
func (s *Service) Check() error {
	var p Problems
	if s.Title == "" || len(s.Title) > 200 {
		p.Add("title", "must have 1 to 200 characters")
	}
	p.Minutes("minutes", s.Minutes, CellMinutes)
	const oldest = 150
	for part, age := range map[string]*int{"minimumAge": s.MinimumAge, "maximumAge": s.MaximumAge} {
		if age != nil && (*age < 0 || *age > oldest) {
			p.Add(part, "must be 0 to %d years", oldest)
		}
	}
	if s.MinimumAge != nil && s.MaximumAge != nil && *s.MinimumAge > *s.MaximumAge {
		p.Add("maximumAge", "must not be less than minimumAge")
	}
	return p.Err("the service can't be used")
}

// Plural is "1 year" and "2 years".
func Plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}
