package cache

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"ward/internal/base/fault"
)

// Head is the state of a chain in the second tier.
type Head struct {
	Generation uint64 // values of other generations are no answers
	Token      uint64 // of the last change that was marked
	Number     uint64 // of that change; it only grows within a generation
}

// Chainer is a [Tier] that can keep chains. All names of a call begin with the same part in braces, so that one server of a cluster has them.
type Chainer interface {
	Tier
	// GetMany gives the values under the names in one call, nil where there is nothing.
	GetMany(ctx context.Context, names []string) ([][]byte, error)
	// Mark notes a change. When the head's token is prev: the head becomes the same generation with the token next and the number, every name gets a
	// mark of that number, and what lay there comes back, nil where that is nothing of the generation. Otherwise, or with anew, the head
	// becomes the generation fresh, and old is nil. head is what it is now.
	Mark(ctx context.Context, m Mark) (head Head, old [][]byte, err error)
	// Put stores values where there is none of the generation with a later number, unless the head is of another generation.
	Put(ctx context.Context, head string, generation uint64, names []string, values []Numbered, ttl time.Duration) error
	// Claim sets the head where there is none, or where it still is instead.
	Claim(ctx context.Context, name string, head Head, instead *Head, ttl time.Duration) error
}

// Mark is a change that is about to be committed.
type Mark struct {
	Head       string
	Prev, Next uint64
	Number     uint64
	Fresh      uint64 // a generation that nobody has used
	Anew       bool
	Names      []string
	TTL        time.Duration // of the marks
	HeadTTL    time.Duration
}

// Numbered is a value with the number of the change it is of.
type Numbered struct {
	Number uint64
	Sealed []byte
}

// The form of what lies in the tier: a head is three numbers of 16 hexadecimal digits; a value is its generation and its number, likewise, and
// then what is sealed, which is nothing for a mark.
const (
	digits     = 16
	headSize   = 3 * digits
	prefixSize = 2 * digits
)

// Digits is a number as it lies in the tier.
func Digits(n uint64) string { return fmt.Sprintf("%016x", n) }

// Encode is the head as it lies in the tier.
func (h Head) Encode() string { return Digits(h.Generation) + Digits(h.Token) + Digits(h.Number) }

// DecodeHead reads a head.
func DecodeHead(b []byte) (h Head, ok bool) {
	if len(b) != headSize {
		return h, false
	}
	for i, to := range []*uint64{&h.Generation, &h.Token, &h.Number} {
		n, err := strconv.ParseUint(string(b[i*digits:(i+1)*digits]), 16, 64)
		if err != nil {
			return h, false
		}
		*to = n
	}
	return h, true
}

// EncodeValue is a value as it lies in the tier.
func EncodeValue(generation uint64, v Numbered) []byte {
	return append(fmt.Appendf(make([]byte, 0, prefixSize+len(v.Sealed)), "%016x%016x", generation, v.Number), v.Sealed...)
}

// DecodeValue reads a value of a generation; a mark has nothing sealed.
func DecodeValue(b []byte, generation uint64) (v Numbered, ok bool) {
	if len(b) < prefixSize {
		return v, false
	}
	g, err := strconv.ParseUint(string(b[:digits]), 16, 64)
	if err != nil || g != generation {
		return v, false
	}
	v.Number, err = strconv.ParseUint(string(b[digits:prefixSize]), 16, 64)
	v.Sealed = b[prefixSize:]
	return v, err == nil
}

const (
	chainMarked = 10 * time.Minute // longer than any reading of the database takes
	chainKept   = 24 * time.Hour
	chainHeads  = 30 * 24 * time.Hour
	chainNames  = 4_000 // in one call that changes something
)

// Chain is values of the second tier that are right because every change marks them first. Its zero value keeps nothing.
//
// Who changes something in the database does so in a transaction that no other change of the chain runs beside, and in which it replaces a
// token by a new one; before it commits it marks the values that the change makes wrong, from the one token to the other. So while the
// head's token is the database's, every change that is committed has marked what it changed. Who reads holds the two against each other once, and
// trusts the generation from then on for as long as it is told of every change that could not be marked: see package calendar/events.
//
// A value that was read before a change and stored after it is refused by the mark. A tier that loses everything loses the head with it; one that
// loses what came last has a head with an older number or token.
type Chain struct {
	c      *Cache
	tenant int32
	tier   Chainer
	space  string
	head   string
}

// Chain is the scope's tenant's chain of a name. ok is false without a second tier that can keep one.
//
// Errors: Internal when ctx carries no scope.
func (c *Cache) Chain(ctx context.Context, name string) (chain Chain, ok bool, err error) {
	tenant, err := tenantOf(ctx)
	if err != nil || c.far == nil {
		return Chain{}, false, err
	}
	tier, ok := c.far.tier.(Chainer)
	if !ok {
		return Chain{}, false, nil
	}
	space := "{" + c.far.sealer.Name(tenant, []byte("chain/"+name)) + "}"
	return Chain{c: c, tenant: tenant, tier: tier, space: space, head: space + "head"}, true, nil
}

