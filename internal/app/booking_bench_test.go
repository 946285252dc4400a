package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
)

// BenchmarkBooking_Rush is 500 clients racing for 100 slots of one clinician over HTTP, with rules, claims, Appointments, Slots, reminders and the audit log, beside
// its limit: as many clients that each send one INSERT … ON CONFLICT DO NOTHING of one row, for the same 100 keys, to the same database. ratio is
// limit / rush: the bar is 0.4.
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
	var rush, limit time.Duration
	round := 0
	for b.Loop() {
		round++
		day = day.AddDate(0, 0, 1)
		for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			day = day.AddDate(0, 0, 1)
		}
		limit += rawRush(b, d, raw, round, slots, clients)
		rush += c.race(b, day.Format(time.DateOnly), slots, clients)
	}
	b.ReportMetric(float64(rush.Microseconds())/float64(round)/1000, "ms/rush")
	b.ReportMetric(float64(limit.Microseconds())/float64(round)/1000, "ms/limit")
	b.ReportMetric(limit.Seconds()/rush.Seconds(), "ratio")
}

// rawRush is how long the bare inserts take.
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
