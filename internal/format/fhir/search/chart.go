package search

import (
	"math"
	"slices"

	"ward/internal/format/jsontape"
)

// chart is which parameters a patient's chart answers for one resource type; each may be nil.
type chart struct {
	patient, code, date *Param
	roles               map[uint32]chartRole // by atom
	root                *node                // leads to those atoms only
}

// chartRole is what the values at an atom are for the chart.
type chartRole uint8

const (
	noRole chartRole = iota
	chartPatient
	chartCode
	chartDate
)

// chartCodes and chartDates are the codes of the parameters, the best first.
//
//nolint:gochecknoglobals // constant tables
var (
	chartPatients = []string{"patient", "subject"}
	chartCodes    = []string{"code", "vaccine-code", "type", "category", "service-type"}
	chartDates    = []string{
		"authoredon", "date", "recorded-date", "onset-date", "authored-on", "authored", "effective-time", "effective", "whenhandedover",
		"created", "start-date", "started", "sent", "collected", "datetime", "datewritten", "recorded", "identified", "occurrence",
		"issued", "period", "onset", "birthdate",
	}
)

// newChart picks the parameters and marks the atoms.
func newChart(resourceType string, p *plan) chart {
	var c chart
	for _, code := range chartPatients {
		q := p.params[code]
		if q != nil && q.Type == Reference && slices.Contains(q.Targets(resourceType), "Patient") {
			c.patient = q
			break
		}
	}
	c.code, c.date = first(p, chartCodes, Token), first(p, chartDates, Date)
	if c.patient == nil || resourceType == "Patient" {
		return chart{}
	}
	atoms := c.patient.Atoms(resourceType)
	for _, a := range atoms {
		a.Chart, a.siblings = true, len(atoms)
	}
	c.roles = map[uint32]chartRole{}
	for _, q := range []struct {
		param *Param
		role  chartRole
	}{{c.patient, chartPatient}, {c.code, chartCode}, {c.date, chartDate}} {
		if q.param != nil {
			for _, a := range q.param.Atoms(resourceType) {
				c.roles[a.ID] = q.role
			}
		}
	}
	return c
}

func first(p *plan, codes []string, t ParamType) *Param {
	for _, code := range codes {
		if q := p.params[code]; q != nil && q.Type == t && q.Unsupported == "" {
			return q
		}
	}
	return nil
}

// ChartParams are the parameters that a patient's chart answers for a resource type; nil where the type has none.
func (r *Registry) ChartParams(resourceType string) (patient, code, date *Param) {
	if p := r.plans[resourceType]; p != nil {
		return p.chart.patient, p.chart.code, p.chart.date
	}
	return nil, nil, nil
}

// Chart is what a patient's chart holds of a resource. For a Patient it is the patient itself, when doc has an id. Who needs the postings
// too asks [Registry.Index] for both.
func (r *Registry) Chart(doc *jsontape.Doc, resourceType string) ChartEntry {
	x := extractor{registry: r, doc: doc, chart: ChartEntry{At: math.MinInt64}, chartOnly: true}
	if p := r.plans[resourceType]; p != nil {
		var buf [256]byte
		x.buf = buf[:0]
		x.walk(doc.Root(), p.chart.root)
		x.self(resourceType)
	}
	return x.chart
}

func appendNew(list []uint64, v uint64) []uint64 {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// bounds is the span of a date parameter's value that begins first, or with last that begins last.
func (p *Param) bounds(doc *jsontape.Doc, resourceType string, last bool) (low, high int64, ok bool) {
	for _, b := range p.byType[resourceType].branches {
		for i := range b.leaves {
			l := &b.leaves[i]
			l.each(doc, doc.Root(), func(n jsontape.Node) bool {
				if lo, hi, is := span(doc, n, l.dt); is && (!ok || (lo > low) == last && lo != low) {
					low, high, ok = lo, hi, true
				}
				return false
			})
		}
	}
	return low, high, ok
}

// ChartCodes are the hashes of the codes in the chart, any of which a resource that matches the clause has (ChartEntry.Codes). ok is false
// when the clause is not about the type's code, or can't be told by codes alone; exact when having one means to match.
func (c *Clause) ChartCodes(resourceType string) (codes []uint64, exact, ok bool) {
	p := c.registry.plans[resourceType]
	if p == nil || p.chart.code == nil || c.Kind != KindValue || c.Not || len(c.Values) == 0 || c.ParamFor(resourceType) != p.chart.code {
		return nil, false, false
	}
	exact = true
	for _, b := range p.chart.code.byType[resourceType].branches {
		exact = exact && !b.filtered
	}
	for i := range c.Values {
		v := &c.Values[i]
		switch {
		case v.codings != nil && len(v.codings.list) <= maxExpandedRanges:
			for _, coding := range v.codings.list {
				codes = appendNew(codes, CodeHash(coding.Code))
			}
			exact = false
		case c.Modifier == ModNone && v.code != "":
			codes = appendNew(codes, CodeHash(v.code))
			exact = exact && !v.hasSystem
		default:
			return nil, false, false
		}
	}
	return codes, exact, true
}
