package outbox_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/bus"
	"ward/internal/backend/bus/embedded"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
	"ward/internal/kernel/module"
	"ward/internal/kernel/outbox"
	"ward/internal/kernel/seal/sealtest"
)

// BenchmarkWrite is a transaction that writes nothing but an event: bare (a row of the same width in the same way), with nobody who wants it, and with a consumer,
// to the end: every event handled.
func BenchmarkWrite(b *testing.B) {
	for _, driver := range []string{"sqlite", "postgres"} {
		for _, kind := range []string{"bare", "unwanted", "consumed"} {
			b.Run(driver+"/"+kind, func(b *testing.B) {
				var d *db.DB
				if driver == "sqlite" {
					d = dbtest.SQLite(b)
				} else {
					if !testenv.Has("WARD_TEST_POSTGRES") {
						b.Skip("WARD_TEST_POSTGRES is not set")
					}
					d = dbtest.Postgres(b)
				}
				benchmarkWrite(b, d, kind)
			})
		}
	}
}

func benchmarkWrite(b *testing.B, d *db.DB, kind string) {
	b.Helper()
	x, err := embedded.Open(b.Context(), embedded.Config{Dir: b.TempDir()}, bus.Deps{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = x.Close(context.WithoutCancel(b.Context())) }()
	tenant := scope.Tenant{ID: 1, Slug: "one"}
	var handled atomic.Int64
	var consumers []module.Consumer
	if kind == "consumed" {
		consumers = append(consumers, module.Consumer{Name: "c", Subject: "records.changed", Handle: func(context.Context, module.Event) error { handled.Add(1); return nil }})
	}
	o, err := outbox.New(outbox.Config{}, outbox.Deps{
		DB: d, Bus: x, Keys: sealtest.Keys(b, d), Consumers: consumers, Tenants: func(context.Context) ([]scope.Tenant, error) { return []scope.Tenant{tenant}, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	dbtest.Migrate(b, d, "outbox", o.Module().Migrations)
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for _, r := range o.Module().Runners {
		running.Go(func() { _ = r.Run(ctx) })
	}
	defer running.Wait()
	defer cancel()
	event := module.Event{Subject: "records.changed", Data: []byte(`{"type":"Observation","id":"0190a1b2-c3d4-7e5f-8a9b-0123456789ab","version":1}`)}
	scoped := scope.WithTenant(b.Context(), tenant)
	var n atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			err := d.Write(scoped, func(ctx context.Context, tx db.Tx) error {
				if kind == "bare" {
					_, err := tx.Insert(ctx, "outbox_seen", db.Col("consumer", []string{"c"}), db.Col("id", [][]byte{fmt.Appendf(nil, "%016d%80d", i, i)}))
					return err
				}
				if kind == "unwanted" {
					if _, err := tx.Insert(ctx, "outbox_seen", db.Col("consumer", []string{"c"}), db.Col("id", [][]byte{fmt.Appendf(nil, "%016d%80d", i, i)})); err != nil {
						return err
					}
				}
				return o.Enqueue(ctx, tx, event)
			})
			if err != nil {
				b.Error(err)
				return
			}
			o.Wake(scoped)
		}
	})
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "writes/s")
	for deadline := time.Now().Add(time.Minute); kind == "consumed" && handled.Load() < n.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d events were handled", handled.Load(), n.Load())
		}
	}
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "handled/s")
}
