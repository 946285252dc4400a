package search

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"ward/internal/format/jsontape"
)

// node is a place in a resource type's JSON from which indexed values can be reached.
type node struct {
	edges []edge
	slots []uint8 // open addressing over edges: position + 1
	emits []emit
}

// edge leads along a member.
type edge struct {
	key  string
	hops []hop
}

// hop goes to the values of a member, or to those elements that it admits.
type hop struct {
	index int
	url   string
	node  *node
}

// emit makes postings of a value.
type emit struct {
	atom  uint32
	extra uint32 // the atom's OfType or Identifier; 0: none
	typ   ParamType
	role  chartRole
	leaf  leaf
}

// build compiles the trie from the branches of all the plan's parameters.
func (p *plan) build(resourceType string) {
	p.root, p.chart.root = &node{}, &node{}
	done := map[uint32]bool{}
	for _, q := range p.sorted {
		for _, b := range q.byType[resourceType].branches {
			if b.atom == nil || done[b.atom.ID] {
				continue
			}
			done[b.atom.ID] = true
			if b.truth {
				p.truths = append(p.truths, b)
				continue
			}
			for i := range b.leaves {
				e := emit{atom: b.atom.ID, typ: b.atom.Type, role: p.chart.roles[b.atom.ID], leaf: b.leaves[i]}
				if b.extra != nil && (e.leaf.dt == dtIdentifier || e.leaf.dt == dtReference) {
					e.extra = b.extra.ID
				}
				p.root.insert(e)
				if e.role != noRole {
					p.chart.root.insert(e)
				}
			}
		}
	}
	p.root.seal()
	p.chart.root.seal()
}

// insert adds what a leaf emits at the end of its steps.
func (n *node) insert(e emit) {
	for _, s := range e.leaf.steps {
		n = n.child(s)
	}
	n.emits = append(n.emits, e)
}

// child is the node that a step leads to, its conditions apart.
func (n *node) child(s step) *node {
	i := slices.IndexFunc(n.edges, func(e edge) bool { return e.key == s.key })
	if i < 0 {
		i = len(n.edges)
		n.edges = append(n.edges, edge{key: s.key})
	}
	e := &n.edges[i]
	for _, h := range e.hops {
		if h.index == s.index && h.url == s.url {
			return h.node
		}
	}
	e.hops = append(e.hops, hop{index: s.index, url: s.url, node: &node{}})
	return e.hops[len(e.hops)-1].node
}

func (n *node) seal() {
	size := 2
	for size < 2*len(n.edges) {
		size *= 2
	}
	n.slots = make([]uint8, size)
	for i := range n.edges {
		at := slot(n.edges[i].key) & (size - 1)
		for n.slots[at] != 0 {
			at = (at + 1) & (size - 1)
		}
		n.slots[at] = uint8(i + 1)
		for _, h := range n.edges[i].hops {
			h.node.seal()
		}
	}
}

func slot[T string | []byte](key T) int {
	n := len(key)
	if n == 0 {
		return 0
	}
	return n*7 + int(key[0])*31 + int(key[n-1])*17 + int(key[n/2])*3
}

func (n *node) find(key []byte) *edge {
	mask := len(n.slots) - 1
	for at := slot(key) & mask; ; at = (at + 1) & mask {
		i := n.slots[at]
		if i == 0 {
			return nil
		}
		if e := &n.edges[i-1]; e.key == string(key) {
			return e
		}
	}
}

// Arena is memory for keys. The keys carved from it stay good until Reset.
type Arena struct{ buf []byte }

// Reset takes back all keys.
func (a *Arena) Reset() { a.buf = a.buf[:0] }

// Postings appends what an index holds of a resource, sorted by atom and key, each once. doc is a valid resource of the type.
// Contained resources have no postings, and references to patients at atoms with Chart have none.
func (r *Registry) Postings(dst []Posting, doc *jsontape.Doc, resourceType string) []Posting {
	if dst == nil {
		dst = make([]Posting, 0, 24)
	}
	return r.PostingsIn(&Arena{buf: make([]byte, 0, 512)}, dst, doc, resourceType)
}

