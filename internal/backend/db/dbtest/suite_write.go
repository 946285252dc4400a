package dbtest

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

func writeCases() map[string]func(s *suite) {
	return map[string]func(s *suite){
		"is all or nothing": func(s *suite) {
			err := s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
				s.no(insertItems(ctx, tx, 1, 2))
				return errTest
			})
			if !errors.Is(err, errTest) {
				s.Errorf("%v", err)
			}
			s.wantIDs(s.ctx)
			s.no(s.items(s.ctx, 3))
			s.wantIDs(s.ctx, 3)
		},
		"what is to follow the commit follows it, and never a failure": func(s *suite) {
			followed := 0
			write := func(fail error) error {
				return s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
					if !db.InWrite(ctx) || !db.AfterCommit(ctx, func() { followed++ }) {
						s.Error("inside Write is not known to be inside Write")
					}
					err := insertItems(ctx, tx, 1)
					if followed != 0 {
						s.Error("it follows before the commit")
					}
					return cmp.Or(err, fail)
				})
			}
			if err := write(errTest); !errors.Is(err, errTest) || followed != 0 {
				s.Errorf("%v, followed %d times", err, followed)
			}
			s.no(write(nil))
			if followed != 1 {
				s.Errorf("followed %d times", followed)
			}
			followed = 0
			if err := write(nil); !errors.Is(err, db.ErrUnique) || followed != 0 {
				s.Errorf("%v, followed %d times", err, followed)
			}
			if db.InWrite(s.ctx) || db.AfterCommit(s.ctx, func() {}) {
				s.Error("outside of Write is taken for inside")
			}
		},
		"a second row of a key is Conflict with ErrUnique": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			for name, err := range map[string]error{
				"primary key": s.items(s.ctx, 5, 1),
				"unique index": s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
					_, err := tx.Exec(ctx, "INSERT INTO dbtest_item (id, kind, key) VALUES ($1, $2, $3)", 2, 1, key(1))
					return err
				}),
			} {
				if !errors.Is(err, db.ErrUnique) || !fault.Is(err, fault.CodeConflict) {
					s.Errorf("%s: %v", name, err)
				}
			}
			s.wantIDs(s.ctx, 1)
		},
		"a failed statement fails it, also when the function goes on": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			err := s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
				s.no(insertItems(ctx, tx, 7))
				_, _ = tx.Exec(ctx, "INSERT INTO dbtest_item (id, kind, key) VALUES (1, 1, $1)", key(9))
				if err := tx.Query(ctx, "SELECT id FROM dbtest_item", nil); err == nil {
					s.Error("the transaction goes on")
				}
				return nil
			})
			if !errors.Is(err, db.ErrUnique) {
				s.Errorf("%v", err)
			}
			s.wantIDs(s.ctx, 1)
		},
		"an error of its row function does not fail it": func(s *suite) {
			s.write(func(ctx context.Context, tx db.Tx) error {
				s.no(insertItems(ctx, tx, 1, 2))
				if err := tx.Query(ctx, "SELECT id FROM dbtest_item", func(db.Row) error { return errTest }); !errors.Is(err, errTest) {
					s.Errorf("%v", err)
				}
				return insertItems(ctx, tx, 3)
			})
			s.wantIDs(s.ctx, 1, 2, 3)
		},
		"sees its own rows; others see them after the commit": func(s *suite) {
			s.write(func(ctx context.Context, tx db.Tx) error {
				s.no(insertItems(ctx, tx, 1))
				n := 0
				s.no(tx.Query(ctx, "SELECT id FROM dbtest_item", func(db.Row) error { n++; return nil }))
				if n != 1 {
					s.Errorf("%d rows", n)
				}
				s.wantIDs(s.ctx) // another connection
				return nil
			})
			s.wantIDs(s.ctx, 1)
		},
		"Exec counts rows, RETURNING gives them": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2, 3))
			s.write(func(ctx context.Context, tx db.Tx) error {
				n, err := tx.Exec(ctx, "UPDATE dbtest_item SET label = $1 WHERE id >= $2", "x", 2)
				if n != 2 || err != nil {
					s.Errorf("%d rows, %v", n, err)
				}
				var ids int64
				err = tx.Query(ctx, "DELETE FROM dbtest_item WHERE label = $1 RETURNING id", func(r db.Row) error { ids += r.Int64(0); return nil }, "x")
				if ids != 5 {
					s.Errorf("returned %d", ids)
				}
				return err
			})
			s.wantIDs(s.ctx, 1)
		},
		"an empty one is fine": func(s *suite) {
			s.write(func(context.Context, db.Tx) error { return nil })
		},
		"a panic rolls it back": func(s *suite) {
			func() {
				defer func() {
					if recover() == nil {
						s.Error("no panic")
					}
				}()
				_ = s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
					s.no(insertItems(ctx, tx, 1))
					panic("oh")
				})
			}()
			s.wantIDs(s.ctx)
			s.no(s.items(s.ctx, 2))
			s.wantIDs(s.ctx, 2)
		},
		"calls of DB inside it are refused": func(s *suite) {
			for name, call := range map[string]func(ctx context.Context) error{
				"Read":     func(ctx context.Context) error { return s.d.Read(ctx, query("SELECT 1")) },
				"Snapshot": func(ctx context.Context) error { return s.d.Snapshot(ctx, query("SELECT 1")) },
				"Write": func(ctx context.Context) error {
					return s.d.Write(ctx, func(context.Context, db.Tx) error { return nil })
				},
			} {
				if err := s.d.Write(s.ctx, func(ctx context.Context, _ db.Tx) error { return call(ctx) }); !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%s: %v", name, err)
				}
			}
			s.write(func(ctx context.Context, _ db.Tx) error { // another database is
				return s.d.Read(scope.WithSystem(ctx), query("SELECT 1"))
			})
		},
		"its tx is dead afterwards": func(s *suite) {
			var kept db.Tx
			s.write(func(_ context.Context, tx db.Tx) error { kept = tx; return nil })
			if err := kept.Query(s.ctx, "SELECT 1", nil); !fault.Is(err, fault.CodeInternal) {
				s.Errorf("%v", err)
			}
		},
		"COMMIT and ROLLBACK are not the function's": func(s *suite) {
			for _, sql := range []string{"COMMIT", "ROLLBACK"} {
				err := s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
					if err := insertItems(ctx, tx, 1); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, sql)
					return err
				})
				if !fault.Is(err, fault.CodeInternal) {
					s.Errorf("%s: %v", sql, err)
				}
			}
			s.wantIDs(s.ctx)
			s.no(s.items(s.ctx, 2))
			s.wantIDs(s.ctx, 2)
		},
		"ends with its context between statements": func(s *suite) {
			ctx, cancel := context.WithCancel(s.ctx)
			err := s.d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
				if err := insertItems(ctx, tx, 1); err != nil {
					return err
				}
				cancel()
				return insertItems(ctx, tx, 2)
			})
			if !fault.Is(err, fault.CodeCanceled) {
				s.Errorf("%v", err)
			}
			s.wantIDs(s.ctx)
		},
	}
}

