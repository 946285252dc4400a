package dbtest

import (
	"context"
	"syscall"
	"testing"
	"time"

	"ward/internal/backend/db"
)

// Compare runs a bare loop and then the seam's as sub-benchmarks; perOp is how many of the unit one iteration does. The second prints its ratio to
// the first, which says more than the figure on another machine.
func Compare(b *testing.B, unit string, perOp float64, bare, seam func(b *testing.B)) {
	b.Helper()
	rates := map[string]float64{}
	run := func(name string, f func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpu()
			f(b)
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op") // says more where others use the machine too
			rates[name] = perOp * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rates[name], unit)
			if name == "seam" && rates["bare"] > 0 {
				b.ReportMetric(rates["seam"]/rates["bare"], "of-bare")
			}
		})
	}
	run("bare", bare)
	run("seam", seam)
}

// cpu is how long this process has computed; the database's own processes don't count.
func cpu() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// Unit is what a created resource writes: a row with a body of 300 bytes and 12 narrow index rows.
type Unit struct {
	ID   int64
	Body []byte
	Keys [][]byte // of 12 bytes; that of atom 0, 1, ...
}

// NewUnit is the unit of a number. Its keys are spread evenly.
func NewUnit(n int64) Unit {
	u := Unit{ID: n, Body: make([]byte, 300), Keys: make([][]byte, 12)}
	x := uint64(n) //nolint:gosec // a seed
	for k := range u.Keys {
		x = x*6364136223846793005 + 1442695040888963407
		key := make([]byte, 12)
		for j := range 8 {
			key[j] = byte(x >> (8 * j))
		}
		u.Keys[k] = key
	}
	return u
}

// InsertUnits writes units into bench_row and bench_index.
func InsertUnits(ctx context.Context, tx db.Tx, us []Unit) error {
	rids, bodies := make([]int64, 0, len(us)), make([][]byte, 0, len(us))
	atoms, keys, owners := make([]int64, 0, 12*len(us)), make([][]byte, 0, 12*len(us)), make([]int64, 0, 12*len(us))
	for _, u := range us {
		rids, bodies = append(rids, u.ID), append(bodies, u.Body)
		for a, k := range u.Keys {
			atoms, keys, owners = append(atoms, int64(a)), append(keys, k), append(owners, u.ID)
		}
	}
	if _, err := tx.Insert(ctx, "bench_row", db.Col("rid", rids), db.Col("body", bodies)); err != nil {
		return err
	}
	_, err := tx.Insert(ctx, "bench_index", db.Col("atom", atoms), db.Col("key", keys), db.Col("rid", owners))
	return err
}
