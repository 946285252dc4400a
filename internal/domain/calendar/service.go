package calendar

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

func (s *Service) check() error {
	var p problems
	if s.Title == "" || len(s.Title) > 200 {
		p.add("title", "must have 1 to 200 characters")
	}
	p.minutes("minutes", s.Minutes, cellMinutes)
	const oldest = 150
	for part, age := range map[string]*int{"minimumAge": s.MinimumAge, "maximumAge": s.MaximumAge} {
		if age != nil && (*age < 0 || *age > oldest) {
			p.add(part, "must be 0 to %d years", oldest)
		}
	}
	if s.MinimumAge != nil && s.MaximumAge != nil && *s.MinimumAge > *s.MaximumAge {
		p.add("maximumAge", "must not be less than minimumAge")
	}
	return p.err("the service can't be used")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}
