package dbtest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// insertAll is a batcher's apply: items that are multiples of 10 are refused alone.
func insertAll(ctx context.Context, tx db.Tx, items []int64, results []error) error {
	var good []int64
	for i, id := range items {
		if id%10 == 0 {
			results[i] = errTest
		} else {
			good = append(good, id)
		}
	}
	if len(good) == 0 {
		return nil
	}
	return insertItems(ctx, tx, good...)
}

func batcherCases() map[string]func(s *suite) {
	return map[string]func(s *suite){
		"each gets its own result, and a bad item fails alone": func(s *suite) {
			s.no(s.items(s.ctx, 77, 177)) // they will be there twice
			var calls atomic.Int64
			b := db.NewBatcher(s.d, func(ctx context.Context, tx db.Tx, items []int64, results []error) error {
				calls.Add(1)
				for _, r := range results {
					if r != nil {
						s.Error("results of a former run")
					}
				}
				return insertAll(ctx, tx, items, results)
			}, db.BatcherOptions{})
			const n = 300
			var wg sync.WaitGroup
			for id := int64(1); id <= n; id++ {
				wg.Go(func() {
					err := b.Do(s.ctx, id)
					switch {
					case id%10 == 0 && errors.Is(err, errTest), id%100 == 77 && id < 200 && errors.Is(err, db.ErrUnique):
					case id%10 == 0 || id%100 == 77 && id < 200 || err != nil:
						s.Errorf("item %d: %v", id, err)
					}
				})
			}
			wg.Wait()
			if got := s.count(s.ctx, "dbtest_item"); got != n*9/10 {
				s.Errorf("%d items in %d calls", got, calls.Load())
			}
			if calls.Load() > n/2 {
				s.Errorf("%d items took %d transactions", n, calls.Load())
			}
		},
		"tenants are never mixed": func(s *suite) {
			b := db.NewBatcher(s.d, func(ctx context.Context, tx db.Tx, items []int64, _ []error) error {
				sc, _ := scope.From(ctx)
				for _, id := range items {
					if s.base+int32(id%3)+1 != sc.Tenant.ID { //nolint:gosec // small
						s.Errorf("item %d in tenant %d", id, sc.Tenant.ID)
					}
				}
				return insertItems(ctx, tx, items...)
			}, db.BatcherOptions{})
			var wg sync.WaitGroup
			for id := range int64(150) {
				wg.Go(func() {
					if err := b.Do(s.tenant(int32(id%3)+1), id); err != nil { //nolint:gosec // small
						s.Error(err)
					}
				})
			}
			wg.Wait()
			for t := range int32(3) {
				if got := s.count(s.tenant(t+1), "dbtest_item"); got != 50 {
					s.Errorf("tenant %d has %d items", t+1, got)
				}
			}
		},
		"an item whose context ends while it waits is not written, one under way is": func(s *suite) {
			entered, finish := make(chan struct{}, 10), make(chan struct{})
			b := db.NewBatcher(s.d, func(ctx context.Context, tx db.Tx, items []int64, _ []error) error {
				entered <- struct{}{}
				<-finish
				return insertItems(ctx, tx, items...)
			}, db.BatcherOptions{Flights: 1})
			ctx, cancel := context.WithCancel(s.ctx)
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- b.Do(ctx, 1) }()
			<-entered
			short, stop := context.WithTimeout(s.ctx, 20*time.Millisecond)
			defer stop()
			go func() { second <- b.Do(short, 2) }()
			if err := <-second; !fault.Is(err, fault.CodeTimeout) {
				s.Errorf("the one who waits: %v", err)
			}
			third := make(chan error, 1)
			go func() { third <- b.Do(s.ctx, 3) }()
			cancel()
			close(finish)
			if err := <-first; err != nil {
				s.Errorf("the one under way: %v", err)
			}
			s.no(<-third)
			s.wantIDs(s.ctx, 1, 3)
		},
		"a panic is one item's": func(s *suite) {
			b := db.NewBatcher(s.d, func(ctx context.Context, tx db.Tx, items []int64, _ []error) error {
				for _, id := range items {
					if id == 5 {
						panic("oh")
					}
				}
				return insertItems(ctx, tx, items...)
			}, db.BatcherOptions{})
			var wg sync.WaitGroup
			for id := range int64(20) {
				wg.Go(func() {
					if err := b.Do(s.ctx, id); (id == 5) != fault.Is(err, fault.CodeInternal) || id != 5 && err != nil {
						s.Errorf("item %d: %v", id, err)
					}
				})
			}
			wg.Wait()
			if got := s.count(s.ctx, "dbtest_item"); got != 19 {
				s.Errorf("%d items", got)
			}
		},
		"MaxItems bounds a transaction": func(s *suite) {
			var most atomic.Int64
			b := db.NewBatcher(s.d, func(ctx context.Context, tx db.Tx, items []int64, _ []error) error {
				most.Store(max(most.Load(), int64(len(items))))
				return insertItems(ctx, tx, items...)
			}, db.BatcherOptions{MaxItems: 4})
			var wg sync.WaitGroup
			for id := range int64(50) {
				wg.Go(func() { s.no(b.Do(s.ctx, id)) })
			}
			wg.Wait()
			if most.Load() > 4 || s.count(s.ctx, "dbtest_item") != 50 {
				s.Errorf("up to %d items together", most.Load())
			}
		},
		"without a scope it is refused": func(s *suite) {
			b := db.NewBatcher(s.d, insertAll, db.BatcherOptions{})
			if err := b.Do(s.Context(), 1); !fault.Is(err, fault.CodeInternal) {
				s.Errorf("%v", err)
			}
		},
	}
}
