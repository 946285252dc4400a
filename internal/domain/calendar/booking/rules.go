package booking

import (
	"context"
	"encoding/json"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/part"
)

// Kinds of rules in the cache.
const (
	ofAvailability byte = 'a'
	ofService      byte = 's'
	ofPlace        byte = 'p' // a place's name
	ofHouse        byte = 'h' // the tenant's organization
)

// parsed gives rules from their row, parsed once for each version.
func parsed[T any](ctx context.Context, c *rulesCache, kind byte, id string, version int64, body []byte, prepare func(*T) error) (*T, error) {
	if v, ok := c.get(ctx, kind, id, version).(*T); ok {
		return v, nil
	}
	v := new(T)
	if err := json.Unmarshal(body, v); err != nil {
		return nil, fault.Internal("stored rules can't be read").With(err)
	}
	if err := prepare(v); err != nil {
		return nil, fault.Internal("stored rules are no longer valid").With(err)
	}
	c.put(ctx, kind, id, version, v)
	return v, nil
}

func (b *Service) scanAvailability(ctx context.Context, r db.Row) (*availability.Availability, error) {
	id := r.Text(0)
	return parsed(ctx, &b.known, ofAvailability, id, r.Int64(1), r.Bytes(2), func(a *availability.Availability) error {
		a.ID = id
		return a.Compile()
	})
}

// availability reads one. Errors: NotFound.
func (b *Service) availability(ctx context.Context, q db.Querier, id string) (found *availability.Availability, err error) {
	err = q.Query(ctx, `SELECT id, version, body FROM calendar_availability WHERE id = $1`, func(r db.Row) error {
		found, err = b.scanAvailability(ctx, r)
		return err
	}, id)
	if err == nil && found == nil {
		err = fault.NotFound("there is no such availability")
	}
	return found, err
}

// availabilitiesOf reads those of each party; a patient has none.
func (b *Service) availabilitiesOf(ctx context.Context, q db.Querier, parties []string) (map[string][]*availability.Availability, error) {
	if len(parties) == 0 {
		return nil, nil //nolint:nilnil // no parties have none
	}
	found := make(map[string][]*availability.Availability, len(parties))
	actors := make([]int64, len(parties))
	for i, p := range parties {
		actors[i] = resourceOf(p)
	}
	err := q.Lookup(ctx, db.Lookup{
		Table: "calendar_availability", Want: []string{"id", "version", "body"}, Keys: []db.Column{db.Col("actor", actors)},
	}, func(i int, r db.Row) error {
		a, err := b.scanAvailability(ctx, r)
		if err == nil && a.Bookable() && a.Actor == parties[i] {
			found[parties[i]] = append(found[parties[i]], a)
		}
		return err
	})
	return found, err
}

// allAvailabilities reads those of the tenant, in the order of their ids.
func (b *Service) allAvailabilities(ctx context.Context, q db.Querier) (list []*availability.Availability, err error) {
	err = q.Query(ctx, `SELECT id, version, body FROM calendar_availability ORDER BY id`, func(r db.Row) error {
		a, err := b.scanAvailability(ctx, r)
		list = append(list, a)
		return err
	})
	return list, err
}

// service reads a service. Errors: NotFound.
func (b *Service) service(ctx context.Context, q db.Querier, id string) (found *availability.Service, err error) {
	err = q.Query(ctx, `SELECT version, body FROM calendar_service WHERE id = $1`, func(r db.Row) error {
		found, err = parsed(ctx, &b.known, ofService, id, r.Int64(0), r.Bytes(1), func(s *availability.Service) error {
			s.ID = id
			return s.Check()
		})
		return err
	}, id)
	if err == nil && found == nil {
		err = fault.NotFound("there is no such service")
	}
	return found, err
}

// putAvailability stores the rules, and the Schedule that says whose they are, in one transaction. What is booked already stays booked.
//
// Errors: Invalid, naming each part that is wrong.
func (b *Service) putAvailability(ctx context.Context, id string, body []byte) (created bool, err error) {
	defer b.fresh.forget()
	a := new(availability.Availability)
	if err := strictJSON(body, a); err != nil {
		return false, err
	}
	a.ID = ""
	if err := a.Compile(); err != nil {
		return false, err
	}
	schedule, err := scheduleOf(a, id)
	if err != nil {
		return false, err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return false, fault.Internal("an availability can't be written").With(err)
	}
	err = b.withRecords(ctx, func(ctx context.Context, tx db.Tx, j Joint) error {
		for _, o := range a.Services {
			if _, err := b.service(ctx, tx, o.Service); err != nil {
				if fault.Is(err, fault.CodeNotFound) {
					return fault.Invalid("services: there is no service %s: PUT calendar/services/%s first", o.Service, o.Service)
				}
				return err
			}
		}
		version := int64(1)
		created = true
		if err := tx.Query(ctx, `SELECT version FROM calendar_availability WHERE id = $1`, func(r db.Row) error {
			version, created = r.Int64(0)+1, false
			return nil
		}, id); err != nil {
			return err
		}
		// The clock keeps apart the versions of rules that were deleted and made again.
		version = max(version, b.deps.Clock.Now().UnixMicro())
		j.Stage([]string{"Schedule"}, []string{id}, [][]byte{schedule})
		_, err := tx.Upsert(ctx, "calendar_availability", []string{"id"}, db.Col("id", []string{id}), db.Col("actor", []int64{resourceOf(a.Actor)}),
			db.Col("version", []int64{version}), db.Col("body", [][]byte{text}))
		return err
	})
	return created, err
}

