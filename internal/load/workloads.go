package load

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Workload is one kind of work: what a single operation does.
type Workload struct {
	Name  string
	Title string
	cold  bool // asks for what nobody asked for yet
	ids   bool // needs the ids of stored results
	do    func(ctx context.Context, w *worker) error
	warm  func(ctx context.Context, w *worker) error // what the warm-up does instead, so that nothing is used up
}

// Workloads are all there are, in the order in which they run by default.
func Workloads() []Workload {
	return []Workload{
		{Name: "read", Title: "read by id, warm", ids: true, do: readWarm},
		{Name: "read-cold", Title: "read by id, not read before", cold: true, ids: true, do: readCold, warm: readWarm},
		{Name: "chart-cold", Title: "Observation by patient + code, newest 20, chart not seen before", cold: true, do: chartCold, warm: chartWarm},
		{Name: "chart-warm", Title: "the same, chart warm", do: chartWarm},
		{Name: "patient", Title: "Patient by name + birthdate", do: findPatient},
		{Name: "create-patient", Title: "create Patient", do: createPatient},
		{Name: "create", Title: "create Observation", do: createObservation},
		{Name: "transaction", Title: "transaction of 100 resources", do: transaction},
		{Name: "cycle", Title: "create, read, update, delete of nine linked types", do: cycle},
		{Name: "mixed", Title: "90 % reads and searches, 10 % creates", ids: true, do: mixed},
	}
}

// Select picks workloads by name; no names: all.
func Select(names []string) ([]Workload, error) {
	all := Workloads()
	if len(names) == 0 {
		return all, nil
	}
	var picked []Workload
	for _, name := range names {
		i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == name })
		if i < 0 {
			var known []string
			for _, w := range all {
				known = append(known, w.Name)
			}
			return nil, fmt.Errorf("there is no workload %q; there are %s", name, strings.Join(known, ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// warmCharts is how many patients' charts the warm workloads ask for again and again, and warmIDs how many results.
const (
	warmCharts = 16
	warmIDs    = 1000
)

func readWarm(ctx context.Context, w *worker) error {
	return w.readAt(ctx, w.rand.IntN(min(warmIDs, len(w.env.ids))))
}

func readCold(ctx context.Context, w *worker) error {
	i := int(w.env.unread.Add(1)) - 1 + warmIDs
	if i >= len(w.env.ids) {
		return errExhausted
	}
	return w.readAt(ctx, i)
}

func (w *worker) readAt(ctx context.Context, i int) error {
	w.to("/Observation/")
	w.path = append(w.path, w.env.ids[i]...)
	_, err := w.send(ctx, "GET", nil, 1)
	return err
}

func chartCold(ctx context.Context, w *worker) error {
	i := int(w.env.unseen.Add(1)) - 1
	if i >= w.env.Patients*codesPerPatient {
		return errExhausted
	}
	// Not in the order of storing: neighbours would find each other's pages in memory.
	patient := (i%w.env.Patients*7919 + 17) % w.env.Patients
	return w.chart(ctx, patient, i/w.env.Patients)
}

func chartWarm(ctx context.Context, w *worker) error {
	return w.chart(ctx, w.rand.IntN(min(warmCharts, w.env.Patients)), 0)
}

func (w *worker) chart(ctx context.Context, patient, kind int) error {
	w.to("/Observation?patient=load-patient-").number(patient).and("&code=http://loinc.org%7C").and(measureOf(patient, kind).loinc)
	w.and("&_sort=-date&_count=20")
	_, err := w.send(ctx, "GET", nil, 20)
	return err
}

func findPatient(ctx context.Context, w *worker) error {
	who := identityOf(w.rand.IntN(w.env.Patients))
	w.to("/Patient?name=").and(url.QueryEscape(who.family)).and("&birthdate=").and(who.birthDate)
	_, err := w.send(ctx, "GET", nil, 1)
	return err
}

func createPatient(ctx context.Context, w *worker) error {
	w.doc = appendPatient(w.doc[:0], int(w.rand.Uint32()), "")
	_, err := w.to("/Patient").send(ctx, "POST", w.doc, 1)
	return err
}

func createObservation(ctx context.Context, w *worker) error {
	patient := w.rand.IntN(w.env.Patients)
	w.doc = appendObservation(w.doc[:0], w.rand, patient, w.env.practitioners(), measureOf(patient, w.rand.IntN(codesPerPatient)))
	_, err := w.to("/Observation").send(ctx, "POST", w.doc, 1)
	return err
}

func transaction(ctx context.Context, w *worker) error {
	const size = 100
	w.doc = append(w.doc[:0], bundleHead...)
	for i := range size {
		if i > 0 {
			w.doc = append(w.doc, ',')
		}
		w.doc = appendPost(w.doc, "Observation", func(dst []byte) []byte {
			patient := w.rand.IntN(w.env.Patients)
			return appendObservation(dst, w.rand, patient, w.env.practitioners(), measureOf(patient, w.rand.IntN(codesPerPatient)))
		})
	}
	w.doc = append(w.doc, bundleTail...)
	_, err := w.to("").send(ctx, "POST", w.doc, size)
	return err
}

func mixed(ctx context.Context, w *worker) error {
	switch n := w.rand.IntN(100); {
	case n < 50:
		return w.readAt(ctx, w.rand.IntN(len(w.env.ids)))
	case n < 75:
		return w.chart(ctx, w.rand.IntN(w.env.Patients), w.rand.IntN(codesPerPatient))
	case n < 90:
		return findPatient(ctx, w)
	default:
		return createObservation(ctx, w)
	}
}

// collectIDs pages through the stored results until it has n ids.
func (e *environment) collectIDs(ctx context.Context, target Target, n int) error {
	c := newConn(target)
	defer c.close()
	w := &worker{conn: c, env: e}
	w.to("/Observation?_count=500&_elements=status")
	for len(e.ids) < n {
		a, err := w.send(ctx, "GET", nil, 0)
		if err != nil {
			return fmt.Errorf("listing stored results: %w: %s", err, w.first)
		}
		before := len(e.ids)
		e.ids = append(e.ids, idsIn(a.Body)...)
		next := nextLink(a.Body)
		if next == "" || len(e.ids) == before {
			break
		}
		_, below, found := strings.Cut(next, target.Base)
		if !found {
			return fmt.Errorf("the next page's link does not lead to %s", target.Base)
		}
		w.to(below)
	}
	if len(e.ids) == 0 {
		return fmt.Errorf("the server has no results yet: run `ward load prepare` first")
	}
	return nil
}

// idsIn takes the ids from the full URLs of a bundle's entries.
func idsIn(bundle []byte) [][]byte {
	var ids [][]byte
	for _, part := range bytes.Split(bundle, []byte(`"fullUrl"`))[1:] {
		_, rest, _ := bytes.Cut(part, []byte("/Observation/"))
		id, _, found := bytes.Cut(rest, []byte(`"`))
		if found {
			ids = append(ids, bytes.Clone(id))
		}
	}
	return ids
}

// nextLink takes the URL of the next page from a bundle.
func nextLink(bundle []byte) string {
	for _, part := range bytes.Split(bundle, []byte(`"relation"`))[1:] {
		value, rest, _ := bytes.Cut(part, []byte(`,`))
		if !bytes.Contains(value, []byte(`"next"`)) {
			continue
		}
		_, rest, _ = bytes.Cut(rest, []byte(`"url"`))
		if fields := bytes.SplitN(rest, []byte(`"`), 3); len(fields) == 3 {
			return string(bytes.ReplaceAll(fields[1], []byte(`\u0026`), []byte(`&`)))
		}
	}
	return ""
}
