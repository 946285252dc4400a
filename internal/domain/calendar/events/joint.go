package events

import (
	"context"
	"maps"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

// Joint is changes to events inside a transaction that another part of the product owns: what that keeps in its own tables and what
// calendars show become true together, or not at all.
//
//	j, err := events.Join(ctx)                   // before the transaction
//	err = db.Write(ctx, func(ctx, tx) error {    // it may run again
//		err := j.Stage(puts, drops)
//		return events.WriteJoint(ctx, tx, j)     // of one caller, or of a group that shares the transaction
//	})
//	err = j.Done(ctx, err)                       // after it, whatever came of it, and before anything is acknowledged
//
// Such events are kept: whoever else would change them is told Conflict. Who may do what, and the audit log, are the caller's business. A
// Joint is used by one goroutine at a time.
type Joint struct {
	s     *Service
	key   *seal.Key
	puts  []*ready
	drops []string
	made  *published // what WriteJoint changed, of all that it was given
}

// Join begins changes that take part in a transaction of the caller's. It reads the tenant's key, so it is not called inside one.
func (s *Service) Join(ctx context.Context) (*Joint, error) {
	key, err := s.deps.Keys.For(ctx)
	if err != nil {
		return nil, err
	}
	return &Joint{s: s, key: key}, nil
}

// Stage says what the next WriteJoint does: each of puts becomes the event with its id, new or in the place of the one that is there, and the
// events with the ids drops are deleted where they are there. The ids are the caller's, such as the booking's; so is nothing else that
// names an event: uid is the id. What was staged before is forgotten.
//
// Errors: Invalid for an event that can't be, with the field.
func (j *Joint) Stage(puts []*Event, drops []string) error {
	j.puts, j.drops = nil, drops
	for _, e := range puts {
		if e.ID == "" || len(e.ID) > 64 {
			return fault.Internal("events.Joint: an event without an id")
		}
		e.UID, e.Kept = e.ID, true
		r, err := compile(e)
		if err != nil {
			return err
		}
		j.puts = append(j.puts, r)
	}
	return nil
}

// WriteJoint makes the changes that the joints have staged. Until the transaction ends no other event of the tenant changes, so it comes
// late in it.
func (s *Service) WriteJoint(ctx context.Context, tx db.Tx, joints ...*Joint) error {
	last := map[string]*ready{} // nil: it is deleted; of two changes to one event the later counts
	for _, j := range joints {
		j.made = nil
		for _, r := range j.puts {
			last[r.ID] = r
		}
		for _, id := range j.drops {
			last[id] = nil
		}
	}
	ids := slices.Sorted(maps.Keys(last))
	if len(ids) == 0 {
		return nil
	}
	w := &writer{key: joints[0].key}
	err := s.write(ctx, tx, edit{ids: ids, joint: true, change: func(have map[string]stored, _ map[string]string) ([]*ready, []string, error) {
		var puts []*ready
		var drops []string
		for _, id := range ids {
			if r := last[id]; r != nil {
				puts = append(puts, r)
			} else if have[id].Event != nil {
				drops = append(drops, id)
			}
		}
		return puts, drops, nil
	}}, w)
	for _, j := range joints {
		j.made = w.made
	}
	return err
}

// Done ends the changes, after the transaction that ended with err, which it returns. It tells all caches what was touched before the
// caller acknowledges anything.
//
// Errors: err; Unavailable when the changes are committed but not all processes could be told.
func (j *Joint) Done(ctx context.Context, err error) error {
	return j.s.ended(ctx, j.made, err)
}