func (h *Chain) name(key []byte) string { return h.space + h.c.far.sealer.Name(h.tenant, key) }

func (h *Chain) do(ctx context.Context, call func(ctx context.Context) error) error {
	err := h.c.far.guard.Do(ctx, call)
	if err != nil {
		h.c.far.failures.Add(1)
		return fault.Unavailable("the second tier does not answer").With(err)
	}
	return nil
}

// Head gives the chain's head; ok is false when there is none.
func (h *Chain) Head(ctx context.Context) (head Head, ok bool, err error) {
	var got [][]byte
	err = h.do(ctx, func(ctx context.Context) (err error) {
		got, err = h.tier.GetMany(ctx, []string{h.head})
		return err
	})
	if err != nil || got[0] == nil {
		return head, false, err
	}
	head, ok = DecodeHead(got[0])
	return head, ok, nil
}

// Claim begins a generation where there is no head, or where it still is instead.
func (h *Chain) Claim(ctx context.Context, head Head, instead *Head) error {
	return h.do(ctx, func(ctx context.Context) error { return h.tier.Claim(ctx, h.head, head, instead, chainHeads) })
}

// Get gives the head and the values under the keys that are of its generation, nil where there is none, by one call.
func (h *Chain) Get(ctx context.Context, keys [][]byte) (head Head, values [][]byte, err error) {
	names := make([]string, 1, len(keys)+1)
	names[0] = h.head
	for _, key := range keys {
		names = append(names, h.name(key))
	}
	var got [][]byte
	err = h.do(ctx, func(ctx context.Context) (err error) {
		got, err = h.tier.GetMany(ctx, names)
		return err
	})
	values = make([][]byte, len(keys))
	if err != nil {
		return head, values, err
	}
	head, ok := DecodeHead(got[0])
	if !ok {
		return Head{}, values, nil
	}
	for i, b := range got[1:] {
		values[i] = h.open(ctx, names[i+1], head.Generation, b)
	}
	return head, values, nil
}

// open is a value in the clear, or nil.
func (h *Chain) open(ctx context.Context, name string, generation uint64, b []byte) []byte {
	v, ok := DecodeValue(b, generation)
	if !ok || len(v.Sealed) == 0 {
		h.c.far.misses.Add(1)
		return nil
	}
	plain, err := h.c.far.sealer.Open(ctx, h.tenant, name+string(b[:prefixSize]), v.Sealed)
	if err != nil {
		h.c.far.failures.Add(1)
		return nil
	}
	h.c.far.hits.Add(1)
	return plain
}

// Mark notes, before it is committed, a change from the token prev to next that makes what lies under the keys wrong. It gives the head as it is now,
// and what lay there, which is right up to the change before; nil where that is not known.
func (h *Chain) Mark(ctx context.Context, prev, next, number uint64, keys [][]byte) (head Head, old [][]byte, err error) {
	m := Mark{Head: h.head, Prev: prev, Next: next, Number: number, Fresh: randomUint64(), TTL: chainMarked, HeadTTL: chainHeads, Anew: len(keys) > chainNames}
	if !m.Anew {
		for _, key := range keys {
			m.Names = append(m.Names, h.name(key))
		}
	}
	var got [][]byte
	err = h.do(ctx, func(ctx context.Context) (err error) {
		head, got, err = h.tier.Mark(ctx, m)
		return err
	})
	old = make([][]byte, len(keys))
	for i, b := range got {
		old[i] = h.open(ctx, m.Names[i], head.Generation, b)
	}
	return head, old, err
}

// Put stores what lies under the keys after the change with the number, in the generation.
func (h *Chain) Put(ctx context.Context, generation uint64, numbers []uint64, keys, values [][]byte) error {
	for len(keys) > 0 {
		n := min(len(keys), chainNames/8)
		names, sealed := make([]string, n), make([]Numbered, n)
		for i := range n {
			names[i] = h.name(keys[i])
			prefix := EncodeValue(generation, Numbered{Number: numbers[i]})
			text, err := h.c.far.sealer.Seal(ctx, h.tenant, names[i]+string(prefix), values[i])
			if err != nil {
				return err
			}
			sealed[i] = Numbered{numbers[i], text}
		}
		if err := h.do(ctx, func(ctx context.Context) error { return h.tier.Put(ctx, h.head, generation, names, sealed, chainKept) }); err != nil {
			return err
		}
		keys, values, numbers = keys[n:], values[n:], numbers[n:]
	}
	return nil
}

// PutLater is Put in the background; it is dropped when too much waits.
func (h *Chain) PutLater(ctx context.Context, generation uint64, numbers []uint64, keys, values [][]byte) {
	ctx = context.WithoutCancel(ctx)
	chain := *h
	h.c.far.later(func(context.Context) { _ = chain.Put(ctx, generation, numbers, keys, values) })
}
