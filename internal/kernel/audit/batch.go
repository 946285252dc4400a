package audit

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ward/internal/base/scope"
)

// batch is the events of one row. They are encoded as they come, so that those that wait are bytes that nobody copies or looks through for pointers.
type batch struct {
	salt    salt
	base    int64 // milliseconds since 1970 from which the events' times count
	n       int
	texts   uint64 // how many there are, and
	table   []byte // what they are
	events  []byte
	keys    []int64           // of audit_index; some may be there twice
	lately  [fields]lately    // what the event before had
	places  map[string]uint64 // addresses that came, to their texts
	known   []known           // texts that came lately, by hash; shared with the batches before
	turn    int64             // its own, which no batch had before
	actor   scope.Principal   // whose keys were added last
	hashing maphash.Seed
}

// lately is a text and its number.
type lately struct {
	text   string
	number uint64
}

// known is a text of a batch. One that another has pushed out is written again when it comes again.
type known struct {
	lately

	turn  int64 // of the batch
	keyed bool  // the patient's key is there
}

// The fields of an event that are texts, in their order.
const (
	fieldBy = iota
	fieldRole
	fieldPerson
	fieldClient
	fieldOnBehalfOf
	fieldRequest
	fieldAddress
	fieldType
	fieldID
	fieldQuery
	fieldDetail
	fields
)

// mostInGroup is how many events a row holds.
const mostInGroup = 2000

const (
	knownByTrail = 256 // texts that a trail's batches remember
	knownByWrite = 16  // and that of a transaction
)

// batches are kept for their room.
type batches struct {
	pool    sync.Pool
	turns   atomic.Int64
	hashing maphash.Seed
}

const keepRoom = 256 << 10 // bytes of a batch that are worth keeping

func (p *batches) take(s salt, at time.Time, remembered []known) *batch {
	b, ok := p.pool.Get().(*batch)
	if !ok {
		b = &batch{}
	}
	b.salt, b.base, b.known, b.turn, b.hashing = s, at.UnixMilli(), remembered, p.turns.Add(1), p.hashing
	return b
}

// give takes back batches that are written.
func (p *batches) give(all []*batch) {
	for _, b := range all {
		if cap(b.table)+cap(b.events) > keepRoom {
			continue
		}
		*b = batch{table: b.table[:0], events: b.events[:0], keys: b.keys[:0]}
		p.pool.Put(b)
	}
}

// add encodes an event whose query is committed to.
func (b *batch) add(e *Event) {
	b.n++
	out := binary.AppendVarint(b.events, e.Time.UnixMilli()-b.base)
	flags := byte(0)
	if e.Emergency {
		flags |= 1
	}
	out = append(out, byte(e.Action), byte(e.Outcome), flags)
	for i, s := range [fields]string{
		e.By.ID, e.By.Role, e.By.Person, e.By.Client, e.By.OnBehalfOf, e.Request, e.Address, e.Type, e.ID, e.Query, e.Detail,
	} {
		if l := &b.lately[i]; l.text != s {
			l.text, l.number = s, b.number(i, s)
		}
		out = binary.AppendUvarint(out, b.lately[i].number)
	}
	out = binary.AppendUvarint(out, uint64(max(e.Version, 0)))
	out = binary.AppendUvarint(out, uint64(max(e.Count, 0)))
	out = binary.AppendUvarint(out, uint64(len(e.Patients)))
	for _, p := range e.Patients {
		s := b.remember(p)
		if !s.keyed && p != "" {
			s.keyed = true
			b.keys = append(b.keys, indexKey(ofPatient, p))
		}
		out = binary.AppendUvarint(out, s.number)
	}
	b.events = out
	b.act(e)
}

// act adds the keys of who acted.
func (b *batch) act(e *Event) {
	if b.n > 1 && b.actor.ID == e.By.ID && b.actor.Person == e.By.Person && b.actor.OnBehalfOf == e.By.OnBehalfOf {
		return
	}
	b.actor = scope.Principal{ID: e.By.ID, Person: e.By.Person, OnBehalfOf: e.By.OnBehalfOf}
	for _, id := range []string{e.By.ID, e.By.Person, e.By.OnBehalfOf} {
		if id != "" {
			b.keys = append(b.keys, indexKey(ofActor, id))
		}
	}
}

// number is that of a field's text. Text 0 is the empty one.
func (b *batch) number(field int, s string) uint64 {
	switch {
	case s == "":
		return 0
	case field == fieldAddress:
		n, ok := b.places[s]
		if !ok {
			if b.places == nil {
				b.places = map[string]uint64{}
			}
			n = b.text(b.salt.commit("address", s))
			b.places[s] = n
		}
		return n
	case field == fieldRequest, field == fieldQuery: // hardly one comes again
		return b.text(s)
	default:
		return b.remember(s).number
	}
}

// text adds a text.
func (b *batch) text(s string) uint64 {
	b.table = appendText(b.table, s)
	b.texts++
	return b.texts
}

// remember finds a text, or adds it.
func (b *batch) remember(s string) *known {
	at := &b.known[maphash.String(b.hashing, s)%uint64(len(b.known))]
	if at.turn != b.turn || at.text != s {
		*at = known{turn: b.turn}
		at.text = s
		if s != "" {
			at.number = b.text(s)
		}
	}
	return at
}

// body is what is kept of the events in the row of a time.
func (b *batch) body(at int64) []byte {
	out := append(make([]byte, 0, len(b.table)+len(b.events)+32), groupFormat)
	out = binary.AppendVarint(out, b.base-at)
	out = binary.AppendUvarint(out, b.texts)
	out = append(out, b.table...)
	out = binary.AppendUvarint(out, uint64(b.n)) //nolint:gosec // a count
	return append(out, b.events...)
}

// index is each key once.
func (b *batch) index() []int64 {
	slices.Sort(b.keys)
	b.keys = slices.Compact(b.keys)
	return b.keys
}
