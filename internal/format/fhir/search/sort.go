package search

import (
	"bytes"
	"slices"

	"ward/internal/format/jsontape"
)

const maxSortText = 128 // bytes of a text that count when sorting

// CanSort says whether resources can be sorted by the parameter.
func (p *Param) CanSort() bool {
	return p.Type != Composite && p.Type != Special && p.Unsupported == ""
}

// SortValue is the value by which a resource of the type is sorted, as bytes in the order of the values: of several the one that comes
// first in that order (search.html#sort). It is the same form for ascending and descending, so compare the other way round when desc.
// It may hold any byte; present is false when the resource has none.
func (p *Param) SortValue(doc *jsontape.Doc, resourceType string, desc bool) (key []byte, present bool) {
	t := p.byType[resourceType]
	if t == nil || !p.CanSort() {
		return nil, false
	}
	if p.Type == Date {
		low, _, ok := p.bounds(doc, resourceType, desc)
		return appendInt(nil, low), ok
	}
	offer := func(k []byte) bool {
		if k != nil && (!present || (bytes.Compare(k, key) > 0) == desc) {
			key, present = k, true
		}
		return false
	}
	for _, b := range t.branches {
		if b.truth {
			truth := []byte("false")
			if b.truthOf(doc, doc.Root()) {
				truth = []byte("true")
			}
			offer(truth)
			continue
		}
		for i := range b.leaves {
			l := &b.leaves[i]
			l.each(doc, doc.Root(), func(n jsontape.Node) bool { return p.sortKeys(doc, b, l, n, offer) })
		}
	}
	return key, present
}

func (p *Param) sortKeys(doc *jsontape.Doc, b *branch, l *leaf, n jsontape.Node, offer func([]byte) bool) bool {
	switch p.Type {
	case Token:
		return eachToken(doc, n, l.dt, func(_, code []byte) bool { return offer(clip(foldCode(nil, code))) })
	case String:
		return eachString(doc, n, l, func(text []byte, _ bool) bool { return offer(clip(fold(nil, text))) })
	case Reference:
		if t, ok := readTarget(doc, n, l.dt, ""); ok && b.admits(t) {
			return offer(clip(slices.Clone(t.text)))
		}
	case URI:
		return offer(clip(bytes.Clone(doc.Bytes(n))))
	case Number, Quantity:
		if a, ok := readAmount(doc, n, l.dt); ok && (!a.noLow || !a.noHigh) {
			v := a.low
			if a.noLow {
				v = a.high
			}
			return offer(appendFloat(nil, v.float()))
		}
	case NoType, Date, Composite, Special:
	}
	return false
}

func clip(b []byte) []byte {
	if b == nil {
		b = []byte{}
	}
	return b[:min(len(b), maxSortText)]
}
