package booking

import (
	"context"
	"encoding/json"
	"sync"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/events"
	"ward/internal/domain/calendar/rule"
	"ward/internal/format/ical"
)

// A booked visit is an event in the calendars of all its parties, with the booking's id: written, moved and dropped in the transaction of its claims. Nobody
// changes it there: its operations do.

// shown is what calendars say of a visit besides when and who.
type shown struct {
	title, organization, place string
	telehealth                 bool
}

// shows is what calendars will say of visits by these rules; a may be nil, for rules that were deleted.
func (b *Service) shows(ctx context.Context, s *availability.Service, a *availability.Availability) (w shown, err error) {
	ctx = asSystem(ctx)
	w = shown{title: s.Title, telehealth: s.Telehealth}
	if a != nil && !s.Telehealth {
		if w.place, err = b.placeName(ctx, a.Place()); err != nil {
			return w, err
		}
	}
	if a != nil && a.Organization != "" {
		w.organization = a.Organization
		return w, nil
	}
	w.organization, err = b.house(ctx)
	return w, err
}

// placeName is what a place is called; empty when it is not known.
func (b *Service) placeName(ctx context.Context, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	return fresh(ctx, &b.fresh, ofPlace, ref, func() (string, error) {
		var l rule.Location
		err := b.readAs(ctx, ref, &l)
		if fault.Is(err, fault.CodeUnprocessable) {
			err = nil
		}
		const most = 200
		return l.Name[:min(len(l.Name), most)], err
	})
}

// house is the organization of visits whose rules name none: the tenant's first, else one that stands for the tenant.
func (b *Service) house(ctx context.Context) (string, error) {
	return fresh(ctx, &b.fresh, ofHouse, "", func() (string, error) {
		found, err := b.deps.Records.Matching(ctx, "Organization", "", 1)
		if err != nil {
			return "", err
		}
		sc, _ := scope.From(ctx)
		first := struct {
			ID string `json:"id"`
		}{sc.Tenant.Slug}
		if len(found) > 0 {
			if err := json.Unmarshal(found[0], &first); err != nil {
				return "", fault.Internal("a stored Organization can't be read").With(err)
			}
		}
		return "Organization/" + first.ID, nil
	})
}

// eventOf is the event of a booked visit.
func eventOf(v *booking, w shown) (*events.Event, error) {
	zone, err := ical.LoadZone(v.Zone)
	if err != nil {
		return nil, err
	}
	tz := v.Zone
	if zone.Instant(zone.Civil(v.starts)) != v.starts || zone.Instant(zone.Civil(v.ends)) != v.ends {
		zone, tz = ical.UTC, "UTC" // the second of two hours that the clocks show alike
	}
	e := &events.Event{
		ID: v.id, Organization: w.organization, Title: w.title, Location: w.place, Category: "visit", TZ: tz,
		Start: clockText(zone, v.starts), End: clockText(zone, v.ends), Appointment: "Appointment/" + v.id,
	}
	if w.telehealth {
		e.Visit = v.id
	}
	for _, c := range v.Claims {
		e.Subscribers = append(e.Subscribers, c.Party)
	}
	return e, nil
}

// clockText is an instant as events write it.
func clockText(zone *ical.Zone, at int64) string {
	b := zone.Civil(at).Append(nil)
	return string(b[:4]) + "-" + string(b[4:6]) + "-" + string(b[6:8]) + "T" + string(b[9:11]) + ":" + string(b[11:13]) + ":" + string(b[13:15])
}

// showing is one group's changes to events. All its acts tell that they are done; the first of them does it for all.
type showing struct {
	joint *events.Joint
	once  sync.Once
	err   error
}

// done tells the caches, after the transaction that ended with err.
func (s *showing) done(ctx context.Context, err error) error {
	if s == nil {
		return err
	}
	s.once.Do(func() { s.err = s.joint.Done(context.WithoutCancel(ctx), err) })
	if err == nil {
		err = s.err
	}
	return err
}

// stage notes what becomes of a booking's event.
func (g *group) stage(a *act, was, is *booking) error {
	if is.state == booked {
		e, err := eventOf(is, a.shown)
		if err != nil {
			return err
		}
		g.puts = append(g.puts, e)
	} else if was != nil && was.state == booked {
		g.drops = append(g.drops, is.id)
	}
	return nil
}

// show writes the group's events.
func (g *group) show(ctx context.Context, tx db.Tx) error {
	if len(g.puts)+len(g.drops) == 0 {
		return nil
	}
	if err := g.showing.joint.Stage(g.puts, g.drops); err != nil {
		return err
	}
	return g.b.deps.Events.WriteJoint(ctx, tx, g.showing.joint)
}
