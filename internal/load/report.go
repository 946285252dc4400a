package load

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is all that one measurement found out, as JSON keeps it.
type Report struct {
	Started time.Time          `json:"started"`
	Machine Machine            `json:"machine"`
	Facts   map[string]string  `json:"facts,omitempty"` // what the caller knows: commit, backend, round
	Runs    []Run              `json:"runs,omitempty"`
	Limits  []Limit            `json:"limits,omitempty"`
	Figures map[string]float64 `json:"figures,omitempty"` // what the caller measured itself, see FigureImport and the like
}

// Machine is where it was measured.
type Machine struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	Memory int64  `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// ThisMachine describes the machine, as far as /proc tells.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	m.CPU = procValue("/proc/cpuinfo", "model name")
	_, _ = fmt.Sscanf(procValue("/proc/meminfo", "MemTotal"), "%d", &m.Memory)
	m.Memory <<= 10
	return m
}

func procValue(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Table writes the report for people. Latencies are milliseconds, CPU is cores, memory is MB.
func (r *Report) Table(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	if len(r.Runs) > 0 {
		fmt.Fprintln(w, "workload\tloop\trequests/s\tresources/s\tp50\tp95\tp99\tp99.9\terrors\tserver CPU\tdatabase CPU\tclient CPU\tRSS\t")
	}
	for _, run := range r.Runs {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%.2f\t%.2f\t%.2f\t%d\t\n", run.Workload, run.how(), run.PerSecond, run.ResourcesPerSecond,
			run.P50, run.P95, run.P99, run.P999, run.Errors, run.ServerCPU, run.DatabaseCPU, run.ClientCPU, run.ServerRSS>>20)
	}
	if len(r.Limits) > 0 {
		fmt.Fprintln(w, "limit\tat most/s\tp50\tp99\t")
	}
	for _, l := range r.Limits {
		fmt.Fprintf(w, "%s\t%.0f\t%.3f\t%.3f\t%s\n", l.Name, l.PerSecond, l.P50, l.P99, l.Failure)
	}
	return w.Flush()
}

func (r Run) how() string {
	if r.Rate > 0 {
		return fmt.Sprintf("%.0f/s open", r.Rate)
	}
	return fmt.Sprintf("%d closed", r.Connections)
}