// PostingsIn is Postings with the keys in an arena that the caller reuses.
func (r *Registry) PostingsIn(a *Arena, dst []Posting, doc *jsontape.Doc, resourceType string) []Posting {
	dst, _ = r.Index(a, dst, doc, resourceType)
	return dst
}

// Index is Postings and Chart in one pass, with the keys in an arena that the caller reuses. Once arena and dst have grown it allocates nothing
// but the two lists of the chart.
func (r *Registry) Index(a *Arena, dst []Posting, doc *jsontape.Doc, resourceType string) ([]Posting, ChartEntry) {
	x := extractor{registry: r, doc: doc, dst: dst, buf: a.buf, chart: ChartEntry{At: math.MinInt64}}
	p := r.plans[resourceType]
	if p == nil {
		return dst, x.chart
	}
	root := doc.Root()
	x.walk(root, p.root)
	for _, b := range p.truths {
		truth := "false"
		if b.truthOf(doc, root) {
			truth = "true"
		}
		x.post(b.atom.ID, FormToken, tokenKey(x.buf, nil, []byte(truth)))
	}
	x.self(resourceType)
	a.buf = x.buf
	return sortPostings(x.dst, len(dst)), x.chart
}

// truthOf is the value of "path.exists() and path != false".
func (b *branch) truthOf(doc *jsontape.Doc, root jsontape.Node) bool {
	for i := range b.leaves {
		if b.leaves[i].each(doc, root, func(n jsontape.Node) bool { return doc.Kind(n) != jsontape.False }) {
			return true
		}
	}
	return false
}

// sortPostings sorts the postings after the first from and drops repeats.
func sortPostings(all []Posting, from int) []Posting {
	some := all[from:]
	if len(some) < 32 {
		for i := 1; i < len(some); i++ {
			for k := i; k > 0 && comparePostings(some[k], some[k-1]) < 0; k-- {
				some[k], some[k-1] = some[k-1], some[k]
			}
		}
	} else {
		slices.SortFunc(some, comparePostings)
	}
	some = slices.CompactFunc(some, func(a, b Posting) bool { return a.Atom == b.Atom && bytes.Equal(a.Key, b.Key) })
	return all[:from+len(some)]
}

func comparePostings(a, b Posting) int {
	switch {
	case a.Atom < b.Atom:
		return -1
	case a.Atom > b.Atom:
		return 1
	}
	return bytes.Compare(a.Key, b.Key)
}

type extractor struct {
	registry *Registry
	doc      *jsontape.Doc
	dst      []Posting
	buf      []byte
	chart    ChartEntry

	chartOnly bool // no postings are wanted
}

// self puts a patient into its own chart.
func (x *extractor) self(resourceType string) {
	if id := x.doc.Get(x.doc.Root(), "id"); id >= 0 && resourceType == "Patient" {
		x.chart.Patients = []uint64{RefHash("Patient/" + x.doc.Text(id))}
	}
}

// post takes what was appended to x.buf as a key.
func (x *extractor) post(atom uint32, form Form, buf []byte) {
	if from := len(x.buf); !x.chartOnly {
		x.dst = append(x.dst, Posting{Atom: atom, Form: form, Key: buf[from:len(buf):len(buf)]})
	}
	x.buf = buf
}

func (x *extractor) walk(n jsontape.Node, at *node) {
	for m := x.doc.First(n); m >= 0; m = x.doc.Next(m) {
		e := at.find(x.doc.Key(m))
		if e == nil {
			continue
		}
		for i := range e.hops {
			h := &e.hops[i]
			if x.doc.Kind(m) != jsontape.Array {
				if h.index <= 0 {
					x.value(m, h)
				}
				continue
			}
			k := 0
			for v := x.doc.First(m); v >= 0; v = x.doc.Next(v) {
				if h.index < 0 || h.index == k {
					x.value(v, h)
				}
				k++
			}
		}
	}
}

