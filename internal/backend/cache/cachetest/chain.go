package cachetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"ward/internal/backend/cache"
)

// GetMany implements cache.Chainer.
func (m *Tier) GetMany(ctx context.Context, names []string) ([][]byte, error) {
	values := make([][]byte, len(names))
	m.calls.Add(1)
	for i, name := range names {
		var err error
		if values[i], err = m.Get(ctx, name); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Calls is how often GetMany was called.
func (m *Tier) Calls() int64 { return m.calls.Load() }

func (m *Tier) up(ctx context.Context) error {
	if m.Down.Load() {
		return errDown
	}
	return ctx.Err()
}

// Mark implements cache.Chainer.
func (m *Tier) Mark(ctx context.Context, k cache.Mark) (head cache.Head, old [][]byte, err error) {
	if err := m.up(ctx); err != nil {
		return head, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	was, ok := cache.DecodeHead(m.values[k.Head].sealed)
	if !ok || was.Token != k.Prev || k.Anew {
		head = cache.Head{Generation: k.Fresh, Token: k.Next, Number: k.Number}
		m.values[k.Head] = kept{[]byte(head.Encode()), time.Now().Add(k.HeadTTL)}
		return head, nil, nil
	}
	head = cache.Head{Generation: was.Generation, Token: k.Next, Number: k.Number}
	m.values[k.Head] = kept{[]byte(head.Encode()), time.Now().Add(k.HeadTTL)}
	for _, name := range k.Names {
		var b []byte
		if _, ok := cache.DecodeValue(m.values[name].sealed, was.Generation); ok {
			b = m.values[name].sealed
		}
		old = append(old, b)
		m.values[name] = kept{cache.EncodeValue(was.Generation, cache.Numbered{Number: k.Number}), time.Now().Add(k.TTL)}
	}
	return head, old, nil
}

// Put implements cache.Chainer.
func (m *Tier) Put(ctx context.Context, head string, generation uint64, names []string, values []cache.Numbered, ttl time.Duration) error {
	if err := m.up(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := cache.DecodeHead(m.values[head].sealed); !ok || h.Generation != generation {
		return nil
	}
	for i, name := range names {
		if was, ok := cache.DecodeValue(m.values[name].sealed, generation); !ok || was.Number <= values[i].Number {
			m.values[name] = kept{cache.EncodeValue(generation, values[i]), time.Now().Add(ttl)}
		}
	}
	return nil
}

// Claim implements cache.Chainer.
func (m *Tier) Claim(ctx context.Context, name string, head cache.Head, instead *cache.Head, ttl time.Duration) error {
	if err := m.up(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	was, ok := m.values[name]
	if !ok || instead != nil && string(was.sealed) == instead.Encode() {
		m.values[name] = kept{[]byte(head.Encode()), time.Now().Add(ttl)}
	}
	return nil
}

// runChain checks what a tier that keeps chains promises.
func runChain(t *testing.T, tier cache.Chainer, unique string) {
	t.Helper()
	ctx := t.Context()
	head, a, b := unique+"{x}head", unique+"{x}a", unique+"{x}b"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mark := func(prev, next, number uint64, names ...string) (cache.Head, [][]byte) {
		t.Helper()
		h, old, err := tier.Mark(ctx, cache.Mark{Head: head, Prev: prev, Next: next, Number: number, Fresh: 1000 + next, Names: names, TTL: time.Minute, HeadTTL: time.Minute})
		must(err)
		return h, old
	}
	value := func(name string, generation uint64) string {
		t.Helper()
		got, err := tier.GetMany(ctx, []string{head, name, unique + "{x}nothing"})
		must(err)
		if len(got) != 3 || got[2] != nil {
			t.Fatalf("%q", got)
		}
		v, ok := cache.DecodeValue(got[1], generation)
		if !ok {
			return "none"
		}
		return string(v.Sealed)
	}
	put := func(generation, number uint64, name, text string) {
		t.Helper()
		must(tier.Put(ctx, head, generation, []string{name}, []cache.Numbered{{Number: number, Sealed: []byte(text)}}, time.Minute))
	}
	must(tier.Claim(ctx, head, cache.Head{Generation: 7, Token: 1, Number: 1}, nil, time.Minute))
	must(tier.Claim(ctx, head, cache.Head{Generation: 8, Token: 1, Number: 1}, nil, time.Minute)) // too late
	put(7, 0xff, a, "one")
	put(6, 0xff, b, "of another generation")
	if value(a, 7) != "one" || value(b, 7) != "none" || value(b, 6) != "none" {
		t.Fatal("a value is not what was put")
	}
	h, old := mark(1, 2, 0x100, a, b)
	if h != (cache.Head{Generation: 7, Token: 2, Number: 0x100}) || len(old) != 2 || !bytes.HasSuffix(old[0], []byte("one")) || len(old[1]) != 0 {
		t.Fatalf("%+v %q", h, old)
	}
	put(7, 0xff, a, "read before the change")
	put(7, 0xff, b, "read before the change")
	if value(a, 7) != "" || value(b, 7) != "" {
		t.Error("what was read before a change was stored after it")
	}
	put(7, 0x100, a, "two")
	if value(a, 7) != "two" {
		t.Error("what was read after the change was not stored")
	}
	// A change that was not marked: the next one begins anew.
	h, old = mark(99, 4, 0x102, a)
	if h.Generation == 7 || h.Token != 4 || len(old) != 0 || value(a, h.Generation) != "none" {
		t.Errorf("%+v %q", h, old)
	}
	put(7, 0x103, a, "of the generation before")
	if value(a, h.Generation) != "none" {
		t.Error("the generation before goes on")
	}
	must(tier.Claim(ctx, head, cache.Head{Generation: 9}, &cache.Head{Generation: 7}, time.Minute))
	if got, err := tier.GetMany(ctx, []string{head}); err != nil || string(got[0]) != h.Encode() {
		t.Errorf("%q %v", got, err)
	}
	must(tier.Claim(ctx, head, cache.Head{Generation: 9}, &h, time.Minute))
	if got, err := tier.GetMany(ctx, []string{head}); err != nil || string(got[0]) != (cache.Head{Generation: 9}).Encode() {
		t.Errorf("%q %v", got, err)
	}
}
