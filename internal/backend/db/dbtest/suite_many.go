package dbtest

import (
	"bytes"
	"context"
	"errors"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

func manyCases() map[string]func(s *suite) {
	return map[string]func(s *suite){
		"InsertNew adds what is not there": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2))
			s.write(func(ctx context.Context, tx db.Tx) error {
				n, err := tx.InsertNew(ctx, "dbtest_item", db.Col("id", []int64{2, 3, 4, 4}), db.Col("kind", []int64{9, 9, 1, 9}), db.Col("key", [][]byte{{1}, {2}, key(1), {3}}))
				if n != 2 || err != nil { // 2 is there by its number, the first 4 by its key
					s.Errorf("%d rows, %v", n, err)
				}
				return err
			})
			s.wantIDs(s.ctx, 1, 2, 3, 4)
		},
		"Upsert adds or sets the others; the last of a key counts": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			s.write(func(ctx context.Context, tx db.Tx) error {
				for range 2 {
					if _, err := tx.Upsert(ctx, "dbtest_item", []string{"kind", "key"}, db.Col("kind", []int64{1, 1, 1}), db.Col("key", [][]byte{key(1), key(2), key(1)}),
						db.Col("id", []int64{10, 2, 11}), db.Col("body", [][]byte{{1}, nil, {3}})); err != nil {
						return err
					}
				}
				return nil
			})
			s.wantIDs(s.ctx, 2, 11)
			s.no(s.d.Read(s.ctx, query1(s, "SELECT body FROM dbtest_item WHERE id = 11", func(r db.Row) {
				if !bytes.Equal(r.Bytes(0), []byte{3}) {
					s.Errorf("body %v", r.Bytes(0))
				}
			})))
			s.write(func(ctx context.Context, tx db.Tx) error { // a key that is all of the columns
				for range 2 {
					if _, err := tx.Upsert(ctx, "dbtest_edge", []string{"a", "b"}, db.Col("a", []int64{1}), db.Col("b", []int64{2})); err != nil {
						return err
					}
				}
				return nil
			})
			if n := s.count(s.ctx, "dbtest_edge"); n != 1 {
				s.Errorf("%d edges", n)
			}
		},
		"Upsert without its key's values is refused": func(s *suite) {
			for _, key := range [][]string{{}, {"kind", "key"}} {
				err := s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
					_, err := tx.Upsert(ctx, "dbtest_item", key, db.Col("id", []int64{1}), db.Col("kind", []int64{1}))
					return err
				})
				if !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%v", err)
				}
			}
		},
		"Delete removes by keys, only this tenant's": func(s *suite) {
			two := s.tenant(2)
			s.no(s.items(s.ctx, 1, 2, 3, 4))
			s.no(s.items(two, 1, 2))
			s.write(func(ctx context.Context, tx db.Tx) error {
				n, err := tx.Delete(ctx, "dbtest_item", db.Col("id", []int64{2, 9, 4, 2}))
				if n != 2 || err != nil {
					s.Errorf("%d rows, %v", n, err)
				}
				n, err = tx.Delete(ctx, "dbtest_item", db.Col("kind", []int32{1, 2}), db.Col("key", [][]byte{key(1), key(3)}))
				if n != 1 || err != nil {
					s.Errorf("%d rows, %v", n, err)
				}
				return err
			})
			s.wantIDs(s.ctx, 3)
			s.wantIDs(two, 1, 2)
		},
		"of no rows does nothing": func(s *suite) {
			s.write(func(ctx context.Context, tx db.Tx) error {
				for name, call := range map[string]func() (int64, error){
					"Insert":    func() (int64, error) { return tx.Insert(ctx, "dbtest_item", db.Col("id", []int64{})) },
					"InsertNew": func() (int64, error) { return tx.InsertNew(ctx, "dbtest_item", db.Col("id", []int64(nil))) },
					"Upsert":    func() (int64, error) { return tx.Upsert(ctx, "dbtest_item", []string{"id"}, db.Col("id", []int64{})) },
					"Delete":    func() (int64, error) { return tx.Delete(ctx, "dbtest_item", db.Col("id", []int64{})) },
				} {
					if n, err := call(); n != 0 || err != nil {
						s.Errorf("%s: %d rows, %v", name, n, err)
					}
				}
				return nil
			})
		},
		"columns of different lengths and of no column's type are refused": func(s *suite) {
			for _, cols := range [][]db.Column{
				{},
				{db.Col("id", []int64{1, 2}), db.Col("kind", []int64{1})},
				{db.Col("id", []int{1})},
				{db.Col("id; --", []int64{1})},
			} {
				err := s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
					_, err := tx.Insert(ctx, "dbtest_item", cols...)
					return err
				})
				if !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%v", err)
				}
			}
		},
		"10,000 rows, all types, nil bytes": func(s *suite) {
			const n = 10_000
			ids, kinds, keys := make([]int64, n), make([]int32, n), make([][]byte, n)
			labels, bodies, flags, ratios := make([]string, n), make([][]byte, n), make([]bool, n), make([]float64, n)
			for i := range n {
				ids[i], kinds[i], keys[i], labels[i], flags[i], ratios[i] = int64(i), int32(i%7), key(int64(i)), string(rune('a'+i%26)), i%2 == 0, float64(i)/4
				switch i % 3 {
				case 0:
					bodies[i] = []byte{}
				case 1:
					bodies[i] = bytes.Repeat([]byte{byte(i)}, i%50+1)
				}
			}
			cols := []db.Column{
				db.Col("id", ids), db.Col("kind", kinds), db.Col("key", keys), db.Col("label", labels), db.Col("body", bodies), db.Col("flag", flags), db.Col("ratio", ratios),
			}
			s.write(func(ctx context.Context, tx db.Tx) error {
				got, err := tx.Insert(ctx, "dbtest_item", cols...)
				if got != n {
					s.Errorf("%d rows", got)
				}
				return err
			})
			i := 0
			s.no(s.d.Read(s.ctx, query1(s, "SELECT id, kind, key, label, body, flag, ratio FROM dbtest_item ORDER BY id", func(r db.Row) {
				same := r.Int64(0) == ids[i] && r.Int64(1) == int64(kinds[i]) && bytes.Equal(r.Bytes(2), keys[i]) && r.Text(3) == labels[i] &&
					bytes.Equal(r.Bytes(4), bodies[i]) && r.IsNull(4) == (bodies[i] == nil) && r.Bool(5) == flags[i] && r.Float64(6) == ratios[i]
				if !same {
					s.Errorf("row %d differs", i)
				}
				i++
			})))
			s.write(func(ctx context.Context, tx db.Tx) error {
				if got, err := tx.InsertNew(ctx, "dbtest_item", cols...); got != 0 || err != nil {
					s.Errorf("InsertNew: %d rows, %v", got, err)
				}
				if _, err := tx.Upsert(ctx, "dbtest_item", []string{"id"}, cols...); err != nil {
					s.Errorf("Upsert: %v", err)
				}
				got, err := tx.Delete(ctx, "dbtest_item", cols[0])
				if got != n {
					s.Errorf("Delete: %d rows", got)
				}
				return err
			})
			s.wantIDs(s.ctx)
		},
		"a conflict in a large Insert leaves nothing of it": func(s *suite) {
			s.no(s.items(s.ctx, 500))
			ids := make([]int64, 1000)
			for i := range ids {
				ids[i] = int64(i)
			}
			if err := s.items(s.ctx, ids...); !errors.Is(err, db.ErrUnique) {
				s.Errorf("%v", err)
			}
			s.wantIDs(s.ctx, 500)
		},
	}
}

// query1 reads rows by a function that can't fail.
func query1(s *suite, sql string, each func(db.Row)) func(context.Context, db.Querier) error {
	return func(ctx context.Context, q db.Querier) error {
		n := 0
		err := q.Query(ctx, sql, func(r db.Row) error { n++; each(r); return nil })
		if n == 0 {
			s.Error("no rows")
		}
		return err
	}
}
