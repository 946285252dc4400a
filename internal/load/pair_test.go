package load

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"testing"
	"time"

	"ward/internal/app"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/testenv"
	"ward/internal/kernel/tenancy"
)

// What a Ward of this test binary can do without. The program itself has a setting for sealing alone, which says so in capitals; the log of
// what was done it always writes.
const (
	withoutAudit = "audit"
	withoutSeal  = "seal"
)

var (
	pairRounds  = flag.Int("pair.rounds", 5, "rounds of BenchmarkPair: both Wards in turn in each")
	pairRuns    = flag.Duration("pair.duration", 1500*time.Millisecond, "how long each of its runs takes")
	pairConns   = flag.Int("pair.conns", 16, "connections of its closed loops")
	pairProfile = flag.String("pair.profile", "", "folder for CPU profiles of the reads of both")
)

// pairProcess makes this binary a Ward, lacking what its second argument lists; it prints where it is, and serves until its input ends.
const pairProcess = "pair-serve"

type pairAddress struct{ Base, Token, Ops string }

func servePair(text string) error {
	var in struct {
		Data, DB string
		Without  []string
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return err
	}
	environ := []string{"WARD_HTTP_LISTEN=127.0.0.1:0", "WARD_HTTP_OPS_LISTEN=127.0.0.1:0", "WARD_HTTP_DRAIN_WAIT=0s", "WARD_DB_MIGRATE=true", "WARD_DB_URL=" + in.DB, "WARD_HTTP_PROFILES=true"}
	if slices.Contains(in.Without, withoutSeal) {
		environ = append(environ, "WARD_SEAL_OFF=true")
	}
	c, err := app.Load("", environ, map[string]string{"data": in.Data})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the benchmark, however that ends
		cancel()
	}()
	o := app.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})), Unrecorded: slices.Contains(in.Without, withoutAudit)}
	o.Ready = func(ctx context.Context, a *app.App) error {
		t, err := a.Tenants.Create(ctx, "pair", "", tenancy.Settings{})
		if err != nil {
			return err
		}
		token, _, err := a.Tokens.Create(ctx, t.Tenant, "admin", "", 0)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(pairAddress{"http://" + a.Addr() + "/t/pair/fhir", token, a.OpsAddr()})
	}
	return app.Run(ctx, c, o)
}

// ward is a Ward in a process of its own.
type ward struct {
	target Target
	ops    string
	pid    int
	env    *environment
}

// startWard starts this binary again as a Ward that lacks what is said, and stores the population in it.
func startWard(b *testing.B, backend string, p Population, without []string) *ward {
	b.Helper()
	url := ""
	if backend == db.PostgreSQL {
		url = dbtest.PostgresURL(b)
	}
	text, err := json.Marshal(map[string]any{"Data": b.TempDir(), "DB": url, "Without": without})
	if err != nil {
		b.Fatal(err)
	}
	c := exec.Command(os.Args[0], pairProcess, string(text)) //nolint:gosec,noctx // this very binary; it ends with its input
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			b.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		b.Fatal("the Ward did not say where it is: ", err)
	}
	var at pairAddress
	if err := json.Unmarshal(line, &at); err != nil {
		b.Fatal(err)
	}
	w := &ward{ops: at.Ops, pid: c.Process.Pid, env: &environment{Population: p}}
	if w.target, err = ParseTarget(at.Base, at.Token); err != nil {
		b.Fatal(err)
	}
	if _, err := Prepare(b.Context(), w.target, p, 4, io.Discard); err != nil {
		b.Fatal(err)
	}
	if err := w.env.collectIDs(b.Context(), w.target, p.Observations); err != nil {
		b.Fatal(err)
	}
	return w
}

func (w *ward) run(b *testing.B, work Workload, seed uint64) Run {
	b.Helper()
	r, err := measureRun(b.Context(), w.target, w.env, work, loop{connections: *pairConns}, Options{Duration: *pairRuns, Warmup: *pairRuns / 5, PID: w.pid, Seed: seed})
	if err != nil {
		b.Fatal(err)
	}
	if r.Errors > 0 {
		b.Errorf("%s: %d errors: %s", work.Name, r.Errors, r.FirstError)
	}
	return r
}

// BenchmarkPair measures, over HTTP and in turns, a Ward as it is and one that lacks something, on the same data: what the thing costs. For each workload
// it reports the median over all rounds of throughput (with / without) and of the server's CPU for a request (with / without), and both CPUs
// in microseconds. Wished: mixed ≥ 0.8 and read ≥ 0.85 without audit+seal; the CPU of a read ≤ 1.05 without audit.
//
//	go test ./internal/load -run - -bench Pair/embedded/audit+seal -benchtime 1x -args -pair.rounds 7
func BenchmarkPair(b *testing.B) {
	backends := map[string]string{"embedded": db.SQLite}
	if testenv.Has("WARD_TEST_POSTGRES") {
		backends["postgres"] = db.PostgreSQL
	}
	for name, backend := range backends {
		for _, without := range [][]string{{withoutAudit}, {withoutSeal}, {withoutAudit, withoutSeal}} {
			b.Run(name+"/"+strings.Join(without, "+"), func(b *testing.B) { benchPair(b, backend, without) })
		}
	}
}

func benchPair(b *testing.B, backend string, without []string) {
	b.Helper()
	p := Population{Patients: 200, Observations: 20_000}
	whole, less := startWard(b, backend, p, nil), startWard(b, backend, p, without)
	work, err := Select([]string{"mixed", "read"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, w := range work {
			var throughput, cpu, wholeCPU, lessCPU []float64
			for round := range *pairRounds {
				pair := []*ward{whole, less}
				if round%2 == 1 {
					slices.Reverse(pair)
				}
				of := map[*ward]Run{}
				for _, x := range pair {
					of[x] = x.run(b, w, uint64(round)) //nolint:gosec // a small number
				}
				per := func(r Run) float64 { return 1e6 * r.ServerCPU / r.PerSecond }
				throughput = append(throughput, of[whole].PerSecond/of[less].PerSecond)
				cpu = append(cpu, per(of[whole])/per(of[less]))
				wholeCPU, lessCPU = append(wholeCPU, per(of[whole])), append(lessCPU, per(of[less]))
			}
			slices.Sort(throughput)
			b.Logf("%s: throughput %.2f (%.2f to %.2f), CPU a request %.2f: %.1f µs with, %.1f without", w.Name, middle(throughput), throughput[0], throughput[len(throughput)-1],
				middle(cpu), middle(wholeCPU), middle(lessCPU))
			b.ReportMetric(middle(throughput), w.Name+"-ratio")
			b.ReportMetric(middle(cpu), w.Name+"-cpu-ratio")
		}
	}
	if *pairProfile != "" {
		name := fmt.Sprintf("%s/%s-%s", *pairProfile, cmp.Or(backend, db.SQLite), strings.Join(without, "-"))
		for which, x := range map[string]*ward{"with": whole, "without": less} {
			profile := make(chan error, 1)
			go func() { profile <- x.profile(b.Context(), name+"-"+which+".cpu", 4) }()
			long := *pairRuns
			*pairRuns = 5 * time.Second
			x.run(b, work[1], 99)
			*pairRuns = long
			if err := <-profile; err != nil {
				b.Error(err)
			}
		}
	}
}

func (w *ward) profile(ctx context.Context, name string, seconds int) error {
	c := exec.CommandContext(ctx, "curl", "-sf", "-o", name, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", w.ops, seconds)) //nolint:gosec // of our own server
	return c.Run()
}
