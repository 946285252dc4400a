package booking

import (
	"context"
	"slices"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/rule"
)

// asked is a visit as it is asked for.
type asked struct {
	schedule string // an availability's id; empty: that of the first party which offers the service
	service  string
	start    int64    // seconds
	end      int64    // 0: as long as the service takes
	patient  string   // reference; empty only for a hold
	parties  []string // the others, as asked
	helpers  []string // those of them who need no licence, such as interpreters
	state    string   // where the patient will be
	extra    bool     // an extra seat is asked for, deliberately
	given    []byte   // the Appointment that was sent; nil for none
}

// drafted is a visit that may be booked, as far as its rules go.
type drafted struct {
	booking *booking
	leader  *availability.Availability
	wants   []want
	shown   shown
}

// draft works out which claims a visit needs, and refuses one that the rules don't allow. own are claims that the visit has already.
//
// Errors: Invalid for a start that is past or between cells, Unprocessable for what the rules of the parties, of the service or of the visit don't
// allow, Conflict for a time that is taken, NotFound for a service that is not there.
func (b *Service) draft(ctx context.Context, ask *asked, own *booking) (*drafted, error) {
	now := b.deps.Clock.Now().Unix()
	switch {
	case ask.start < now:
		return nil, fault.Invalid("start is past: it must be later than now")
	case ask.start%availability.CellSeconds != 0:
		return nil, fault.Invalid("start must be on a full %d minutes", availability.CellMinutes)
	case ask.end != 0 && ask.end <= ask.start:
		return nil, fault.Invalid("end must be after start")
	}
	if err := b.acquainted(ctx, ask, own); err != nil {
		return nil, err
	}
	var d *drafted
	var service *availability.Service
	err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		if service, err = b.recentService(ctx, q, ask.service); err != nil {
			return err
		}
		if d, err = b.fit(ctx, q, ask, service, now); err != nil {
			return err
		}
		return b.vacant(ctx, q, d, own, now)
	})
	if err != nil {
		return nil, err
	}
	if d.shown, err = b.shows(ctx, service, d.leader); err != nil {
		return nil, err
	}
	if d.booking.Patient == "" {
		return d, nil
	}
	return d, b.holds(ctx, service, d.booking)
}

// acquainted refuses parties that the caller could find out about by naming them: a device or a relative must be seen, unless it is set up for
// booking or in the visit already.
//
// Errors: NotFound.
func (b *Service) acquainted(ctx context.Context, ask *asked, own *booking) error {
	for _, p := range ask.parties {
		if !guarded(p) || own != nil && slices.ContainsFunc(own.Claims, func(c claim) bool { return c.Party == p }) {
			continue
		}
		typ, id, _ := strings.Cut(p, "/")
		_, err := b.deps.Records.Read(ctx, typ, id)
		if err == nil {
			continue
		}
		if code := fault.CodeOf(err); code != fault.CodeNotFound && code != fault.CodeGone && code != fault.CodeDenied {
			return err
		}
		var of map[string][]*availability.Availability
		if err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
			of, err = b.recentAvailabilities(ctx, q, []string{p})
			return err
		}); err != nil {
			return err
		}
		if len(of[p]) == 0 {
			return fault.NotFound("there is no such %s", typ)
		}
	}
	return nil
}

// holds refuses a visit against which there is a rule.
func (b *Service) holds(ctx context.Context, service *availability.Service, d *booking) error {
	v, err := b.visitOf(ctx, service, d, d.Licensed)
	if err != nil {
		return err
	}
	d.State = v.State
	if found := rule.Examine(v); len(found) > 0 {
		return rule.Refusal(found)
	}
	return nil
}

