package events

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
)

// viewer is who asks, as far as calendars go.
type viewer struct {
	scope.Principal
	own bool // only own calendars, and of events only what they are, not who else is there
}

func viewerOf(ctx context.Context) viewer {
	sc, _ := scope.From(ctx)
	p := sc.Principal
	return viewer{Principal: p, own: p.Role == access.Patient || p.Role == access.Proxy}
}

// may fails unless the viewer may see, or with write change, the calendars of all subscribers.
func (s *Service) may(ctx context.Context, v *viewer, subscribers []string, write bool) error {
	launched, err := v.scopes(write)
	if err != nil {
		return err
	}
	var patients []string
	for _, subscriber := range subscribers {
		id, patient := strings.CutPrefix(subscriber, "Patient/")
		own := subscriber == v.Person && v.Person != "" || patient && slices.Contains(v.Patients, id)
		if v.own && !own || launched && (!patient || id != v.Patient) {
			return fault.Denied("this calendar is somebody else's")
		}
		if patient && !own {
			patients = append(patients, id)
		}
	}
	if len(patients) > 0 && s.deps.Visible != nil {
		return s.deps.Visible(ctx, patients)
	}
	return nil
}

// scopes fails when the viewer's SMART scopes don't cover appointments. launched: they cover those of the patient in context only.
func (v *viewer) scopes(write bool) (launched bool, err error) {
	if v.Scopes == "" {
		return false, nil
	}
	want, old := "s", "read"
	if write {
		want, old = "u", "write"
	}
	for one := range strings.FieldsSeq(v.Scopes) {
		level, rest, ok := strings.Cut(one, "/")
		typ, actions, dot := strings.Cut(rest, ".")
		actions, _, narrowed := strings.Cut(actions, "?")
		if !ok || !dot || narrowed || typ != "*" && typ != "Appointment" || actions != "*" && actions != old && (actions == "read" || actions == "write" || !strings.Contains(actions, want)) {
			continue
		}
		switch level {
		case "user", "system":
			return false, nil
		case "patient":
			launched = true
		}
	}
	if !launched {
		return false, fault.Denied("the token's scopes don't cover appointments")
	}
	return true, nil
}

// sees says whether the viewer may know what an occurrence is.
func (v *viewer) sees(e *entry) bool {
	return e.flags&flagPrivate == 0 || v.own || v.Role == access.Admin || v.Role == access.System || v.Person != "" && bytes.Contains(e.who, []byte(`"`+v.Person+`"`))
}

// append writes an occurrence as the viewer may see it.
func (v *viewer) append(b []byte, e *entry) []byte {
	b = append(append(b, '{'), e.when...)
	if !v.sees(e) {
		return append(b, `,"title":"Busy","private":true}`...)
	}
	b = append(append(b, ','), e.what...)
	if !v.own {
		b = append(append(b, ','), e.who...)
	}
	return append(b, '}')
}

// show is an event as the viewer may see it.
func (v *viewer) show(e *Event) *Event {
	if v.own {
		shown := *e
		shown.source = ""
		shown.Subscribers = slices.DeleteFunc(slices.Clone(e.Subscribers), func(s string) bool {
			id, patient := strings.CutPrefix(s, "Patient/")
			return s != v.Person && (!patient || !slices.Contains(v.Patients, id))
		})
		return &shown
	}
	if e.Visibility == "private" && v.Role != access.Admin && v.Role != access.System && !slices.Contains(e.Subscribers, v.Person) {
		shown := Event{
			ID: e.ID, Version: e.Version, Updated: e.Updated, Organization: e.Organization, Subscribers: e.Subscribers, Title: "Busy", Visibility: e.Visibility, Free: e.Free,
			Start: e.Start, End: e.End, TZ: e.TZ, RRule: e.RRule, RDates: e.RDates, ExDates: e.ExDates, Status: e.Status,
		}
		for _, o := range e.Overrides {
			shown.Overrides = append(shown.Overrides, Override{Recurrence: o.Recurrence, Cancelled: o.Cancelled, Start: o.Start, End: o.End, Status: o.Status})
		}
		return &shown
	}
	return e
}
