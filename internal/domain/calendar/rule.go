package calendar

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/ical"
)

// A rule must hold before a visit is booked. Each is one function over what is known about the visit, in a file of its own; it gives the
// reason against it in words that are shown to the person, empty when there is none.
type rule struct {
	name   string
	needs  func(s *Service) bool // whether the service asks for it
	reason func(v *visit) string
}

// bookingRules are all that there are.
func bookingRules() []rule {
	return []rule{
		{"age", func(s *Service) bool { return s.MinimumAge != nil || s.MaximumAge != nil }, ageAccepted},
		{"licence", func(s *Service) bool { return s.Licence }, licensed},
		{"coverage", func(s *Service) bool { return s.Coverage }, payerActive},
	}
}

// visit is what rules know about a visit.
type visit struct {
	starts, ends int64
	zone         *ical.Zone
	service      *Service
	state        string // where the patient will be: "NY"; empty when it is not known

	patient       fhirPatient
	practitioners []fhirPractitioner // who need a licence
	coverages     []fhirCoverage
}

// day is the date of the visit, as FHIR writes it.
func (v *visit) day() string {
	return time.Unix(v.starts, 0).In(v.zone.Location()).Format(time.DateOnly)
}

// Finding is a rule that does not hold, and why.
type Finding struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// examine asks every rule that the service has.
func (b *Booking) examine(v *visit) []Finding {
	var found []Finding
	for _, r := range b.rules {
		if !r.needs(v.service) {
			continue
		}
		if reason := r.reason(v); reason != "" {
			found = append(found, Finding{r.name, reason})
		}
	}
	return found
}

// errFindings is the refusal of a visit by its rules: Unprocessable, with each reason.
func errFindings(found []Finding) error {
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
	fhirPatient struct {
		BirthDate string        `json:"birthDate"`
		Address   []fhirAddress `json:"address"`
		Telecom   []fhirTelecom `json:"telecom"`
	}
	fhirAddress struct {
		Use    string     `json:"use"`
		State  string     `json:"state"`
		Period fhirPeriod `json:"period"`
	}
	fhirTelecom struct {
		System string     `json:"system"`
		Value  string     `json:"value"`
		Rank   int        `json:"rank"`
		Period fhirPeriod `json:"period"`
	}
	fhirPeriod struct {
		Start string `json:"start"`
		End   string `json:"end"`
	}
	fhirCoding struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
	fhirConcept struct {
		Coding []fhirCoding `json:"coding"`
		Text   string       `json:"text"`
	}
	fhirExtension struct {
		URL       string          `json:"url"`
		Extension []fhirExtension `json:"extension"`
		Concept   fhirConcept     `json:"valueCodeableConcept"`
		Coding    fhirCoding      `json:"valueCoding"`
		Code      string          `json:"valueCode"`
		Text      string          `json:"valueString"`
	}
	fhirPractitioner struct {
		Active        *bool `json:"active"`
		Qualification []struct {
			Extension []fhirExtension `json:"extension"`
			Period    fhirPeriod      `json:"period"`
		} `json:"qualification"`
	}
	fhirCoverage struct {
		Status string     `json:"status"`
		Period fhirPeriod `json:"period"`
	}
	fhirLocation struct {
		Name    string      `json:"name"`
		Address fhirAddress `json:"address"`
	}
)

// covers says whether a period includes a day. What is not said is open; a year or month stands for all of its days.
func (p fhirPeriod) covers(day string) bool {
	if s := p.Start; s != "" {
		n := min(len(s), len(day))
		if s[:n] > day[:n] {
			return false
		}
	}
	if e := p.End; e != "" {
		n := min(len(e), len(day))
		if e[:n] < day[:n] {
			return false
		}
	}
	return true
}

// visitOf reads what the rules of a service need to know. What it reads is not shown.
func (b *Booking) visitOf(ctx context.Context, service *Service, d *booking, licence []string) (*visit, error) {
	zone, err := ical.LoadZone(d.Zone)
	if err != nil {
		return nil, err
	}
	v := &visit{starts: d.starts, ends: d.ends, zone: zone, service: service, state: d.State}
	ctx = asSystem(ctx)
	if service.MinimumAge != nil || service.MaximumAge != nil || service.Licence {
		if err := b.readAs(ctx, d.Patient, &v.patient); err != nil {
			return nil, err
		}
	}
	if service.Licence {
		for _, ref := range licence {
			var p fhirPractitioner
			if err := b.readAs(ctx, ref, &p); err != nil {
				return nil, err
			}
			v.practitioners = append(v.practitioners, p)
		}
		if v.state == "" {
			if v.state, err = b.whereabouts(ctx, v, d); err != nil {
				return nil, err
			}
		}
	}
	if service.Coverage {
		found, err := b.deps.Records.Matching(ctx, "Coverage", "beneficiary="+d.Patient, 50)
		if err != nil {
			return nil, err
		}
		for _, text := range found {
			var c fhirCoverage
			if json.Unmarshal(text, &c) == nil {
				v.coverages = append(v.coverages, c)
			}
		}
	}
	return v, nil
}

// whereabouts is the state where the patient will be: that of the place where the visit is, or of the patient's home when it is by telehealth.
func (b *Booking) whereabouts(ctx context.Context, v *visit, d *booking) (string, error) {
	if !v.service.Telehealth {
		for _, c := range d.Claims {
			if strings.HasPrefix(c.Party, "Location/") {
				var l fhirLocation
				err := b.readAs(ctx, c.Party, &l)
				return stateCode(l.Address.State), err
			}
		}
	}
	day := v.day()
	for _, home := range []bool{true, false} {
		for _, a := range v.patient.Address {
			if a.State != "" && a.Use != "old" && (a.Use == "home" || !home) && a.Period.covers(day) {
				return stateCode(a.State), nil
			}
		}
	}
	return "", nil
}

// readAs reads a resource by its reference. Errors: Unprocessable when it is not there.
func (b *Booking) readAs(ctx context.Context, ref string, into any) error {
	typ, id, _ := strings.Cut(ref, "/")
	text, err := b.deps.Records.Read(ctx, typ, id)
	if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) {
		return fault.Unprocessable("there is no such %s", typ)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fault.Internal("a stored %s can't be read", typ).With(err)
	}
	return nil
}
