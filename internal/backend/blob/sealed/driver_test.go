package sealed_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"ward/internal/backend/blob"
	"ward/internal/backend/blob/blobtest"
	"ward/internal/backend/blob/file"
	"ward/internal/backend/blob/sealed"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// derived are keys that come from the tenant's number.
type derived struct{ newest uint32 }

func (k derived) Stream(ctx context.Context, number uint32, salt []byte) (cipher.AEAD, uint32, error) {
	s, _ := scope.From(ctx)
	if number == 0 {
		number = k.newest
	}
	if number > k.newest {
		return nil, 0, fault.Unprocessable("no such key")
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%d %d %x", s.Tenant.ID, number, salt))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, 0, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, number, err
}

func folder(t *testing.T, dir string) blob.Driver {
	t.Helper()
	d, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestSealed_IsADriver: whoever uses blobs need not know that they are sealed.
func TestSealed_IsADriver(t *testing.T) {
	t.Parallel()
	inner := folder(t, t.TempDir())
	blobtest.Run(t, func(t *testing.T) blob.Driver { t.Helper(); return sealed.New(inner, derived{1}) })
}

func read(t *testing.T, d blob.Driver, ctx context.Context, name string, s blob.Span) ([]byte, error) { //nolint:revive // t first reads better
	t.Helper()
	o, err := d.Open(ctx, name, s)
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Body.Close() }()
	return io.ReadAll(o.Body)
}

// TestSealed_EverySpan reads spans at, before and behind the ends of segments.
func TestSealed_EverySpan(t *testing.T) {
	t.Parallel()
	inner := folder(t, t.TempDir())
	d := sealed.New(inner, derived{1})
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 1})
	const segment = 64 << 10
	for _, size := range []int{0, 1, segment - 1, segment, segment + 1, 2 * segment, 3*segment + 17} {
		content := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(content)
		for _, announced := range []int64{int64(size), -1} {
			if err := d.Put(ctx, "t/1/k", bytes.NewReader(content), announced); err != nil {
				t.Fatal(err)
			}
		}
		for _, offset := range []int{0, 1, segment - 1, segment, segment + 1, size - 1, size, size + 1, -1, -10, -segment - 3} {
			for _, length := range []int{-1, 0, 1, 2, segment - 1, segment, segment + 1, 10 * segment} {
				from := offset
				if offset < 0 {
					from = max(0, size+offset)
				}
				from = min(max(from, 0), size)
				want := content[from:]
				if length >= 0 {
					want = want[:min(length, len(want))]
				}
				if offset < 0 && size+offset < 0 {
					continue // drivers need not agree on these
				}
				got, err := read(t, d, ctx, "t/1/k", blob.Span{Offset: int64(offset), Length: int64(length)})
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes from %d of %d: %d %v, want %d", length, offset, size, len(got), err, len(want))
				}
			}
		}
		for e, err := range d.List(ctx, "t/1/", "") {
			if err != nil || e.Size != int64(size) {
				t.Errorf("listed %+v %v, want %d bytes", e, err, size)
			}
		}
	}
}

// TestSealed_WhatIsKeptShowsNothingAndCanNotBeChanged looks at the folder, and puts other things there.
func TestSealed_WhatIsKeptShowsNothingAndCanNotBeChanged(t *testing.T) {
	t.Parallel()
	inner := folder(t, t.TempDir())
	d := sealed.New(inner, derived{1})
	ctx, other := scope.WithTenant(t.Context(), scope.Tenant{ID: 1}), scope.WithTenant(t.Context(), scope.Tenant{ID: 2})
	content := bytes.Repeat([]byte("Unmistakable "), 20_000)
	for _, name := range []string{"t/1/a", "t/1/b"} {
		if err := d.Put(ctx, name, bytes.NewReader(content), -1); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Put(other, "t/2/a", bytes.NewReader(content), -1); err != nil {
		t.Fatal(err)
	}
	kept, err := read(t, inner, ctx, "t/1/a", blob.Span{Length: -1})
	if err != nil || bytes.Contains(kept, []byte("Unmistakable")) {
		t.Errorf("it is kept in the clear: %v", err)
	}
	b, err := read(t, inner, ctx, "t/1/b", blob.Span{Length: -1})
	if err != nil || bytes.Equal(kept, b) {
		t.Error("the same content is kept the same twice")
	}
	theirs, err := read(t, inner, ctx, "t/2/a", blob.Span{Length: -1})
	if err != nil {
		t.Fatal(err)
	}
	const head, stored = 28, 64<<10 + 16
	changed := func(at int) []byte { c := bytes.Clone(kept); c[at] ^= 1; return c }
	for name, bad := range map[string][]byte{
		"another blob's":       b,
		"another tenant's":     theirs,
		"a byte of the salt":   changed(20),
		"a byte of the key":    changed(9),
		"a byte":               changed(1000),
		"the last byte":        changed(len(kept) - 1),
		"without its last":     kept[:head+stored],
		"without its first":    append(bytes.Clone(kept[:head]), kept[head+stored:]...),
		"two segments swapped": append(append(append(bytes.Clone(kept[:head]), kept[head+stored:head+2*stored]...), kept[head:head+stored]...), kept[head+2*stored:]...),
		"a byte less":          kept[:len(kept)-1],
		"only the head":        kept[:head],
		"half of the head":     kept[:head/2],
		"nothing":              nil,
		"something else":       content,
	} {
		if err := inner.Put(ctx, "t/1/a", bytes.NewReader(bad), int64(len(bad))); err != nil {
			t.Fatal(err)
		}
		for _, s := range []blob.Span{{Length: -1}, {Offset: -1, Length: -1}} {
			got, err := read(t, d, ctx, "t/1/a", s)
			if err == nil && bytes.Equal(got, content[max(0, int64(len(content))+s.Offset)%int64(len(content)):]) && name != "a byte" && name != "two segments swapped" {
				t.Errorf("%s: %+v gives the content", name, s)
			}
			if s.Offset == 0 && !fault.Is(err, fault.CodeInternal) {
				t.Errorf("%s: %+v: %d bytes, %v", name, s, len(got), err)
			}
		}
	}
}

func TestSealed_OldKeysStillOpen(t *testing.T) {
	t.Parallel()
	inner := folder(t, t.TempDir())
	ctx := scope.WithTenant(t.Context(), scope.Tenant{ID: 1})
	if err := sealed.New(inner, derived{1}).Put(ctx, "t/1/old", bytes.NewReader([]byte("old")), -1); err != nil {
		t.Fatal(err)
	}
	if err := sealed.New(inner, derived{2}).Put(ctx, "t/1/new", bytes.NewReader([]byte("new")), -1); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old", "new"} {
		if got, err := read(t, sealed.New(inner, derived{2}), ctx, "t/1/"+name, blob.Span{Length: -1}); err != nil || string(got) != name {
			t.Errorf("%q %v", got, err)
		}
	}
	if _, err := read(t, sealed.New(inner, derived{1}), ctx, "t/1/new", blob.Span{Length: -1}); !fault.Is(err, fault.CodeInternal) {
		t.Errorf("under a key that is not there: %v", err)
	}
}