// dropAvailability ends the rules; their Schedule stays, not active, because Slots refer to it. Errors: NotFound.
func (b *Service) dropAvailability(ctx context.Context, id string) error {
	defer b.fresh.forget()
	return b.withRecords(ctx, func(ctx context.Context, tx db.Tx, j Joint) error {
		a, err := b.availability(ctx, tx, id)
		if err != nil {
			return err
		}
		ended := *a
		no := false
		ended.Active = &no
		schedule, err := scheduleOf(&ended, id)
		if err != nil {
			return err
		}
		j.Stage([]string{"Schedule"}, []string{id}, [][]byte{schedule})
		_, err = tx.Exec(ctx, `DELETE FROM calendar_availability WHERE id = $1`, id)
		return err
	})
}

// scheduleOf is the FHIR Schedule of the rules.
func scheduleOf(a *availability.Availability, id string) ([]byte, error) {
	m := members{"resourceType": json.RawMessage(`"Schedule"`), "meta": json.RawMessage(keptTag)}
	m.set("id", id)
	m.set("active", a.Bookable())
	actors := []part.Reference{{Reference: a.Actor}}
	if a.Location != "" && a.Location != a.Actor {
		actors = append(actors, part.Reference{Reference: a.Location})
	}
	m.set("actor", actors)
	types := make([]any, len(a.Services))
	for i, o := range a.Services {
		types[i] = map[string]any{"coding": []any{map[string]string{"system": serviceSystem, "code": o.Service}}}
	}
	m.set("serviceType", types)
	if len(a.Specialties) > 0 {
		list := make([]any, len(a.Specialties))
		for i, token := range a.Specialties {
			system, code := availability.SplitCode(token)
			coding := map[string]string{"code": code}
			if system != "" {
				coding["system"] = system
			}
			list[i] = map[string]any{"coding": []any{coding}}
		}
		m.set("specialty", list)
	}
	if a.Name != "" {
		m.set("comment", a.Name)
	}
	return json.Marshal(m)
}

// withRecords runs a transaction that writes to the records too.
func (b *Service) withRecords(ctx context.Context, fn func(ctx context.Context, tx db.Tx, j Joint) error) error {
	for attempt := 1; ; attempt++ {
		j, err := b.deps.Records.Join(asSystem(ctx))
		if err != nil {
			return err
		}
		err = j.Done(ctx, b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			j.Stage(nil, nil, nil)
			if err := fn(ctx, tx, j); err != nil {
				return err
			}
			return b.deps.Records.WriteJoint(asSystem(ctx), tx, []Joint{j})
		}))
		if err == nil || attempt == attempts || !isUnique(err) {
			return err
		}
	}
}

// recentService is service, as it was a moment ago.
func (b *Service) recentService(ctx context.Context, q db.Querier, id string) (*availability.Service, error) {
	return fresh(ctx, &b.fresh, ofService, id, func() (*availability.Service, error) { return b.service(ctx, q, id) })
}

// recentAvailabilities is availabilitiesOf, as they were a moment ago.
func (b *Service) recentAvailabilities(ctx context.Context, q db.Querier, parties []string) (map[string][]*availability.Availability, error) {
	return fresh(ctx, &b.fresh, ofAvailability, strings.Join(parties, " "), func() (map[string][]*availability.Availability, error) { return b.availabilitiesOf(ctx, q, parties) })
}

// PutAvailability sets the rules of a schedule, from JSON. Errors: Invalid, naming each part that is wrong.
func (b *Service) PutAvailability(ctx context.Context, id string, body []byte) error {
	if !availability.ValidKey(id, availability.MaxID) {
		return errKey(availability.MaxID)
	}
	_, err := b.putAvailability(ctx, id, body)
	return err
}

// PutService sets a service, from JSON. Errors: Invalid, naming each part that is wrong.
func (b *Service) PutService(ctx context.Context, id string, body []byte) error {
	if !availability.ValidKey(id, availability.MaxServiceID) {
		return errKey(availability.MaxServiceID)
	}
	return b.putService(ctx, id, body)
}

// putService stores a service. Errors: Invalid, naming each part that is wrong.
func (b *Service) putService(ctx context.Context, id string, body []byte) error {
	defer b.fresh.forget()
	s := new(availability.Service)
	if err := strictJSON(body, s); err != nil {
		return err
	}
	s.ID = ""
	if err := s.Check(); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fault.Internal("a service can't be written").With(err)
	}
	version := b.deps.Clock.Now().UnixMicro()
	return b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		next := version
		if err := tx.Query(ctx, `SELECT version FROM calendar_service WHERE id = $1`, func(r db.Row) error {
			next = max(version, r.Int64(0)+1)
			return nil
		}, id); err != nil {
			return err
		}
		_, err := tx.Upsert(ctx, "calendar_service", []string{"id"}, db.Col("id", []string{id}), db.Col("version", []int64{next}), db.Col("body", [][]byte{text}))
		return err
	})
}
