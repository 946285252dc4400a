package search

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ward/internal/format/fhir/fhirtest"
	"ward/internal/format/jsontape"
)

// TestExamples_EachIsFoundByItsOwnValues indexes HL7's examples, asks for every value that a parameter finds in one, and demands that the
// clause matches and that the postings are within its ranges.
func TestExamples_EachIsFoundByItsOwnValues(t *testing.T) {
	t.Parallel()
	r := Standard()
	used, examples, queries, exacts := map[*Param]bool{}, 0, 0, 0
	var doc jsontape.Doc
	for i, example := range fhirtest.Examples(t) {
		examples++
		if err := doc.Parse(example.JSON); err != nil {
			t.Fatal(err)
		}
		index := newIndex(r, &doc, example.Type)
		for _, p := range r.Params(example.Type) {
			for _, text := range ownValues(r, p, &doc, example.Type) {
				name, value, _ := strings.Cut(text, "=")
				q, err := Parse(r, example.Type, []Pair{{p.Code + name, value}}, Options{})
				if err != nil {
					t.Errorf("%s: %s%s: %v", example.Name(i), p.Code, name, err)
					continue
				}
				c := q.Clauses[0]
				if c.Kind != KindValue {
					continue
				}
				used[p] = true
				queries++
				if !c.Match(&doc, example.Type) {
					t.Errorf("%s: %s%s does not match its own value %s", example.Name(i), p.Code, name, value)
				}
				if exact := index.check(t, c, example.Name(i)+" "+p.Code+text, true); exact {
					exacts++
				}
			}
		}
	}
	t.Logf("%d examples, %d queries (%d exact by postings alone) by %d parameters", examples, queries, exacts, len(used))
	if examples != 738 || len(used) < 900 {
		t.Errorf("%d examples and %d parameters used", examples, len(used))
	}
}

// index is what a database would hold of one resource.
type index struct {
	typ      string
	postings []Posting
	chart    ChartEntry
}

func newIndex(r *Registry, doc *jsontape.Doc, typ string) *index {
	x := &index{typ: typ}
	x.postings, x.chart = r.Index(&Arena{}, nil, doc, typ)
	if alone := r.Chart(doc, typ); !reflect.DeepEqual(alone, x.chart) {
		panic(fmt.Sprintf("the chart alone is %v, with the postings %v", alone, x.chart))
	}
	return x
}

// in says whether a posting is in one of the ranges.
func (x *index) in(ranges []Range) bool {
	return slices.ContainsFunc(ranges, func(r Range) bool {
		if r.Chart {
			return slices.Contains(x.chart.Patients, binary.BigEndian.Uint64(r.Lo))
		}
		return slices.ContainsFunc(x.postings, func(p Posting) bool {
			if p.Atom != r.Atom {
				return false
			}
			if r.Eq {
				return bytes.Equal(p.Key, r.Lo) && r.Holds(p.Key)
			}
			return bytes.Compare(p.Key, r.Lo) >= 0 && (r.Hi == nil || bytes.Compare(p.Key, r.Hi) < 0) && r.Holds(p.Key)
		})
	})
}

// check compares what the postings say with what the clause says on the resource.
func (x *index) check(t interface {
	Helper()
	Errorf(string, ...any)
}, c *Clause, name string, matches bool,
) (exact bool) {
	t.Helper()
	ranges, exact := c.Ranges(x.typ)
	if ranges != nil {
		if in := x.in(ranges); !in && matches {
			t.Errorf("%s: it matches, but no posting is within its ranges", name)
		} else if in && exact && !matches {
			t.Errorf("%s: it does not match, but a posting is within ranges said to be exact", name)
		}
	}
	if codes, codesExact, ok := c.ChartCodes(x.typ); ok {
		in := slices.ContainsFunc(codes, func(h uint64) bool { return slices.Contains(x.chart.Codes, h) })
		if !in && matches {
			t.Errorf("%s: it matches, but none of its codes is in the chart", name)
		} else if in && codesExact && !matches {
			t.Errorf("%s: it does not match, but a code said to be exact is in the chart", name)
		}
	}
	return exact && ranges != nil
}

// ownValues writes queries ("[:modifier]=value") for the values that a parameter finds in a resource.
func ownValues(r *Registry, p *Param, doc *jsontape.Doc, typ string) []string {
	u := p.byType[typ]
	if p.Unsupported != "" || u == nil {
		return nil
	}
	var all []string
	if p.Type == Composite {
		for i := range u.groups {
			g := &u.groups[i]
			eachStep(doc, doc.Root(), g.steps, func(n jsontape.Node) bool {
				var parts []string
				for k := range g.parts {
					from := n
					if g.parts[k].root {
						from = doc.Root()
					}
					found := branchValues(r, g.parts[k].typ, g.parts[k].branches, doc, from)
					at := slices.IndexFunc(found, func(s string) bool { return s[0] == '=' })
					if at < 0 {
						return false
					}
					parts = append(parts, found[at][1:])
				}
				all = append(all, "="+strings.Join(parts, "$"))
				return false
			})
		}
		return all
	}
	all = branchValues(r, p.Type, u.branches, doc, doc.Root())
	if len(all) > 0 && !u.branches[0].truth {
		all = append(all, ":missing=false")
	}
	if slices.Contains([]string{"_id", "_lastUpdated"}, p.Code) {
		all = slices.DeleteFunc(all, func(s string) bool { return strings.HasPrefix(s, ":") })
	}
	return all
}

