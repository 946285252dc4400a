package booking

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/part"
)

func (b *Service) handleFind(w http.ResponseWriter, r *http.Request) error {
	if err := mayRead(r.Context()); err != nil {
		return err
	}
	body, err := readAll(r)
	if err != nil {
		return err
	}
	p, err := readParameters(r, body, "start", "end", "practitioner", "location-reference", "service-type", "visit-type", "specialty", "organization", "patient-reference", "_count", "_offset")
	if err != nil {
		return err
	}
	f := &finding{services: append(p.all("service-type"), p.all("visit-type")...), specialties: p.all("specialty")}
	if f.from, err = instantOf("start", p.one("start")); err != nil {
		return err
	}
	if f.to, err = instantOf("end", p.one("end")); err != nil {
		return err
	}
	if f.actors, err = p.references("practitioner", "Practitioner", "PractitionerRole", "HealthcareService", "Device", "Location"); err != nil {
		return err
	}
	if f.places, err = p.references("location-reference", "Location"); err != nil {
		return err
	}
	if f.organizations, err = p.references("organization", "Organization"); err != nil {
		return err
	}
	patient, err := p.reference("patient-reference", "Patient")
	if err != nil {
		return err
	}
	if patient == "" {
		patient = own(r.Context())
	}
	count, offset := 100, 0
	for name, n := range map[string]*int{"_count": &count, "_offset": &offset} {
		if s := p.one(name); s != "" {
			const most = 1_000_000
			if *n, err = strconv.Atoi(s); err != nil || *n < 0 || *n > most {
				return fault.Invalid("%s must be a number from 0 to %d", name, most)
			}
		}
	}
	count = min(count, 1000)
	list, err := b.find(r.Context(), f)
	if err != nil {
		return err
	}
	shown := list[min(offset, len(list)):min(offset+count, len(list))]
	resources := make([][]byte, len(shown))
	for i := range shown {
		resources[i] = shown[i].appointment(patient)
	}
	next := ""
	if offset+count < len(list) && r.Method == http.MethodGet {
		q := r.URL.Query()
		q.Set("_offset", strconv.Itoa(offset+count))
		next = b.base(r) + "/fhir/Appointment/$find?" + q.Encode()
	}
	return sendBundle(w, len(list), resources, next)
}

// base is what URLs in answers begin with: the tenant's.
func (b *Service) base(r *http.Request) string {
	base := b.deps.BaseURL
	if base == "" {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		base = scheme + r.Host
	}
	sc, _ := scope.From(r.Context())
	return strings.TrimSuffix(base, "/") + "/t/" + sc.Tenant.Slug
}

// appointment is the proposed Appointment.
func (p *proposal) appointment(patient string) []byte {
	a := p.availability
	m := members{"resourceType": json.RawMessage(`"Appointment"`), "status": json.RawMessage(`"proposed"`)}
	m.set("id", p.id())
	m.set("serviceType", []any{map[string]any{
		"coding": []any{map[string]string{"system": serviceSystem, "code": p.service.ID, "display": p.service.Title}}, "text": p.service.Title,
	}})
	m.set("start", instant(p.starts, a.Clocks()))
	m.set("end", instant(p.ends, a.Clocks()))
	m.set("minutesDuration", (p.ends-p.starts)/60)
	parties := []string{a.Actor}
	if a.Location != "" && a.Location != a.Actor {
		parties = append(parties, a.Location)
	}
	if patient != "" {
		parties = append(parties, patient)
	}
	list := make([]any, len(parties))
	for i, ref := range parties {
		list[i] = map[string]any{"actor": part.Reference{Reference: ref}, "status": "needs-action"}
	}
	m.set("participant", list)
	text, _ := json.Marshal(m) // what was set has a spelling
	return text
}
