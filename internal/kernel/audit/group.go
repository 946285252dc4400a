package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
)

// place names a group of events.
type place struct {
	at, lane, number int64
}

// group is a row of audit_event: events that were recorded together.
type group struct {
	place
	body []byte
}

// digest covers the group and where it stands, so that a row that is changed or swapped with another one shows.
func (g *group) digest(tenant int32) [sha256.Size]byte {
	h := sha256.New()
	head := append(make([]byte, 0, 64), "ward audit group\x00"...)
	head = binary.BigEndian.AppendUint32(head, uint32(tenant)) //nolint:gosec // two's complement
	for _, n := range []int64{g.at, g.lane, g.number} {
		head = binary.BigEndian.AppendUint64(head, uint64(n)) //nolint:gosec // two's complement
	}
	h.Write(head)
	h.Write(g.body)
	return [sha256.Size]byte(h.Sum(nil))
}

// about binds a sealed body to its place.
func (p place) about() []byte {
	b := append(make([]byte, 0, 64), "audit_event/"...)
	for _, n := range []int64{p.at, p.lane, p.number} {
		b = binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // two's complement
	}
	return b
}

// fill sets the body, sealed where there is a key. Neither of the first bytes of what is sealed is that of a format.
func (g *group) fill(key *seal.Key, plain []byte) {
	if g.body = plain; key != nil {
		g.body = key.Seal(make([]byte, 0, len(plain)+seal.Overhead), plain, g.about())
	}
}

// events opens the body.
//
// Errors: Internal for one that does not open or that no batch made.
func (g *group) events(key *seal.Key) ([]Event, error) {
	body := g.body
	if len(body) > 0 && (body[0] == seal.Sealed || body[0] == seal.Clear) {
		if key == nil {
			return nil, errGroup()
		}
		var err error
		if body, err = key.Open(nil, body, g.about()); err != nil {
			return nil, errGroup()
		}
	}
	return decodeGroup(g.at, body)
}

// The body of a group, before it is sealed, is 1 byte format; how many milliseconds after the group's time the events' count from; a table of texts; then the
// events, which refer to the texts by their number. Numbers are varints. Text 0 is the empty one. A text is its length, doubled, and its bytes; a UUID is the odd
// length 33 and 16 bytes. In format 1 the events' times count from the group's.
const (
	formerFormat = 1
	groupFormat  = 2
)

const uuidMark = 33

func appendText(b []byte, s string) []byte {
	if len(s) == 36 {
		if u, err := uuid.Parse(s); err == nil && u.String() == s {
			return append(append(b, uuidMark), u[:]...)
		}
	}
	return append(binary.AppendUvarint(b, uint64(len(s))<<1), s...)
}

func errGroup() error { return fault.Internal("a group of audit events can't be read") }

// reader reads a body; once it failed it gives zeros.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.failed = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint() uint64 {
	n, used := binary.Uvarint(r.b)
	if used <= 0 {
		r.failed, r.b = true, nil
		return 0
	}
	r.b = r.b[used:]
	return n
}

func (r *reader) int() int64 {
	n, used := binary.Varint(r.b)
	if used <= 0 {
		r.failed, r.b = true, nil
		return 0
	}
	r.b = r.b[used:]
	return n
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.failed, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// count is a number of things that take at least a byte each.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.failed, r.b = true, nil
		return 0
	}
	return int(n) //nolint:gosec // bounded above
}

func (r *reader) text() string {
	n := r.uint()
	if n == uuidMark {
		b := r.bytes(16)
		if b == nil {
			return ""
		}
		return uuid.UUID(b).String()
	}
	return string(r.bytes(n >> 1))
}

// decodeGroup gives the events of a body.
//
// Errors: Internal for a body that no batch made.
func decodeGroup(at int64, body []byte) ([]Event, error) {
	r := reader{b: body}
	switch r.byte() {
	case groupFormat:
		at += r.int()
	case formerFormat:
	default:
		return nil, errGroup()
	}
	table := make([]string, 1, r.count()+1)
	for len(table) < cap(table) && !r.failed {
		table = append(table, r.text())
	}
	text := func() string {
		n := r.uint()
		if n >= uint64(len(table)) {
			r.failed = true
			return ""
		}
		return table[n]
	}
	events := make([]Event, r.count())
	for i := range events {
		e := &events[i]
		e.Time = time.UnixMilli(at + r.int()).UTC()
		e.Action, e.Outcome = Action(r.byte()), Outcome(r.byte())
		e.Emergency = r.byte()&1 != 0
		e.By = scope.Principal{ID: text(), Role: text(), Person: text(), Client: text(), OnBehalfOf: text()}
		e.Request, e.Address, e.Type, e.ID, e.Query, e.Detail = text(), text(), text(), text(), text(), text()
		e.Version, e.Count = int64(r.uint()), int64(r.uint()) //nolint:gosec // as stored
		if n := r.count(); n > 0 {
			e.Patients = make([]string, n)
			for p := range e.Patients {
				e.Patients[p] = text()
			}
		}
		if r.failed {
			return nil, errGroup()
		}
	}
	if r.failed || len(r.b) != 0 {
		return nil, errGroup()
	}
	return events, nil
}

// What a key of audit_index is of.
const (
	ofPatient = "patient "
	ofActor   = "actor "
)

// indexKey is the key of a patient's or an actor's id.
func indexKey(kind, id string) int64 {
	var buf [128]byte
	sum := sha256.Sum256(append(append(buf[:0], kind...), id...))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // a hash's bits
}

// indexKeys are the keys under which the events are found, each once.
func indexKeys(events []Event) []int64 {
	var keys []int64
	type named struct{ kind, id string }
	seen := make(map[named]bool, 4)
	add := func(kind, id string) {
		if id == "" || seen[named{kind, id}] {
			return
		}
		seen[named{kind, id}] = true
		keys = append(keys, indexKey(kind, id))
	}
	for i := range events {
		e := &events[i]
		for _, p := range e.Patients {
			add(ofPatient, p)
		}
		add(ofActor, e.By.ID)
		add(ofActor, e.By.Person)
		add(ofActor, e.By.OnBehalfOf)
	}
	return keys
}
