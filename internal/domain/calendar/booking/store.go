package booking

import (
	"context"
	"encoding/json"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

// loadBookings reads bookings by their ids, locked until the end of the transaction when that is asked for. What is not there is not called.
func (b *Service) loadBookings(ctx context.Context, q db.Querier, ids []string, lock bool, each func(b *booking)) error {
	if len(ids) == 0 {
		return nil
	}
	key, err := b.deps.Keys.For(ctx)
	if err != nil {
		return err
	}
	return q.Lookup(ctx, db.Lookup{
		Table: "calendar_booking", Want: []string{"state", "starts", "ends", "expires", "body"}, Keys: []db.Column{db.Col("id", ids)}, ForUpdate: lock,
	}, func(i int, r db.Row) error {
		found, err := scanBooking(key, ids[i], r, 0)
		if err == nil {
			each(found)
		}
		return err
	})
}

// loadBooking reads one booking. Errors: NotFound.
func (b *Service) loadBooking(ctx context.Context, id string) (found *booking, err error) {
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		found = nil
		return b.loadBookings(ctx, q, []string{id}, false, func(b *booking) { found = b })
	})
	if err == nil && found == nil {
		err = errNoBooking()
	}
	return found, err
}

// scanBooking reads the columns state, starts, ends, expires, body from a place on.
func scanBooking(key *seal.Key, id string, r db.Row, at int) (*booking, error) {
	b := &booking{id: id, state: state(r.Int64(at)), starts: r.Int64(at + 1), ends: r.Int64(at + 2), expires: r.Int64(at + 3)} //nolint:gosec // as stored
	body, err := key.Open(nil, r.Bytes(at+4), label("calendar_booking", id))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &b.detail); err != nil {
		return nil, fault.Internal("a booking can't be read").With(err)
	}
	return b, nil
}

// label binds a sealed value to its row.
func label(table, key string) []byte { return []byte(table + "/" + key) }

func saveBookings(ctx context.Context, tx db.Tx, key *seal.Key, list []*booking) error {
	if len(list) == 0 {
		return nil
	}
	n := len(list)
	ids, states, bodies := make([]string, n), make([]int32, n), make([][]byte, n)
	starts, ends, expires := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, b := range list {
		ids[i], states[i], starts[i], ends[i], expires[i] = b.id, int32(b.state), b.starts, b.ends, b.expires
		if b.state != held {
			b.Given = nil
		}
		body, err := json.Marshal(&b.detail)
		if err != nil {
			return fault.Internal("a booking can't be written").With(err)
		}
		bodies[i] = key.Seal(nil, body, label("calendar_booking", b.id))
	}
	_, err := tx.Upsert(ctx, "calendar_booking", []string{"id"}, db.Col("id", ids), db.Col("state", states), db.Col("starts", starts),
		db.Col("ends", ends), db.Col("expires", expires), db.Col("body", bodies))
	return err
}
