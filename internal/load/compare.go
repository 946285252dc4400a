package load

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// FactTenants is how many tenants share the data of a report.
const FactTenants = "tenants"

// tenantsBound is how many times what one tenant costs many may.
const tenantsBound = 1.5

// CompareTenants writes the medians of one tenant and of many side by side, as Markdown.
func CompareTenants(out io.Writer, reports []Report) error {
	type key struct {
		backend, loop string
		tenants       int
	}
	runs := map[key][]Run{}
	var backends, loops []string
	many := 0
	for _, r := range reports {
		n, err := strconv.Atoi(r.Facts[FactTenants])
		if err != nil {
			return fmt.Errorf("a report does not say how many tenants it is about")
		}
		many = max(many, n)
		backend := r.Facts[FactBackend]
		if !slices.Contains(backends, backend) {
			backends = append(backends, backend)
		}
		for _, run := range r.Runs {
			loop := fmt.Sprintf("%s, %s", run.Workload, run.how())
			if run.Rate == 0 {
				loop = fmt.Sprintf("%s, %d connections", run.Workload, run.Connections)
			}
			if !slices.Contains(loops, loop) {
				loops = append(loops, loop)
			}
			k := key{backend, loop, n}
			runs[k] = append(runs[k], run)
		}
	}
	fmt.Fprintf(out, "| backend | loop | | 1 tenant | %d tenants | ratio | wished | |\n|---|---|---|---:|---:|---:|---|---|\n", many)
	figures := []struct {
		name  string
		of    func(r Run) float64
		bound bool
	}{
		{"memory at the end, MB", func(r Run) float64 { return float64(r.ServerRSS) / (1 << 20) }, true},
		{"memory at most, MB", func(r Run) float64 { return float64(r.ServerPeakRSS) / (1 << 20) }, true},
		{"p50, ms", func(r Run) float64 { return r.P50 }, false},
		{"p99, ms", func(r Run) float64 { return r.P99 }, true},
		{"requests/s", func(r Run) float64 { return r.PerSecond }, false},
		{"server's CPU a request, µs", func(r Run) float64 { return 1e6 * r.ServerCPU / r.PerSecond }, false},
		{"errors", func(r Run) float64 { return float64(r.Errors) }, false},
	}
	for _, backend := range backends {
		for _, loop := range loops {
			if len(runs[key{backend, loop, 1}]) == 0 || len(runs[key{backend, loop, many}]) == 0 {
				continue
			}
			for _, f := range figures {
				one, all := over(runs[key{backend, loop, 1}], f.of), over(runs[key{backend, loop, many}], f.of)
				wished, met := "", ""
				if f.bound && one > 0 {
					wished, met = fmt.Sprintf("≤ %.1f", tenantsBound), "met"
					if all > tenantsBound*one {
						met = "**not met**"
					}
				}
				ratio := ""
				if one > 0 {
					ratio = fmt.Sprintf("%.2f", all/one)
				}
				fmt.Fprintf(out, "| %s | %s | %s | %.2f | %.2f | %s | %s | %s |\n", backend, loop, f.name, one, all, ratio, wished, met)
			}
		}
	}
	return nil
}

// over is the median of a figure over runs.
func over(runs []Run, of func(r Run) float64) float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	return middle(values)
}
