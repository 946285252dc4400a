package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ward/internal/format/fhir/spec"
)

// Limit is what this machine does at best at one thing that Ward's work is made of.
type Limit struct {
	Name      string  `json:"name"`
	Title     string  `json:"title"`
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"` // ms
	P99       float64 `json:"p99"` // ms
	Failure   string  `json:"failure,omitempty"`
}

// LimitSync appends 4 KB to a file of the folder and syncs it, over and over.
func LimitSync(ctx context.Context, dir string, d time.Duration) (Limit, error) {
	l := Limit{Name: "fsync", Title: "append 4 KB and fsync"}
	f, err := os.CreateTemp(dir, "fsync-*.tmp")
	if err != nil {
		return l, err
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	page := make([]byte, 4096)
	return repeat(ctx, l, 1, d, func(context.Context, int) (int, error) {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		return 1, f.Sync()
	})
}

// repeat calls do on so many goroutines until the time is over. do is told which goroutine it is on and returns how
// many units it did.
func repeat(ctx context.Context, l Limit, goroutines int, d time.Duration, do func(ctx context.Context, g int) (int, error)) (Limit, error) {
	var all sync.WaitGroup
	latencies := make([]histogram, goroutines)
	units := make([]int, goroutines)
	errs := make([]error, goroutines)
	started := time.Now()
	end := started.Add(d)
	for g := range goroutines {
		all.Go(func() {
			for at := time.Now(); at.Before(end) && ctx.Err() == nil; {
				n, err := do(ctx, g)
				if err != nil {
					errs[g] = err
					return
				}
				now := time.Now()
				latencies[g].record(now.Sub(at))
				units[g] += n
				at = now
			}
		})
	}
	all.Wait()
	took := time.Since(started)
	total := 0
	h := &histogram{}
	for g := range goroutines {
		total += units[g]
		h.add(&latencies[g])
	}
	l.PerSecond, l.P50, l.P99 = float64(total)/took.Seconds(), ms(h.quantile(0.5)), ms(h.quantile(0.99))
	return l, errors.Join(append(errs, ctx.Err())...)
}

// SQLLimits says which database to measure and how.
type SQLLimits struct {
	SQLite   string // a tenant's file; it is read, and a copy in Scratch is written
	Scratch  string // folder for the copy, on the disk to measure
	Postgres string // URL, as the role that Ward serves with
	Tenant   int    // number of the tenant, on PostgreSQL
	Group    int    // how many Observations one commit of the bare loop writes
	Duration time.Duration
	Seed     uint64
}

// Measure runs the bare loops on the databases that are named. A loop that fails is reported in its Failure, and the
// others go on.
func (s SQLLimits) Measure(ctx context.Context, each func(Limit)) error {
	if s.SQLite != "" {
		if err := s.sqlite(ctx, each); err != nil {
			return fmt.Errorf("SQLite %s: %w", filepath.Base(s.SQLite), err)
		}
	}
	if s.Postgres != "" {
		if err := s.postgres(ctx, each); err != nil {
			return fmt.Errorf("PostgreSQL: %w", err)
		}
	}
	return ctx.Err()
}

func report(l Limit, err error, each func(Limit)) {
	if err != nil {
		l.Failure = err.Error()
	}
	each(l)
}

// The statements that Ward answers the three questions with, bare. internal/domain/records has them too; here they are
// a measure and stay as plain as they can be.
const (
	sqlRead    = `SELECT rid, version, seq, op, body FROM records_resource WHERE type = $1 AND id = $2`
	sqlChart   = `SELECT r.rid, r.version, r.seq, r.op, r.body, r.id, c.at FROM records_chart c JOIN records_resource r ON r.rid = c.rid WHERE c.patient = $1 AND c.type = $2 AND c.code = $3 ORDER BY c.at, c.rid LIMIT 21`
	sqlPatient = `SELECT r.rid, r.version, r.seq, r.op, r.body, r.id FROM records_index i JOIN records_resource r ON r.rid = i.rid WHERE i.atom = $1 AND i.key = $2 AND i.rid > $3 AND EXISTS (SELECT 1 FROM records_index a WHERE a.atom = $4 AND a.key = $5 AND a.rid = i.rid) ORDER BY i.rid LIMIT 51`

	sqlSomeRows     = `SELECT type, id, rid, body FROM records_resource WHERE type = $1 AND op <> 4 ORDER BY seq DESC LIMIT 20000`
	sqlSomeCharts   = `SELECT patient, type, code, count(*) FROM records_chart WHERE code <> 0 AND type = $1 GROUP BY patient, type, code HAVING count(*) >= 10 LIMIT 20000`
	sqlSomePatients = `SELECT rid FROM records_resource WHERE type = $1 AND op <> 4 ORDER BY seq LIMIT 1000`
)

// The numbers that the two types have in the database.
func observationType() int64 { return int64(spec.R4().TypeNumber("Observation")) }
func patientType() int64     { return int64(spec.R4().TypeNumber("Patient")) }

// sample is what the bare loops ask for, taken from the database that they measure.
type sample struct {
	reads    []rowKey
	charts   []chartKey
	patients []postingPair
	rows     []writtenRow
}

type rowKey struct {
	typ int64
	id  []byte
	rid int64
}

type chartKey struct{ patient, typ, code int64 }

// postingPair is two values of the same patient, the rarer first.
type postingPair struct {
	atoms [2]int64
	keys  [2][]byte
}

// writtenRow is all that one Observation writes.
type writtenRow struct {
	typ    int64
	body   []byte
	charts []chartRow
	atoms  []int64
	keys   [][]byte
}

type chartRow struct{ patient, code, at int64 }

// samples is how many Observations the writing loops copy.
const samples = 500

func (s SQLLimits) rand(g int) *rand.Rand { return random(s.Seed+9, uint64(g)) }
