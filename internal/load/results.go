package load

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Facts that Results tells reports apart by.
const (
	FactBackend = "backend" // embedded or postgres
	FactSize    = "size"    // full, or small: a tenth of it, to see what growth costs
	FactCommit  = "commit"
	FactRound   = "round"
)

// Figures that a report may hold beside runs and limits.
const (
	FigureImport = "import"          // resources a second
	FigureDisk   = "diskPerResource" // bytes for an Observation with its indexes
	FigureRest   = "rssAtRest"       // bytes
	FigureLoad   = "rssUnderLoad"    // bytes at most
)

// wish is one line of the table: what is measured, beside which limit, and what it should reach.
type wish struct {
	title, workload, limit string // the limit's name without the database's
	ratio                  float64
	rate                   map[string]float64 // at least so many a second, by backend
	resources              bool               // count resources, not requests
	only                   string             // the one backend that the ratio is wished for; empty: all
	answer                 string             // the limit of the answer's bytes over HTTP, which the limit does not send
}

//nolint:gochecknoglobals // constant table
var wishes = []wish{
	{title: "read by id, warm", workload: "read", limit: "http-read", ratio: 0.6},
	{title: "read by id, not read before", workload: "read-cold", limit: "read", ratio: 0.6, only: "postgres", answer: "http-read"},
	{title: "Observation by patient + code, newest 20, chart not seen before", workload: "chart-cold", limit: "chart", ratio: 0.6, answer: "http-chart"},
	{title: "the same, chart warm", workload: "chart-warm", limit: "http-chart", ratio: 0.35},
	{title: "Patient by name + birthdate", workload: "patient", limit: "patient", ratio: 0.5, answer: "http-read"},
	{title: "create Observation, durable", workload: "create", limit: "create", ratio: 0.6, rate: map[string]float64{"embedded": 3500, "postgres": 4000}},
	{title: "transaction of 100, resources", workload: "transaction", rate: map[string]float64{"embedded": 5000, "postgres": 5000}, resources: true},
}

// most is a figure that should stay below a bound, or for rates above it.
type most struct {
	title, figure, unit string
	scale               float64
	bound               map[string]float64
	least               bool
}

//nolint:gochecknoglobals // constant table
var bounds = []most{
	{title: "`ward import`, resources/s", figure: FigureImport, scale: 1, bound: map[string]float64{"embedded": 8000, "postgres": 8000}, least: true},
	{title: "disk per 1.5 KB Observation", figure: FigureDisk, unit: " KB", scale: 1024, bound: map[string]float64{"embedded": 1, "postgres": 2}},
	{title: "memory at rest", figure: FigureRest, unit: " MB", scale: 1 << 20, bound: map[string]float64{"embedded": 60, "postgres": 60}},
	{title: "memory under load", figure: FigureLoad, unit: " MB", scale: 1 << 20, bound: map[string]float64{"embedded": 400, "postgres": 400}},
}

// wishedConnections is the closed loop that the ratios are about.
const wishedConnections = 64

// Results writes the medians over all rounds as Markdown: Ward and the limit side by side, their ratio and what was
// wished for, then every run.
func Results(out io.Writer, reports []Report) error {
	if len(reports) == 0 {
		return fmt.Errorf("there are no reports")
	}
	m := median{runs: map[runKey][]Run{}, limits: map[limitKey][]float64{}, figures: map[limitKey][]float64{}}
	m.collect(reports)
	last := reports[len(reports)-1]
	fmt.Fprintf(out, "## %s, commit %s\n\n", last.Started.UTC().Format("2006-01-02 15:04"), last.Facts[FactCommit])
	fmt.Fprintf(out, "%d cores (%s), %d GB, Linux %s, %s; client, server and database share them. Medians of %d rounds; the server starts anew in each, and the limits are measured between.\n\n",
		last.Machine.Cores, last.Machine.CPU, (last.Machine.Memory+1<<29)>>30, last.Machine.Kernel, last.Machine.Go, m.rounds)
	for _, backend := range m.backends() {
		m.wishes(out, backend)
	}
	m.table(out)
	return nil
}

