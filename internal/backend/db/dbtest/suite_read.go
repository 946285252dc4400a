package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

func scopeCases() map[string]func(s *suite) {
	return map[string]func(s *suite){
		"without one is refused": func(s *suite) {
			none := func(context.Context, db.Querier) error { s.Error("the function ran"); return nil }
			for name, err := range map[string]error{
				"Read":     s.d.Read(s.Context(), none),
				"Snapshot": s.d.Snapshot(s.Context(), none),
				"Write":    s.d.Write(s.Context(), func(context.Context, db.Tx) error { s.Error("the function ran"); return nil }),
				"tenant 0": s.d.Read(tenant(s.Context(), 0), none),
			} {
				if !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%s: %v", name, err)
				}
			}
		},
		"keeps tenants apart": func(s *suite) {
			two := s.tenant(2)
			s.no(s.items(s.ctx, 1, 2))
			s.no(s.items(two, 2, 3)) // the same number and key in another tenant is another item
			s.wantIDs(s.ctx, 1, 2)
			s.wantIDs(two, 2, 3)
			s.wantIDs(s.tenant(3))
			s.no(s.d.Write(two, func(ctx context.Context, tx db.Tx) error {
				n, err := tx.Exec(ctx, "DELETE FROM dbtest_item")
				if n != 2 {
					s.Errorf("deleted %d", n)
				}
				return err
			}))
			s.wantIDs(s.ctx, 1, 2)
			s.wantIDs(two)
		},
		"of the system is a database of its own": func(s *suite) {
			system := scope.WithSystem(s.Context())
			s.no(s.d.Migrate(s.Context(), "dbtest", systemTables()))
			s.no(s.d.Write(system, func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Insert(ctx, "dbtest_thing", db.Col("id", []int64{1, 2}), db.Col("name", []string{"a", "b"}))
				return err
			}))
			s.no(s.d.Write(system, func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Upsert(ctx, "dbtest_thing", []string{"id"}, db.Col("id", []int64{2, 3}), db.Col("name", []string{"B", "c"}))
				return err
			}))
			if n := s.count(system, "dbtest_thing"); n != 3 {
				s.Errorf("%d things", n)
			}
			for name, err := range map[string]error{
				"system's table as a tenant": s.d.Read(s.ctx, query("SELECT id FROM dbtest_thing")),
				"tenant's table as system":   s.d.Read(system, query("SELECT id FROM dbtest_item")),
			} {
				if !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%s: %v", name, err)
				}
			}
		},
	}
}

func query(sql string, args ...any) func(context.Context, db.Querier) error {
	return func(ctx context.Context, q db.Querier) error { return q.Query(ctx, sql, nil, args...) }
}