func branchValues(r *Registry, typ ParamType, branches []*branch, doc *jsontape.Doc, root jsontape.Node) []string {
	var all []string
	add := func(modifier string, value string) { all = append(all, modifier+"="+value) }
	for _, b := range branches {
		if b.truth {
			add("", map[bool]string{true: "true", false: "false"}[b.truthOf(doc, root)])
			continue
		}
		for i := range b.leaves {
			l := &b.leaves[i]
			l.each(doc, root, func(n jsontape.Node) bool {
				leafValues(r, typ, b, l, doc, n, add)
				return false
			})
		}
	}
	if len(all) > 60 {
		all = all[:60]
	}
	return all
}

func leafValues(r *Registry, typ ParamType, b *branch, l *leaf, doc *jsontape.Doc, n jsontape.Node, add func(modifier, value string)) {
	text := func(n jsontape.Node) string { return doc.Text(n) }
	switch typ {
	case Token:
		eachToken(doc, n, l.dt, func(system, code []byte) bool {
			switch {
			case len(system) > 0 && len(code) > 0:
				add("", escape(string(system))+"|"+escape(string(code)))
				add("", escape(string(code)))
				add("", escape(string(system))+"|")
			case len(system) > 0:
				add("", escape(string(system))+"|")
			case l.dt == dtCoding || l.dt == dtCodeableConcept || l.dt == dtIdentifier:
				add("", "|"+escape(string(code)))
				fallthrough
			default:
				add("", escape(string(code)))
			}
			return false
		})
		if l.dt == dtIdentifier {
			eachOfType(doc, n, func(system, code, value []byte) bool {
				if len(system) > 0 {
					add(":of-type", escape(string(system))+"|"+escape(string(code))+"|"+escape(string(value)))
				}
				return false
			})
		}
		eachText(doc, n, l.dt, func(text []byte) bool {
			if len(fold(nil, text)) > 0 {
				add(":text", escape(string(text)))
			}
			return false
		})
	case String:
		eachString(doc, n, l, func(text []byte, _ bool) bool {
			add(":exact", escape(string(text)))
			if folded := fold(nil, text); len(folded) > 0 {
				add("", escape(string(text)))
				add(":contains", escape(string(text)))
			}
			return false
		})
	case Reference:
		if t, ok := readTarget(doc, n, l.dt, ""); ok && b.admits(t) {
			value := escape(string(t.text))
			if len(t.version) > 0 {
				value += "|" + escape(string(t.version))
			}
			add("", value)
		}
		if id := doc.Get(n, "identifier"); l.dt == dtReference && id >= 0 && b.resolve == "" {
			eachToken(doc, id, dtIdentifier, func(system, code []byte) bool {
				if len(system) > 0 {
					add(":identifier", escape(string(system))+"|"+escape(string(code)))
				}
				return false
			})
		}
	case Date:
		switch l.dt { //nolint:exhaustive // the datatypes of date parameters
		case dtDateTime, dtInstant:
			add("", text(n))
			add("", "ge"+text(n))
			add("", "ap"+text(n))
		case dtPeriod:
			if s := doc.Get(n, "start"); s >= 0 {
				add("", "ge"+text(s))
				add("", "ne1900")
			}
			if e := doc.Get(n, "end"); e >= 0 {
				add("", "le"+text(e))
			}
		case dtTiming:
			if _, _, ok := span(doc, n, l.dt); ok {
				add("", "gt1000")
			}
		}
	case Number, Quantity:
		a, ok := readAmount(doc, n, l.dt)
		if !ok {
			return
		}
		if l.dt == dtNumber {
			add("", text(n))
			return
		}
		if l.dt == dtMoney || l.dt == dtQuantity && a.point() {
			v := text(doc.Get(n, "value"))
			add("", v)
			add("", "ge"+v)
			if len(a.system) > 0 {
				add("", v+"|"+escape(string(a.system))+"|"+escape(string(a.code)))
			}
			if unit := text(doc.Get(n, "unit")); unit != "" {
				add("", v+"||"+escape(unit))
			}
		}
	case URI:
		value := escape(string(canonicalURL(doc.Bytes(n), l.dt)))
		add("", value)
		if !isURN(value) {
			add(":above", value)
			add(":below", value)
		}
	case NoType, Composite, Special:
	}
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(s)
}
