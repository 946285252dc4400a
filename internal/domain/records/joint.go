package records

import (
	"bytes"
	"context"
	"errors"
	"runtime"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// Joint is writes of resources inside a transaction that another domain owns: what that domain keeps in its own tables and what
// the record says about it become true together, or not at all.
//
//	j, err := records.Join(ctx)                  // before the transaction
//	err = db.Write(ctx, func(ctx, tx) error {    // it may run again
//		j.Stage(types, ids, bodies)
//		return records.WriteJoint(ctx, tx, j)     // of one caller, or of a group that shares the transaction
//	})
//	err = j.Done(ctx, err)                       // after it, whatever came of it, and before anything is acknowledged
//
// The rights are those of the context that WriteJoint is given. A Joint is used by one goroutine at a time.
type Joint struct {
	s        *Service
	end      func()
	registry *search.Registry
	settings Settings

	types, ids []string
	bodies     [][]byte
	made       []*Change
}

// KeptSystem is the system of the meta.tag by which a Schedule, Slot or Appointment says which domain keeps it. Only that domain changes such a
// resource, by a [Joint]; for everybody else it is read-only (409).
const KeptSystem = "urn:ward:kept"

// Join begins writes that take part in a transaction of the caller's. It reads the tenant's settings, so it is not called inside one.
func (s *Service) Join(ctx context.Context) (*Joint, error) {
	registry, err := s.registry(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return nil, err
	}
	return &Joint{s: s, end: s.flights.begin(ctx), registry: registry, settings: settings}, nil
}

// Stage says what the next WriteJoint writes: the resource types[i]/ids[i] will have the content bodies[i], or be deleted where that is nil. An id
// that names no resource yet makes one. What was staged before is forgotten.
func (j *Joint) Stage(types, ids []string, bodies [][]byte) {
	j.types, j.ids, j.bodies = types, ids, bodies
}

// WriteJoint writes what the joints have staged.
//
// Errors: Invalid for content that is not valid FHIR, Unprocessable for references to nothing where the tenant refuses those; the transaction is
// then to be given up.
func (s *Service) WriteJoint(ctx context.Context, tx db.Tx, joints ...*Joint) error {
	type staged struct {
		j *Joint
		i int
	}
	var all []staged
	for _, j := range joints {
		if len(j.types) != len(j.ids) || len(j.ids) != len(j.bodies) {
			return fault.Internal("records.Joint: %d types, %d ids, %d bodies", len(j.types), len(j.ids), len(j.bodies))
		}
		for i := range j.ids {
			all = append(all, staged{j, i})
		}
	}
	if len(all) == 0 {
		return nil
	}
	const few = 8 // are not worth another core
	changes, errs := make([]*Change, len(all)), make([]error, len(all))
	parallel(len(all), min(runtime.GOMAXPROCS(0), len(all)/few+1), func(n int) {
		j, i := all[n].j, all[n].i
		op := OpUpdate
		if j.bodies[i] == nil {
			op = OpDelete
		}
		changes[n], errs[n] = s.prepareIn(ctx, j.registry, j.settings, j.types[i], j.ids[i], op, j.bodies[i])
		if errs[n] == nil {
			changes[n].joint = true
		}
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	errs, err := s.apply(ctx, tx, changes)
	if err != nil {
		return err
	}
	for n, a := range all {
		a.j.made = append(a.j.made, changes[n])
	}
	return errors.Join(errs...)
}

// Stored is the content of the staged resources as WriteJoint wrote them, with their versions; nil for a deletion.
func (j *Joint) Stored() [][]byte {
	made := j.made[len(j.made)-min(len(j.made), len(j.ids)):]
	stored := make([][]byte, len(made))
	for i, c := range made {
		if c.Version != nil {
			stored[i] = c.Version.JSON
		}
	}
	return stored
}

// Matching returns the resources of a type that meet criteria such as "patient=7&status=active", at most so many, with the rights of
// the context.
func (s *Service) Matching(ctx context.Context, typ, criteria string, most int) ([]*Version, error) {
	query, err := s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		return nil, err
	}
	query.Count = most
	page, err := s.Search(ctx, Request{Query: query, once: true})
	if err != nil {
		return nil, err
	}
	return page.Matches, nil
}

// Done ends the writes, after the transaction that ended with err, which it returns. It tells all caches what was touched before the caller
// acknowledges anything. When the error is [db.ErrUnique] the caller may begin anew with another Joint.
//
// Errors: err; Unavailable when the writes are committed but not all processes could be told.
func (j *Joint) Done(ctx context.Context, err error) error {
	defer j.end()
	if errors.Is(err, db.ErrUnique) {
		j.s.sequence.redraw()
	}
	if len(j.made) == 0 || err != nil && !fault.Is(err, fault.CodeUnavailable) {
		return err
	}
	if told := j.s.announce(ctx, j.made); err == nil {
		err = told
	}
	return err
}

// kept says whether content says that a domain keeps it.
func kept(typ string, json []byte) bool {
	switch typ {
	case "Schedule", "Slot", "Appointment":
		return bytes.Contains(json, []byte(`"system":"`+KeptSystem+`"`))
	}
	return false
}

// unkept refuses to change or to make what a domain keeps, except by that domain.
func unkept(c *Change, now *Version) error {
	if c.joint {
		return nil
	}
	if now != nil && !now.Deleted() && kept(c.Type, now.JSON) {
		return fault.Conflict("this %s is kept by the calendar, and changed there only: Appointment/$book, $cancel and $reschedule, or calendar/availability", c.Type)
	}
	if kept(c.Type, c.JSON) {
		return fault.Unprocessable("the tag %s is the calendar's own: book with Appointment/$book, or leave the tag out", KeptSystem)
	}
	return nil
}
