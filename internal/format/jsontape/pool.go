package jsontape

import "sync"

// keepNodes and keepText bound what a Doc may hold on to while it waits in a Pool (1.5 MB of tape, 256 KB of
// text), so that one large bundle does not stay in memory for ever.
const (
	keepNodes = 1 << 16
	keepText  = 1 << 18
)

// Pool keeps Docs for reuse. The zero Pool is ready.
type Pool struct{ docs sync.Pool }

// Get gives a Doc that nobody else uses.
func (p *Pool) Get() *Doc {
	if d, ok := p.docs.Get().(*Doc); ok {
		return d
	}
	return &Doc{}
}

// Put takes a Doc back. Nothing read from it that aliases the Doc may be used afterwards.
func (p *Pool) Put(d *Doc) {
	d.Reset()
	d.MaxDepth = 0
	if cap(d.tape) > keepNodes {
		d.tape = nil
	}
	if cap(d.text) > keepText {
		d.text = nil
	}
	if cap(d.seen.slots) > keepNodes {
		d.seen.slots = nil
	}
	p.docs.Put(d)
}

// Reset forgets the document but keeps the memory.
func (d *Doc) Reset() {
	d.src, d.tape, d.text, d.tight = nil, d.tape[:0], d.text[:0], false
}

var shared Pool //nolint:gochecknoglobals // the pool behind Get and Put

// Get gives a Doc from the shared pool.
func Get() *Doc { return shared.Get() }

// Put gives a Doc back to the shared pool.
func Put(d *Doc) { shared.Put(d) }