// fit finds the rules of each party that allow the visit.
func (b *Service) fit(ctx context.Context, q db.Querier, ask *asked, service *availability.Service, now int64) (*drafted, error) {
	parties := slices.Clone(ask.parties)
	var leader *availability.Availability
	if ask.schedule != "" {
		a, err := b.availability(ctx, q, ask.schedule)
		if err != nil {
			return nil, err
		}
		leader = a
		parties = append([]string{a.Actor}, slices.DeleteFunc(parties, func(p string) bool { return p == a.Actor })...)
	}
	of, err := b.recentAvailabilities(ctx, q, parties)
	if err != nil {
		return nil, err
	}
	reason := "none of the participants can be booked for this service"
	for _, p := range parties {
		if leader != nil {
			break
		}
		for _, a := range of[p] {
			minutes := a.Offers(service)
			if minutes == 0 {
				continue
			}
			if why := a.Starting(ask.start, minutes, now); why != "" && !ask.extra {
				reason = p + ": " + why
				continue
			}
			leader = a
			break
		}
	}
	if leader == nil {
		return nil, fault.Unprocessable("%s", reason)
	}
	minutes := leader.Offers(service)
	switch {
	case minutes == 0 || !leader.Bookable():
		return nil, fault.Unprocessable("%s can't be booked for this service", leader.Actor)
	case ask.end != 0 && ask.end-ask.start != int64(minutes)*60:
		return nil, fault.Invalid("end must be %d minutes after start, as long as the service takes", minutes)
	}
	if why := leader.Starting(ask.start, minutes, now); why != "" && !ask.extra {
		return nil, fault.Unprocessable("%s: %s", leader.Actor, why)
	}
	d := &drafted{leader: leader, booking: &booking{
		starts: ask.start, ends: ask.start + int64(minutes)*60,
		detail: detail{Schedule: leader.ID, Service: service.ID, Zone: leader.Zone, Patient: ask.patient, State: rule.StateCode(ask.state), Extra: ask.extra},
	}}
	d.add(leader, ask.extra)
	for _, p := range parties {
		if p == leader.Actor {
			continue
		}
		if err := d.join(p, of[p], ask.extra); err != nil {
			return nil, err
		}
	}
	if leader.Location != "" {
		// A place without rules of its own has room for everybody.
		if rooms, err := b.recentAvailabilities(ctx, q, []string{leader.Location}); err != nil {
			return nil, err
		} else if len(rooms) > 0 && !slices.Contains(parties, leader.Location) && leader.Location != leader.Actor {
			if err := d.join(leader.Location, rooms[leader.Location], ask.extra); err != nil {
				return nil, err
			}
		}
	}
	if ask.patient != "" {
		d.wants = append(d.wants, patientWant(ask.patient, d.booking))
	}
	if service.Licence {
		for i := range d.wants {
			if p := d.wants[i].party; strings.HasPrefix(p, "Practitioner/") && !slices.Contains(ask.helpers, p) {
				d.booking.Licensed = append(d.booking.Licensed, p)
			}
		}
	}
	return d, nil
}

// add takes a party by its rules.
func (d *drafted) add(a *availability.Availability, extra bool) {
	from, to := a.Claimed(d.booking.starts, d.booking.ends)
	d.wants = append(d.wants, want{party: a.Actor, from: from, to: to, seats: a.Seats(), extra: extra})
	d.booking.Schedules = append(d.booking.Schedules, a.ID)
}

// join takes a further party, which must be open for the whole visit where it has rules.
func (d *drafted) join(party string, rules []*availability.Availability, extra bool) error {
	if len(rules) == 0 {
		d.wants = append(d.wants, want{party: party, from: availability.CellOf(d.booking.starts), to: availability.CellOf(d.booking.ends + availability.CellSeconds - 1), seats: 1})
		return nil
	}
	for _, a := range rules {
		if extra || a.Within(d.booking.starts, d.booking.ends) {
			d.add(a, extra)
			return nil
		}
	}
	return fault.Unprocessable("%s is not available for the whole visit", party)
}

// patientWant is the patient's own time: nobody is in two visits at once.
func patientWant(patient string, b *booking) want {
	return want{party: patient, from: availability.CellOf(b.starts), to: availability.CellOf(b.ends + availability.CellSeconds - 1), seats: 1}
}

// vacant refuses what is taken already, before anything more is done for it. What counts is decided in the transaction.
func (b *Service) vacant(ctx context.Context, q db.Querier, d *drafted, own *booking, now int64) error {
	l := newLedger(now)
	if err := l.read(ctx, q, d.wants); err != nil {
		return err
	}
	for _, id := range l.expired() {
		l.over[id] = true
	}
	mine := ""
	if own != nil {
		mine = own.id
	}
	_, err := l.take(mine, d.wants, nil, 0)
	return err
}
