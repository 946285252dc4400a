package booking

import (
	"context"
	"encoding/json"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/rule"
	"ward/internal/format/ical"
)

// visitOf reads what the rules of a service need to know. What it reads is not shown.
func (b *Service) visitOf(ctx context.Context, service *availability.Service, d *booking, licence []string) (*rule.Visit, error) {
	zone, err := ical.LoadZone(d.Zone)
	if err != nil {
		return nil, err
	}
	v := &rule.Visit{Starts: d.starts, Zone: zone, Service: service, State: d.State}
	ctx = asSystem(ctx)
	if service.MinimumAge != nil || service.MaximumAge != nil || service.Licence {
		if err := b.readAs(ctx, d.Patient, &v.Patient); err != nil {
			return nil, err
		}
	}
	if service.Licence {
		for _, ref := range licence {
			var p rule.Practitioner
			if err := b.readAs(ctx, ref, &p); err != nil {
				return nil, err
			}
			v.Practitioners = append(v.Practitioners, p)
		}
		if v.State == "" {
			if v.State, err = b.whereabouts(ctx, v, d); err != nil {
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
			var c rule.Coverage
			if json.Unmarshal(text, &c) == nil {
				v.Coverages = append(v.Coverages, c)
			}
		}
	}
	return v, nil
}

// whereabouts is the state where the patient will be: that of the place where the visit is, or of the patient's home when it is by telehealth.
func (b *Service) whereabouts(ctx context.Context, v *rule.Visit, d *booking) (string, error) {
	if !v.Service.Telehealth {
		for _, c := range d.Claims {
			if strings.HasPrefix(c.Party, "Location/") {
				var l rule.Location
				err := b.readAs(ctx, c.Party, &l)
				return rule.StateCode(l.Address.State), err
			}
		}
	}
	day := v.Day()
	for _, home := range []bool{true, false} {
		for _, a := range v.Patient.Address {
			if a.State != "" && a.Use != "old" && (a.Use == "home" || !home) && a.Period.Covers(day) {
				return rule.StateCode(a.State), nil
			}
		}
	}
	return "", nil
}

// readAs reads a resource by its reference. Errors: Unprocessable when it is not there.
func (b *Service) readAs(ctx context.Context, ref string, into any) error {
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