func togetherCases() map[string]func(s *suite) {
	return map[string]func(s *suite){
		"many write at once; a bad one fails alone": func(s *suite) {
			const writers, each = 16, 25
			var wg sync.WaitGroup
			var bad atomic.Int64
			for w := range int64(writers) {
				wg.Go(func() {
					for i := range int64(each) {
						id := w*each + i
						err := s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
							if err := insertItems(ctx, tx, id); err != nil {
								return err
							}
							switch id % 10 {
							case 3:
								return errTest
							case 7: // the same number again
								_, err := tx.Exec(ctx, "INSERT INTO dbtest_item (id, kind, key) VALUES ($1, 2, $2)", id, key(id))
								return err
							}
							return nil
						})
						switch {
						case id%10 == 3 && errors.Is(err, errTest), id%10 == 7 && errors.Is(err, db.ErrUnique):
							bad.Add(1)
						case id%10 == 3 || id%10 == 7 || err != nil:
							s.Errorf("item %d: %v", id, err)
						}
					}
				})
			}
			wg.Wait()
			if bad.Load() != writers*each/5 {
				s.Errorf("%d failed", bad.Load())
			}
			ids := s.ids(s.ctx)
			if len(ids) != writers*each*8/10 {
				s.Errorf("%d items", len(ids))
			}
			for _, id := range ids {
				if id%10 == 3 || id%10 == 7 {
					s.Errorf("item %d is there", id)
				}
			}
		},
		"what ForUpdate or Lock guards is changed by one at a time": func(s *suite) {
			s.write(func(ctx context.Context, tx db.Tx) error {
				_, err := tx.Insert(ctx, "dbtest_edge", db.Col("a", []int64{1, 2, 3}), db.Col("b", []int64{0, 0, 0}))
				return err
			})
			const writers, each = 8, 10
			guards := map[string]func(ctx context.Context, tx db.Tx) error{
				"ForUpdate": func(ctx context.Context, tx db.Tx) error {
					l := db.Lookup{Table: "dbtest_edge", Want: []string{"a"}, Keys: []db.Column{db.Col("a", []int64{2, 1, 3, 2})}, ForUpdate: true}
					return tx.Lookup(ctx, l, func(int, db.Row) error { return nil })
				},
				"Lock": func(ctx context.Context, tx db.Tx) error { return tx.Lock(ctx, "edges") },
			}
			for name, guard := range guards {
				var wg sync.WaitGroup
				for range writers {
					wg.Go(func() {
						for range each {
							s.no(s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
								if err := guard(ctx, tx); err != nil {
									return err
								}
								var b int64
								if err := tx.Query(ctx, "SELECT max(b) FROM dbtest_edge", func(r db.Row) error { b = r.Int64(0); return nil }); err != nil {
									return err
								}
								_, err := tx.Exec(ctx, "UPDATE dbtest_edge SET b = $1", b+1)
								return err
							}))
						}
					})
				}
				wg.Wait()
				var got int64
				s.write(func(ctx context.Context, tx db.Tx) error {
					if err := tx.Query(ctx, "SELECT min(b) FROM dbtest_edge", func(r db.Row) error { got = r.Int64(0); return nil }); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, "UPDATE dbtest_edge SET b = 0")
					return err
				})
				if got != writers*each {
					s.Errorf("%s: %d of %d changes are there", name, got, writers*each)
				}
			}
		},
		"two who lock in different orders both get through": func(s *suite) {
			s.no(s.items(s.ctx, 1, 2))
			var wg sync.WaitGroup
			for w := range int64(2) {
				wg.Go(func() {
					for range 5 {
						s.no(s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
							for k := range int64(2) {
								if _, err := tx.Exec(ctx, "UPDATE dbtest_item SET label = 'x' WHERE id = $1", 1+(w+k)%2); err != nil {
									return err
								}
							}
							return nil
						}))
					}
				})
			}
			wg.Wait()
		},
		"a write that waits and whose context ends was not done": func(s *suite) {
			entered, finish := make(chan struct{}), make(chan struct{})
			held := make(chan error)
			go func() {
				held <- s.d.Write(s.ctx, func(ctx context.Context, tx db.Tx) error {
					if err := tx.Lock(ctx, "one"); err != nil {
						return err
					}
					close(entered)
					<-finish
					return insertItems(ctx, tx, 1)
				})
			}()
			<-entered
			ctx, cancel := context.WithTimeout(s.ctx, 30*time.Millisecond)
			defer cancel()
			err := s.d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
				if err := tx.Lock(ctx, "one"); err != nil {
					return err
				}
				return insertItems(ctx, tx, 2)
			})
			if !fault.Is(err, fault.CodeTimeout) {
				s.Errorf("%v", err)
			}
			s.wantIDs(s.ctx) // reads don't wait for the writer
			close(finish)
			s.no(<-held)
			s.wantIDs(s.ctx, 1)
		},
		"readers see every write whole": func(s *suite) {
			var stop atomic.Bool
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					for !stop.Load() {
						if n := s.count(s.ctx, "dbtest_item"); n%5 != 0 {
							s.Errorf("%d items", n)
							return
						}
					}
				})
			}
			for i := range int64(60) {
				s.no(s.items(s.ctx, 5*i, 5*i+1, 5*i+2, 5*i+3, 5*i+4))
			}
			stop.Store(true)
			wg.Wait()
		},
	}
}

func lifeCases() map[string]func(s *suite) {
	return map[string]func(s *suite){
		"stats count": func(s *suite) {
			s.no(s.items(s.ctx, 1))
			s.wantIDs(s.ctx, 1)
			st := s.d.Stats()
			if st.Reads < 1 || st.Writes < 1 || st.Commits < 1 || st.Connections < 1 || st.InFlight != 0 {
				s.Errorf("%+v", st)
			}
			s.no(s.d.Check(s.Context()))
		},
		"after Close all is Unavailable": func(s *suite) {
			s.no(s.d.Close(context.WithoutCancel(s.ctx)))
			s.no(s.d.Close(context.WithoutCancel(s.ctx)))
			if err := s.d.Read(s.ctx, query("SELECT 1")); !fault.Is(err, fault.CodeUnavailable) {
				s.Errorf("%v", err)
			}
			if err := s.d.Check(s.ctx); !fault.Is(err, fault.CodeUnavailable) {
				s.Errorf("%v", err)
			}
		},
	}
}
