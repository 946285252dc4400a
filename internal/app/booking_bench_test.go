package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
)

// BenchmarkBooking_Rush is 500 clients racing for 100 slots of one clinician over HTTP, with rules, claims, Appointments, Slots, events, reminders and the audit log, beside
// its limit: as many clients that each send one INSERT … ON CONFLICT DO NOTHING of one row, for the same 100 keys, each in a transaction of its own that is durable
// when it returns. ratio is limit / rush: the bar is 0.4.
//
// On PostgreSQL the limit goes through the same pool. On SQLite it goes through a bare connection of the same driver with the same settings, one transaction after the other, as
// SQLite has one writer; grouped is the limit when Ward's own group commit takes many of the inserts into one transaction, which costs less than reading one HTTP request does.
func BenchmarkBooking_Rush(b *testing.B) {
	b.Run(db.SQLite, func(b *testing.B) { benchRush(b, dbtest.SQLite(b)) })
	if testenv.Has("WARD_TEST_POSTGRES") {
		b.Run(db.PostgreSQL, func(b *testing.B) { benchRush(b, dbtest.Postgres(b)) })
	}
}

func benchRush(b *testing.B, d *db.DB) {
	b.Helper()
	const slots, clients = 100, 500
	c := newClinic(b, d)
	c.rush(b, slots, clients)
	raw := scope.WithTenant(b.Context(), scope.Tenant{ID: 2, Slug: "raw"})
	day := time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)
	each, grouped := func(round int) time.Duration { return rawRush(b, d, raw, round, slots, clients) }, time.Duration(0)
	if d.Dialect().Name == db.SQLite {
		each = bareRush(b, slots, clients)
	}
	var rush, limit time.Duration
	round := 0
	for b.Loop() {
		round++
		day = day.AddDate(0, 0, 1)
		for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			day = day.AddDate(0, 0, 1)
		}
		limit += each(round)
		if d.Dialect().Name == db.SQLite {
			grouped += rawRush(b, d, raw, round, slots, clients)
		}
		rush += c.race(b, day.Format(time.DateOnly), slots, clients)
	}
	b.ReportMetric(float64(rush.Microseconds())/float64(round)/1000, "ms/rush")
	b.ReportMetric(float64(limit.Microseconds())/float64(round)/1000, "ms/limit")
	b.ReportMetric(limit.Seconds()/rush.Seconds(), "ratio")
	if grouped > 0 {
		b.ReportMetric(float64(grouped.Microseconds())/float64(round)/1000, "ms/grouped")
		b.ReportMetric(grouped.Seconds()/rush.Seconds(), "ratio-grouped")
	}
}

// bareRush is SQLite's own limit: a file with the claims' table alone, and one connection that clients use in turn, a transaction each.
func bareRush(b *testing.B, slots, clients int) func(round int) time.Duration {
	b.Helper()
	c, err := sqlite.OpenConn(filepath.Join(b.TempDir(), "bare.db"), sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	for _, text := range []string{
		"PRAGMA journal_mode=wal", "PRAGMA synchronous=full", "PRAGMA wal_autocheckpoint=4000",
		`CREATE TABLE claim (resource int8 NOT NULL, cell int4 NOT NULL, seat int4 NOT NULL, booking text NOT NULL, expires int8 NOT NULL, PRIMARY KEY (resource, cell, seat)) WITHOUT ROWID`,
	} {
		if err := sqlitex.ExecuteTransient(c, text, nil); err != nil {
			b.Fatal(err)
		}
	}
	var writer sync.Mutex
	return func(round int) time.Duration {
		var wg sync.WaitGroup
		made := 0
		began := time.Now()
		for n := range clients {
			wg.Go(func() {
				writer.Lock()
				defer writer.Unlock()
				// Without BEGIN a statement is a transaction of its own.
				err := sqlitex.Execute(c, `INSERT INTO claim (resource, cell, seat, booking, expires) VALUES (?1, ?2, 1, ?3, 0) ON CONFLICT DO NOTHING`,
					&sqlitex.ExecOptions{Args: []any{round, n % slots, fmt.Sprintf("b%d", n)}})
				if err != nil {
					b.Error(err)
				}
				made += c.Changes()
			})
		}
		wg.Wait()
		took := time.Since(began)
		if made != slots {
			b.Errorf("%d bare inserts won", made)
		}
		return took
	}
}

// rawRush is how long the bare inserts take through the tenant's database.
func rawRush(b *testing.B, d *db.DB, ctx context.Context, round, slots, clients int) time.Duration { //nolint:revive // the database first, as in tests
	b.Helper()
	var wg sync.WaitGroup
	var won atomic.Int64
	began := time.Now()
	for n := range clients {
		wg.Go(func() {
			var made int64
			err := d.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
				made, err = tx.Exec(ctx, `INSERT INTO calendar_claim (resource, cell, seat, booking, expires) VALUES ($1, $2, 1, $3, 0) ON CONFLICT DO NOTHING`,
					int64(round), int64(n%slots), fmt.Sprintf("b%d", n))
				return err
			})
			if err != nil {
				b.Error(err)
			}
			won.Add(made)
		})
	}
	wg.Wait()
	took := time.Since(began)
	if won.Load() != int64(slots) {
		b.Errorf("%d raw inserts won", won.Load())
	}
	return took
}

// BenchmarkBooking_Find is $find over a week of one clinician.
func BenchmarkBooking_Find(b *testing.B) {
	c := newClinic(b, dbtest.SQLite(b))
	path := "/fhir/Appointment/$find?start=2026-01-12T00:00:00Z&end=2026-01-19T00:00:00Z&practitioner=dr"
	if r := c.do(b, "frontdesk", "GET", path, ""); r.status != 200 || !strings.Contains(r.body, `"total":70`) {
		b.Fatal(r.body)
	}
	for b.Loop() {
		c.do(b, "frontdesk", "GET", path, "")
	}
}