func (x *extractor) value(n jsontape.Node, h *hop) {
	kind := x.doc.Kind(n)
	if kind == jsontape.Null || h.url != "" && string(x.doc.Bytes(x.doc.Get(n, "url"))) != h.url {
		return
	}
	for i := range h.node.emits {
		x.emit(n, &h.node.emits[i])
	}
	if len(h.node.edges) > 0 && kind == jsontape.Object {
		x.walk(n, h.node)
	}
}

func (x *extractor) emit(n jsontape.Node, e *emit) {
	switch e.typ {
	case Token:
		x.token(n, e)
	case Reference:
		x.reference(n, e)
	case Date:
		if low, high, ok := span(x.doc, n, e.leaf.dt); ok {
			x.post(e.atom, FormOrdered, dateKey(x.buf, low, high))
			if e.role == chartDate && low > openLow {
				x.chart.At = max(x.chart.At, low)
			}
		}
	case String:
		eachString(x.doc, n, &e.leaf, func(text []byte, wordy bool) bool {
			var buf [128]byte
			return beginnings(fold(buf[:0], text), wordy, func(b []byte) bool {
				x.post(e.atom, FormOrdered, stringKey(x.buf, b))
				return false
			})
		})
	case URI:
		if uri := canonicalURL(x.doc.Bytes(n), e.leaf.dt); len(uri) > 0 {
			x.post(e.atom, FormOrdered, uriKey(x.buf, uri))
		}
	case Number, Quantity:
		x.amount(n, e)
	case NoType, Composite, Special:
	}
}

// canonicalURL leaves the version away.
func canonicalURL(uri []byte, dt datatype) []byte {
	if dt == dtCanonical {
		uri, _, _ = bytes.Cut(uri, []byte("|"))
	}
	return uri
}

func (x *extractor) token(n jsontape.Node, e *emit) {
	eachToken(x.doc, n, e.leaf.dt, func(system, code []byte) bool {
		from := len(x.buf)
		x.post(e.atom, FormToken, tokenKey(x.buf, system, code))
		if e.role == chartCode && len(code) > 0 {
			x.chart.Codes = appendNew(x.chart.Codes, binary.BigEndian.Uint64(x.buf[from:]))
		}
		return false
	})
	if e.leaf.dt == dtIdentifier && e.extra != 0 {
		eachOfType(x.doc, n, func(system, code, value []byte) bool {
			x.post(e.extra, FormTyped, ofTypeKey(x.buf, system, code, value))
			return false
		})
	}
}

func (x *extractor) reference(n jsontape.Node, e *emit) {
	if t, ok := readTarget(x.doc, n, e.leaf.dt, x.registry.base); ok {
		hash := refHash(t.text)
		if e.role == chartPatient && t.local && t.typ == "Patient" {
			x.chart.Patients = appendNew(x.chart.Patients, hash)
		} else {
			x.post(e.atom, FormReference, binary.BigEndian.AppendUint64(x.buf, hash))
		}
	}
	if e.leaf.dt == dtReference && e.extra != 0 {
		if id := x.doc.Get(n, "identifier"); id >= 0 {
			eachToken(x.doc, id, dtIdentifier, func(system, code []byte) bool {
				x.post(e.extra, FormToken, tokenKey(x.buf, system, code))
				return false
			})
		}
	}
}

func (x *extractor) amount(n jsontape.Node, e *emit) {
	a, ok := readAmount(x.doc, n, e.leaf.dt)
	if !ok {
		return
	}
	x.post(e.atom, FormOrdered, amountKey(x.buf, &a, e.typ == Quantity))
	if e.typ != Quantity || !a.point() {
		return
	}
	if u := conversion(x.registry.units, a.system, a.code); u != nil {
		key := appendFloat(append(x.buf, classCanonical), u.Float(a.low.float()))
		x.post(e.atom, FormOrdered, appendShort(key, []byte(u.Dimension())))
	}
}