func readCases() map[string]func(s *suite) {
	return map[string]func(s *suite){
		"values of every type come back": func(s *suite) {
			insert := "INSERT INTO dbtest_item (id, kind, key, label, body, flag, ratio) VALUES ($1, $2, $3, $4, $5, $6, $7)"
			s.write(func(ctx context.Context, tx db.Tx) error {
				for _, args := range [][]any{
					{int64(math.MaxInt64), int32(7), []byte{0, 1, 255}, "Grüße 🏥", []byte{}, true, 1.5},
					{int64(math.MinInt64), 8, []byte("x"), nil, nil, nil, nil},
					{0, int64(9), []byte{}, "", []byte(nil), false, -0.25},
				} {
					if n, err := tx.Exec(ctx, insert, args...); err != nil || n != 1 {
						s.Errorf("%d rows, %v", n, err)
					}
				}
				return nil
			})
			n := 0
			s.no(s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT id, kind, key, label, body, flag, ratio FROM dbtest_item ORDER BY kind", func(r db.Row) error {
					n++
					switch r.Int64(1) {
					case 7:
						if r.Int64(0) != math.MaxInt64 || !bytes.Equal(r.Bytes(2), []byte{0, 1, 255}) || r.Text(3) != "Grüße 🏥" || !r.Bool(5) || r.Float64(6) != 1.5 {
							s.Error("row 7")
						}
						if b := r.Bytes(4); b == nil || len(b) != 0 || r.IsNull(4) {
							s.Error("an empty body is not empty, or NULL")
						}
					case 8:
						if r.Int64(0) != math.MinInt64 {
							s.Error("row 8")
						}
						for i := 3; i < 7; i++ {
							if !r.IsNull(i) || r.Int64(i) != 0 || r.Float64(i) != 0 || r.Bytes(i) != nil || r.Text(i) != "" || r.Bool(i) {
								s.Errorf("NULL of column %d is a value", i)
							}
						}
					case 9:
						if r.Int64(0) != 0 || r.IsNull(3) || r.Text(3) != "" || !r.IsNull(4) || r.IsNull(5) || r.Bool(5) || r.Float64(6) != -0.25 {
							s.Error("row 9")
						}
						if b := r.Bytes(2); b == nil || len(b) != 0 {
							s.Error("an empty key")
						}
					}
					return nil
				})
			}))
			if n != 3 {
				s.Errorf("%d rows", n)
			}
		},
		"parameters are by number": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2, 3))
			var got []int64
			s.no(s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT id FROM dbtest_item WHERE kind = $2 AND id >= $1 AND id + $2 > $1 ORDER BY id LIMIT $3", func(r db.Row) error {
					got = append(got, r.Int64(0))
					return nil
				}, 2, 1, 10)
			}))
			if len(got) != 2 || got[0] != 2 {
				s.Errorf("%v", got)
			}
		},
		"Stop ends a query, another error is the caller's": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2, 3))
			for _, end := range []error{db.Stop, errTest} {
				n := 0
				err := s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
					err := q.Query(ctx, "SELECT id FROM dbtest_item", func(db.Row) error { n++; return end })
					if err == nil {
						// The connection is as good as before.
						err = q.Query(ctx, "SELECT id FROM dbtest_item", nil)
					}
					return err
				})
				if n != 1 || errors.Is(end, db.Stop) != (err == nil) || err != nil && !errors.Is(err, errTest) {
					s.Errorf("after %v: %d rows, %v", end, n, err)
				}
				s.wantIDs(s.ctx, 1, 2, 3)
			}
		},
		"Stop ends a query of very many rows, and what follows it is answered": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2, 3))
			const rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n"
			stop := func(ctx context.Context, q db.Querier) error {
				for range 2 {
					if err := q.Query(ctx, rows, func(db.Row) error { return db.Stop }, 20_000); err != nil {
						return err
					}
					n := 0
					if err := q.Query(ctx, "SELECT id FROM dbtest_item", func(db.Row) error { n++; return nil }); err != nil || n != 3 {
						s.Errorf("%d rows, %v", n, err)
					}
				}
				return nil
			}
			s.no(s.d.Read(s.ctx, stop))
			s.no(s.d.Snapshot(s.ctx, stop))
			s.no(s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error { return stop(ctx, tx) }))
		},
		"wrong SQL and wrong arguments are internal": func(s *suite) {
			for name, fn := range map[string]func(context.Context, db.Querier) error{
				"syntax":         query("SELEKT 1"),
				"no such table":  query("SELECT 1 FROM dbtest_nothing"),
				"too few":        query("SELECT id FROM dbtest_item WHERE id = $1"),
				"too many":       query("SELECT id FROM dbtest_item WHERE id = $1", 1, 2),
				"type":           query("SELECT id FROM dbtest_item WHERE id = $1", time.Second),
				"a write":        query("DELETE FROM dbtest_item"),
				"two statements": query("SELECT 1; SELECT 2"),
				"a name in lookup": func(ctx context.Context, q db.Querier) error {
					return q.Lookup(ctx, db.Lookup{Table: "dbtest_item; --", Want: []string{"id"}, Keys: []db.Column{db.Col("id", []int64{1})}}, func(int, db.Row) error { return nil })
				},
			} {
				if err := s.d.Read(s.ctx, fn); !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%s: %v", name, err)
				}
			}
			s.wantIDs(s.ctx)
		},
		"a statement inside a row function is refused": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			err := s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT id FROM dbtest_item", func(db.Row) error { return q.Query(ctx, "SELECT 1", nil) })
			})
			if !fault.Is(err, fault.CodeInternal) {
				s.Errorf("%v", err)
			}
			s.wantIDs(s.ctx, 1)
		},
		"a panic of a row function leaves the database well": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			func() {
				defer func() {
					if recover() == nil {
						s.Error("no panic")
					}
				}()
				_ = s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
					return q.Query(ctx, "SELECT id FROM dbtest_item", func(db.Row) error { panic("oh") })
				})
			}()
			s.wantIDs(s.ctx, 1)
		},
		"a long query ends with its context": func(s *suite) {
			const long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) FROM n"
			ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
			defer cancel()
			if err := s.d.Read(ctx, query(long)); !fault.Is(err, fault.CodeTimeout) {
				s.Errorf("deadline: %v", err)
			}
			ctx, cancel = context.WithCancel(s.ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			if err := s.d.Snapshot(ctx, query(long)); !fault.Is(err, fault.CodeCanceled) {
				s.Errorf("cancel: %v", err)
			}
			if err := s.d.Read(ctx, query("SELECT 1")); !fault.Is(err, fault.CodeCanceled) {
				s.Errorf("ended before: %v", err)
			}
			s.wantIDs(s.ctx)
		},
		"each statement of Read sees what is committed, those of Snapshot the same": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			for name, want := range map[string]int64{"Read": 1, "Snapshot": 0} {
				see := s.d.Read
				if name == "Snapshot" {
					see = s.d.Snapshot
				}
				s.no(see(s.ctx, func(ctx context.Context, q db.Querier) error {
					var n [2]int64
					for i := range n {
						if err := q.Query(ctx, "SELECT count(*) FROM dbtest_item", func(r db.Row) error { n[i] = r.Int64(0); return nil }); err != nil {
							return err
						}
						if i == 0 {
							s.no(s.items(s.ctx, 10+want))
						}
					}
					if n[1]-n[0] != want {
						s.Errorf("%s saw %d, then %d", name, n[0], n[1])
					}
					return nil
				}))
			}
			err := s.d.Snapshot(s.ctx, query("DELETE FROM dbtest_item"))
			if !fault.Is(err, fault.CodeInternal) {
				s.Errorf("a write in a Snapshot: %v", err)
			}
		},
		"large rows": func(s *suite) {
			body := bytes.Repeat([]byte{1, 2, 3, 4}, 2<<20) // 8 MiB
			s.write(func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Insert(ctx, "dbtest_item", db.Col("id", []int64{1}), db.Col("kind", []int64{1}), db.Col("key", [][]byte{{1}}), db.Col("body", [][]byte{body}))
				return err
			})
			s.no(s.d.Read(s.ctx, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, "SELECT body, key, body FROM dbtest_item", func(r db.Row) error {
					a, k, b := r.Bytes(0), r.Bytes(1), r.Bytes(2)
					if !bytes.Equal(a, body) || !bytes.Equal(b, body) || len(k) != 1 {
						s.Error("other bytes")
					}
					return nil
				})
			}))
		},
		"many texts": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			for i := range 600 { // more than a connection keeps prepared
				s.no(s.d.Read(s.ctx, query(fmt.Sprintf("SELECT id FROM dbtest_item WHERE id = 1 AND kind < %d", i+2))))
			}
			s.wantIDs(s.ctx, 1)
		},
	}
}
