package dbtest

import (
	"context"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

func lookupCases() map[string]func(s *suite) {
	byID := func(ids ...int64) db.Lookup {
		return db.Lookup{Table: "dbtest_item", Want: []string{"id", "key"}, Keys: []db.Column{db.Col("id", ids)}}
	}
	return map[string]func(s *suite){
		"tells which key a row is of": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2, 3, 4))
			keys := []int64{4, 99, 2, 2, -7, 1}
			got := make([]int64, len(keys))
			see := func(ctx context.Context, q db.Querier) error {
				clear(got)
				return q.Lookup(ctx, byID(keys...), func(i int, r db.Row) error {
					got[i] = r.Int64(0)
					if string(r.Bytes(1)) != string(key(r.Int64(0))) {
						s.Error("the key of another row")
					}
					return nil
				})
			}
			want := []int64{4, 0, 2, 2, 0, 1}
			s.no(s.d.Read(s.ctx, see))
			if !slices.Equal(got, want) {
				s.Errorf("Read: %v, want %v", got, want)
			}
			s.no(s.d.Snapshot(s.ctx, see))
			if !slices.Equal(got, want) {
				s.Errorf("Snapshot: %v, want %v", got, want)
			}
			s.write(func(ctx context.Context, tx db.Tx) error {
				if err := insertItems(ctx, tx, 99); err != nil {
					return err
				}
				return see(ctx, tx) // sees the transaction's own rows
			})
			want[1] = 99
			if !slices.Equal(got, want) {
				s.Errorf("Write: %v, want %v", got, want)
			}
		},
		"by several columns, many rows for a key, no rows in another tenant": func(s *suite) {
			s.write(func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Insert(ctx, "dbtest_edge", db.Col("a", []int64{1, 1, 2, 3}), db.Col("b", []int64{10, 11, 10, 10}))
				return err
			})
			see := func(ctx context.Context, l db.Lookup) (n [3]int) {
				s.no(s.d.Read(ctx, func(ctx context.Context, q db.Querier) error {
					return q.Lookup(ctx, l, func(i int, _ db.Row) error { n[i]++; return nil })
				}))
				return n
			}
			want := []string{"b"}
			one := db.Lookup{Table: "dbtest_edge", Want: want, Keys: []db.Column{db.Col("a", []int64{1, 2, 7})}}
			two := db.Lookup{Table: "dbtest_edge", Want: want, Keys: []db.Column{db.Col("a", []int64{1, 1, 7}), db.Col("b", []int32{10, 12, 10})}}
			if n := see(s.ctx, one); n != [3]int{2, 1, 0} {
				s.Errorf("by a: %v", n)
			}
			if n := see(s.ctx, two); n != [3]int{1, 0, 0} {
				s.Errorf("by a and b: %v", n)
			}
			if n := see(s.tenant(2), one); n != [3]int{} {
				s.Errorf("another tenant: %v", n)
			}
		},
		"of bytes, texts, flags and fractions; NULL equals nothing": func(s *suite) {
			s.write(func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Insert(ctx, "dbtest_item", db.Col("id", []int64{1, 2}), db.Col("kind", []int32{1, 1}), db.Col("key", [][]byte{{}, {0}}),
					db.Col("label", []string{"a", ""}), db.Col("body", [][]byte{nil, {}}), db.Col("flag", []bool{true, false}), db.Col("ratio", []float64{0.5, 2}))
				return err
			})
			for _, c := range []struct {
				col  db.Column
				want []int64
			}{
				{db.Col("key", [][]byte{{0}, {}, {1}}), []int64{2, 1, 0}},
				{db.Col("label", []string{"", "b", "a"}), []int64{2, 0, 1}},
				{db.Col("body", [][]byte{{}, nil, {1}}), []int64{2, 0, 0}},
				{db.Col("flag", []bool{true, false}), []int64{1, 2}},
				{db.Col("ratio", []float64{2, 3}), []int64{2, 0}},
			} {
				got := make([]int64, len(c.want))
				s.no(s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
					return q.Lookup(ctx, db.Lookup{Table: "dbtest_item", Want: []string{"id"}, Keys: []db.Column{c.col}}, func(i int, r db.Row) error { got[i] = r.Int64(0); return nil })
				}))
				if !slices.Equal(got, c.want) {
					s.Errorf("%s: %v, want %v", c.col.Name, got, c.want)
				}
			}
		},
		"without keys finds nothing; Stop ends it": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2, 3))
			n := 0
			s.no(s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
				if err := q.Lookup(ctx, byID(), func(int, db.Row) error { n++; return nil }); err != nil || n != 0 {
					s.Errorf("%d rows, %v", n, err)
				}
				return q.Lookup(ctx, byID(1, 2, 3), func(int, db.Row) error { n++; return db.Stop })
			}))
			if n != 1 {
				s.Errorf("%d rows", n)
			}
		},
		"Most ends it": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2, 3))
			for most, want := range map[int]int{0: 3, 1: 1, 2: 2, 3: 3, 100: 3} {
				for name, read := range map[string]func(context.Context, func(context.Context, db.Querier) error) error{"Read": s.d.Read, "Snapshot": s.d.Snapshot} {
					n := 0
					s.no(read(s.ctx, func(ctx context.Context, q db.Querier) error {
						l := byID(1, 2, 3)
						l.Most = most
						return q.Lookup(ctx, l, func(int, db.Row) error { n++; return nil })
					}))
					if n != want {
						s.Errorf("%s: %d rows of at most %d, want %d", name, n, most, want)
					}
				}
			}
		},
		"ForUpdate outside a Write, and columns of different lengths, are refused": func(s *suite) {
			l := byID(1)
			l.ForUpdate = true
			uneven := byID(1, 2)
			uneven.Keys = append(uneven.Keys, db.Col("kind", []int64{1}))
			for _, bad := range []db.Lookup{l, uneven, {Table: "dbtest_item", Want: []string{"id"}}, {Table: "dbtest_item", Keys: byID(1).Keys}} {
				err := s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
					return q.Lookup(ctx, bad, func(int, db.Row) error { return nil })
				})
				if !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%v", err)
				}
			}
		},
		"of 10,000 keys": func(s *suite) {
			ids := make([]int64, 10_000)
			for i := range ids {
				ids[i] = int64((i * 7919) % len(ids))
			}
			s.no(s.items(s.ctx, ids...))
			for i := range ids {
				ids[i] += 5000 // half of them are not there
			}
			n := 0
			s.no(s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
				return q.Lookup(ctx, byID(ids...), func(i int, r db.Row) error {
					if r.Int64(0) != ids[i] {
						s.Errorf("key %d got row %d", ids[i], r.Int64(0))
					}
					n++
					return nil
				})
			}))
			if n != 5000 {
				s.Errorf("%d rows", n)
			}
		},
	}
}