type runKey struct {
	backend, size, workload, loop string
	connections                   int
}

type limitKey struct{ backend, name string }

type median struct {
	runs    map[runKey][]Run
	limits  map[limitKey][]float64
	figures map[limitKey][]float64
	order   []runKey
	rounds  int
}

func (m *median) collect(reports []Report) {
	rounds := map[string]bool{}
	for _, r := range reports {
		backend := r.Facts[FactBackend]
		if round := r.Facts[FactRound]; round != "" {
			rounds[round] = true
		}
		for _, run := range r.Runs {
			k := runKey{backend, cmp.Or(r.Facts[FactSize], "full"), run.Workload, run.how(), run.Connections}
			if m.runs[k] == nil {
				m.order = append(m.order, k)
			}
			m.runs[k] = append(m.runs[k], run)
		}
		for _, l := range r.Limits {
			if l.Failure == "" {
				k := limitKey{backend, l.Name}
				m.limits[k] = append(m.limits[k], l.PerSecond)
			}
		}
		for name, value := range r.Figures {
			k := limitKey{backend, name}
			m.figures[k] = append(m.figures[k], value)
		}
	}
	m.rounds = len(rounds)
}

func (m *median) backends() []string {
	names := map[string]bool{}
	for k := range m.runs {
		names[k.backend] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (m *median) wishes(out io.Writer, backend string) {
	fmt.Fprintf(out, "### %s\n\n| work, %d connections | Ward/s | limit/s | ratio | wished | |\n|---|---:|---:|---:|---:|---|\n", backend, wishedConnections)
	for _, w := range wishes {
		run, ok := m.run(backend, "full", w.workload)
		if !ok {
			continue
		}
		got := run.PerSecond
		if w.resources {
			got = run.ResourcesPerSecond
		}
		limit, beside := m.limit(backend, w.limit)
		var wished []string
		fine, ratio, at := true, "", ""
		if beside && limit > 0 {
			ratio, at = fmt.Sprintf("%.2f", got/limit), fmt.Sprintf("%.0f", limit)
			if http, ok := m.limit(backend, w.answer); ok && http > 0 {
				at += fmt.Sprintf(" (%.0f with net/http)", 1/(1/limit+1/http))
			}
			if w.only == "" || w.only == backend {
				wished = append(wished, fmt.Sprintf("≥ %.2f", w.ratio))
				fine = got/limit >= w.ratio
			}
		}
		if least := w.rate[backend]; least > 0 {
			wished = append(wished, fmt.Sprintf("≥ %.0f/s", least))
			fine = fine && got >= least
		}
		fmt.Fprintf(out, "| %s | %.0f | %s | %s | %s | %s |\n", w.title, got, at, ratio, strings.Join(wished, ", "), judged(wished, fine))
	}
	for _, b := range bounds {
		values := m.figures[limitKey{backend, b.figure}]
		if len(values) == 0 {
			continue
		}
		got, bound, sign := middle(values)/b.scale, b.bound[backend], "≤"
		fine := got <= bound
		if b.least {
			fine, sign = got >= bound, "≥"
		}
		fmt.Fprintf(out, "| %s | %s%s | | | %s %v%s | %s |\n", b.title, digits(got), b.unit, sign, bound, b.unit, met(fine))
	}
	for _, workload := range []string{"chart-cold", "create"} {
		small, ok := m.run(backend, "small", workload)
		full, also := m.run(backend, "full", workload)
		if ok && also && full.PerSecond > 0 {
			times := small.PerSecond / full.PerSecond
			fmt.Fprintf(out, "| growth: %s with 10 × the resources | %.2f × the time | | | ≤ 1.25 | %s |\n", workload, times, met(times <= 1.25))
		}
	}
	fsync := m.limits[limitKey{backend, "fsync"}]
	if len(fsync) > 0 {
		fmt.Fprintf(out, "\nThe disk does %.0f fsync/s.\n", middle(fsync))
	}
	fmt.Fprintln(out)
}

func digits(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// judged says nothing of a figure that nothing was wished for.
func judged(wished []string, fine bool) string {
	if len(wished) == 0 {
		return ""
	}
	return met(fine)
}

func met(fine bool) string {
	if fine {
		return "met"
	}
	return "**not met**"
}

// run is the median of the closed loop that the wishes are about.
func (m *median) run(backend, size, workload string) (Run, bool) {
	for k, runs := range m.runs {
		if k.backend == backend && k.size == size && k.workload == workload && k.connections == wishedConnections && runs[0].Loop == "closed" {
			return medianRun(runs), true
		}
	}
	return Run{}, false
}

// limit finds the limit by its name, which for SQL begins with the database's.
func (m *median) limit(backend, name string) (float64, bool) {
	database := map[string]string{"embedded": "sqlite-", "postgres": "postgres-"}[backend]
	for _, n := range []string{name, database + name} {
		if values := m.limits[limitKey{backend, n}]; name != "" && len(values) > 0 {
			return middle(values), true
		}
	}
	return 0, false
}

func (m *median) table(out io.Writer) {
	fmt.Fprint(out, "<details><summary>Every run: latencies in ms, CPU in cores, memory in MB</summary>\n\n",
		"| backend | size | workload | loop | requests/s | resources/s | p50 | p95 | p99 | p99.9 | errors | server CPU | database CPU | client CPU | RSS |\n",
		"|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, k := range m.order {
		r := medianRun(m.runs[k])
		fmt.Fprintf(out, "| %s | %s | %s | %s | %.0f | %.0f | %.2f | %.2f | %.2f | %.2f | %d | %.2f | %.2f | %.2f | %d |\n", k.backend, k.size, k.workload, k.loop,
			r.PerSecond, r.ResourcesPerSecond, r.P50, r.P95, r.P99, r.P999, r.Errors, r.ServerCPU, r.DatabaseCPU, r.ClientCPU, r.ServerRSS>>20)
	}
	fmt.Fprint(out, "\n| backend | limit | at most/s |\n|---|---|---:|\n")
	keys := slices.SortedFunc(maps.Keys(m.limits), func(a, b limitKey) int {
		return cmp.Or(cmp.Compare(a.backend, b.backend), cmp.Compare(a.name, b.name))
	})
	for _, k := range keys {
		fmt.Fprintf(out, "| %s | %s | %.0f |\n", k.backend, k.name, middle(m.limits[k]))
	}
	fmt.Fprint(out, "\n</details>\n\n")
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// medianRun takes the median of each figure by itself; errors are added up.
func medianRun(runs []Run) Run {
	of := func(get func(Run) float64) float64 { return over(runs, get) }
	r := Run{
		PerSecond:          of(func(r Run) float64 { return r.PerSecond }),
		ResourcesPerSecond: of(func(r Run) float64 { return r.ResourcesPerSecond }),
		P50:                of(func(r Run) float64 { return r.P50 }),
		P95:                of(func(r Run) float64 { return r.P95 }),
		P99:                of(func(r Run) float64 { return r.P99 }),
		P999:               of(func(r Run) float64 { return r.P999 }),
		ServerCPU:          of(func(r Run) float64 { return r.ServerCPU }),
		DatabaseCPU:        of(func(r Run) float64 { return r.DatabaseCPU }),
		ClientCPU:          of(func(r Run) float64 { return r.ClientCPU }),
		ServerRSS:          int64(of(func(r Run) float64 { return float64(r.ServerRSS) })),
	}
	for _, run := range runs {
		r.Errors += run.Errors
	}
	return r
}
