// Package blobtest holds what every blob driver must do.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"ward/internal/backend/blob"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

var tenants atomic.Int32 //nolint:gochecknoglobals // every test has a tenant of its own

var stored = time.Date(2026, 3, 1, 12, 30, 15, 123_000_000, time.UTC) //nolint:gochecknoglobals // constant

// Run checks that a driver keeps its promises. open gives the same place each time.
func Run(t *testing.T, open func(t *testing.T) blob.Driver) {
	t.Helper()
	tenants.CompareAndSwap(0, rand.Int32N(1<<30)+1)
	for name, check := range map[string]func(t *testing.T, s *blob.Store, d blob.Driver){
		"GetWhatWasPut":             getWhatWasPut,
		"PutReplaces":               putReplaces,
		"Range":                     ranges,
		"NotFound":                  notFound,
		"DeleteIsRepeatable":        deleteIsRepeatable,
		"ListInOrder":               listInOrder,
		"TenantsAreApart":           tenantsAreApart,
		"NoScopeIsRefused":          noScopeIsRefused,
		"KeysThatArePathTricks":     keysThatArePathTricks,
		"BrokenStreamChanges":       brokenStreamChangesNothing,
		"WrongSizeIsRefused":        wrongSizeIsRefused,
		"GivenUpChangesNothing":     givenUpChangesNothing,
		"DamageIsNoticed":           damageIsNoticed,
		"ReadersSeeOldOrNew":        readersSeeOldOrNew,
		"LargeStreamsThrough":       largeStreamsThrough,
		"CheckSaysFine":             func(t *testing.T, s *blob.Store, _ blob.Driver) { t.Helper(); noError(t, s.Check(t.Context())) },
		"OpenGivesSpanTotalVersion": openGivesSpanTotalVersion,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			check(t, blob.New(blob.Deps{Driver: d, Clock: clock.NewManual(stored)}), d)
		})
	}
}

// tenant is a scope that nobody used before, and its folder.
func tenant(t *testing.T) (ctx context.Context, folder string) {
	t.Helper()
	id := tenants.Add(1)
	return scope.WithTenant(t.Context(), scope.Tenant{ID: id, Slug: fmt.Sprint("t", id)}), fmt.Sprintf("t/%d/", id)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, ctx context.Context, s *blob.Store, key, content string) { //nolint:revive // t first reads better
	t.Helper()
	_, err := s.Put(ctx, key, "text/plain", strings.NewReader(content), int64(len(content)))
	noError(t, err)
}

func get(t *testing.T, ctx context.Context, s *blob.Store, key string) string { //nolint:revive // t first reads better
	t.Helper()
	r, _, err := s.Get(ctx, key)
	noError(t, err)
	all, err := io.ReadAll(r)
	noError(t, err)
	noError(t, r.Close())
	return string(all)
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Errorf("got %v, want %v", err, code)
	}
}

// noise is n bytes that don't compress, the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func getWhatWasPut(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	for name, content := range map[string][]byte{"empty": {}, "a.b_c-D1/x": []byte("short"), "medium/y": noise(1<<20 - 176), "larger/z": noise(1<<20 + 1)} {
		for _, known := range []bool{true, false} {
			size := int64(-1)
			if known {
				size = int64(len(content))
			}
			info, err := s.Put(ctx, name, "application/dicom; a=b", iotest.OneByteReader(bytes.NewReader(content[:min(len(content), 10)])), min(size, 10))
			noError(t, err)
			if info.Size != int64(min(len(content), 10)) {
				t.Errorf("%s: %d bytes", name, info.Size)
			}
			info, err = s.Put(ctx, name, "application/dicom; a=b", bytes.NewReader(content), size)
			noError(t, err)
			want := blob.Info{Key: name, Size: int64(len(content)), Stored: stored, SHA256: sha256.Sum256(content), MediaType: "application/dicom; a=b"}
			if info != want {
				t.Errorf("Put gives %+v\nwant %+v", info, want)
			}
			if info, err = s.Head(ctx, name); err != nil || info != want {
				t.Errorf("Head gives %+v %v\nwant %+v", info, err, want)
			}
			if got := get(t, ctx, s, name); got != string(content) {
				t.Errorf("%s: %d bytes came back as %d others", name, len(content), len(got))
			}
		}
	}
}

func putReplaces(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	put(t, ctx, s, "k", "a longer first content")
	put(t, ctx, s, "k", "second")
	if got := get(t, ctx, s, "k"); got != "second" {
		t.Errorf("got %q", got)
	}
}

func ranges(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	put(t, ctx, s, "k", "0123456789")
	put(t, ctx, s, "empty", "")
	for _, row := range []struct {
		key            string
		offset, length int64
		want           string
		code           fault.Code
	}{
		{key: "k", offset: 0, length: 10, want: "0123456789"},
		{key: "k", offset: 0, length: 1, want: "0"},
		{key: "k", offset: 9, length: 1, want: "9"},
		{key: "k", offset: 3, length: 4, want: "3456"},
		{key: "k", offset: 8, length: 100, want: "89"}, // not into the tail
		{key: "k", offset: 10, length: 5, want: ""},
		{key: "k", offset: 5, length: 0, want: ""},
		{key: "empty", offset: 0, length: 5, want: ""},
		{key: "k", offset: 11, length: 1, code: fault.CodeInvalid},
		{key: "k", offset: -1, length: 1, code: fault.CodeInvalid},
		{key: "k", offset: 0, length: -1, code: fault.CodeInvalid},
		{key: "no", offset: 0, length: 1, code: fault.CodeNotFound},
	} {
		r, size, err := s.Range(ctx, row.key, row.offset, row.length)
		if row.code != 0 {
			wantCode(t, err, row.code)
			continue
		}
		noError(t, err)
		got, err := io.ReadAll(r)
		noError(t, err)
		noError(t, r.Close())
		if string(got) != row.want || row.key == "k" && size != 10 {
			t.Errorf("%+v: got %q", row, got)
		}
	}
}

func notFound(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	put(t, ctx, s, "folder/k", "x")
	for _, key := range []string{"no", "folder", "folder/no", "folder/k/below"} {
		_, err := s.Head(ctx, key)
		wantCode(t, err, fault.CodeNotFound)
		_, _, err = s.Get(ctx, key)
		wantCode(t, err, fault.CodeNotFound)
	}
}

func deleteIsRepeatable(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	put(t, ctx, s, "a/k", "x")
	put(t, ctx, s, "a/other", "y")
	for range 3 {
		noError(t, s.Delete(ctx, "a/k"))
		_, err := s.Head(ctx, "a/k")
		wantCode(t, err, fault.CodeNotFound)
	}
	noError(t, s.Delete(ctx, "never/was"))
	if got := get(t, ctx, s, "a/other"); got != "y" {
		t.Errorf("another blob is now %q", got)
	}
	put(t, ctx, s, "a/k", "again")
}

func list(t *testing.T, ctx context.Context, s *blob.Store, prefix, after string) []string { //nolint:revive // t first reads better
	t.Helper()
	var keys []string
	for l, err := range s.List(ctx, prefix, after) {
		noError(t, err)
		if l.Size != int64(len(l.Key)) {
			t.Errorf("%s has %d bytes", l.Key, l.Size)
		}
		keys = append(keys, l.Key)
	}
	return keys
}

func listInOrder(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	if got := list(t, ctx, s, "", ""); got != nil {
		t.Errorf("nothing is listed as %v", got)
	}
	keys := []string{"a-b/1", "a.b", "a/1", "a/10", "a/2/x", "a/2/y", "a/3", "ab/1", "b"}
	for _, k := range keys {
		put(t, ctx, s, k, k)
	}
	slices.Sort(keys)
	for name, row := range map[string]struct {
		prefix, after string
		want          []string
	}{
		"all":             {want: keys},
		"a folder":        {prefix: "a", want: []string{"a/1", "a/10", "a/2/x", "a/2/y", "a/3"}},
		"a deeper folder": {prefix: "a/2", want: []string{"a/2/x", "a/2/y"}},
		"no folder":       {prefix: "c", want: nil},
		"a blob":          {prefix: "b", want: nil},
		"after":           {after: "a/2/x", want: []string{"a/2/y", "a/3", "ab/1", "b"}},
		"after a folder":  {prefix: "a", after: "a/2", want: []string{"a/2/x", "a/2/y", "a/3"}},
		"after the last":  {after: "b", want: nil},
		"after no key":    {after: "a/11", want: []string{"a/2/x", "a/2/y", "a/3", "ab/1", "b"}},
	} {
		if got := list(t, ctx, s, row.prefix, row.after); !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
	for _, err := range s.List(ctx, "", "") {
		noError(t, err)
		break // ends early without harm
	}
}

func tenantsAreApart(t *testing.T, s *blob.Store, _ blob.Driver) {
	one, _ := tenant(t)
	two, _ := tenant(t)
	system := scope.WithSystem(t.Context())
	put(t, one, s, "k", "1")
	_, err := s.Head(two, "k")
	wantCode(t, err, fault.CodeNotFound)
	put(t, two, s, "k", "2")
	put(t, system, s, "k", "s")
	noError(t, s.Delete(two, "k"))
	if got := get(t, one, s, "k") + get(t, system, s, "k"); got != "1s" {
		t.Errorf("got %q", got)
	}
	if got := list(t, one, s, "", ""); !slices.Equal(got, []string{"k"}) {
		t.Errorf("one tenant lists %v", got)
	}
}

func noScopeIsRefused(t *testing.T, s *blob.Store, _ blob.Driver) {
	for _, ctx := range []context.Context{t.Context(), scope.With(t.Context(), scope.Scope{})} {
		_, err := s.Put(ctx, "k", "", strings.NewReader(""), 0)
		wantCode(t, err, fault.CodeInternal)
		_, err = s.Head(ctx, "k")
		wantCode(t, err, fault.CodeInternal)
		wantCode(t, s.Delete(ctx, "k"), fault.CodeInternal)
		for _, err := range s.List(ctx, "", "") {
			wantCode(t, err, fault.CodeInternal)
		}
	}
}

func keysThatArePathTricks(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	for _, key := range []string{
		"", "/", "/k", "k/", "a//b", ".", "..", "../1/k", "a/../../k", "a/./b", "a\\b", "a\x00b", "a\nb", "ä", "a b", "a~", "%2e%2e/k", "C:k", "a?b", "a*",
		strings.Repeat("x", 201), strings.Repeat("x/", 300) + "x",
	} {
		_, err := s.Put(ctx, key, "", strings.NewReader("x"), 1)
		wantCode(t, err, fault.CodeInvalid)
		_, _, err = s.Get(ctx, key)
		wantCode(t, err, fault.CodeInvalid)
		wantCode(t, s.Delete(ctx, key), fault.CodeInvalid)
		if key != "" {
			for _, err := range s.List(ctx, key, "") {
				wantCode(t, err, fault.CodeInvalid)
			}
		}
	}
	put(t, ctx, s, "..."+"/"+strings.Repeat("x", 200), "dots are fine when they are three")
}

var errBroken = errors.New("the client went away")

func brokenStreamChangesNothing(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	put(t, ctx, s, "k", "what was")
	for _, n := range []int{0, 100, 1<<20 + 5, 17 << 20} {
		for _, broken := range []error{errBroken, io.ErrUnexpectedEOF} {
			if n > 2<<20 && broken == errBroken { //nolint:errorlint // the value itself
				continue // once is enough for so many
			}
			_, err := s.Put(ctx, "k", "", io.MultiReader(bytes.NewReader(noise(n)), iotest.ErrReader(broken)), -1)
			if !errors.Is(err, broken) {
				t.Errorf("after %d bytes: %v", n, err)
			}
			if got := get(t, ctx, s, "k"); got != "what was" {
				t.Errorf("after %d bytes the blob is %d others", n, len(got))
			}
		}
	}
}

func wrongSizeIsRefused(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	for _, size := range []int64{0, 4, 6, 1 << 21} {
		_, err := s.Put(ctx, "k", "", strings.NewReader("12345"), size)
		wantCode(t, err, fault.CodeInvalid)
	}
	_, err := s.Head(ctx, "k")
	wantCode(t, err, fault.CodeNotFound)
	_, err = s.Put(ctx, "k", strings.Repeat("x", 112), strings.NewReader(""), 0)
	wantCode(t, err, fault.CodeInvalid)
}

func givenUpChangesNothing(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	put(t, ctx, s, "k", "what was")
	gone, cancel := context.WithCancel(ctx)
	r := io.MultiReader(bytes.NewReader(noise(2<<20)), readerFunc(func(p []byte) (int, error) { cancel(); clear(p); return len(p), nil }))
	if _, err := s.Put(gone, "k", "", io.LimitReader(r, 20<<20), -1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := get(t, ctx, s, "k"); got != "what was" {
		t.Errorf("the blob is now %d bytes", len(got))
	}
	if _, _, err := s.Get(gone, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func damageIsNoticed(t *testing.T, s *blob.Store, d blob.Driver) {
	ctx, folder := tenant(t)
	put(t, ctx, s, "k", strings.Repeat("x", 1000))
	o, err := d.Open(ctx, folder+"k", blob.Span{Length: -1})
	noError(t, err)
	whole, err := io.ReadAll(o.Body)
	noError(t, err)
	noError(t, o.Body.Close())
	flipped := bytes.Clone(whole)
	flipped[500] ^= 1
	cut := append(bytes.Clone(whole[:200]), whole[300:]...)
	for name, bad := range map[string][]byte{"flipped": flipped, "cut": whole[:len(whole)-1], "cut-before": whole[1:], "cut-within": cut, "cut-short": whole[:150], "tiny": []byte("x"), "foreign": noise(2000)} {
		noError(t, d.Put(ctx, folder+name, bytes.NewReader(bad), int64(len(bad))))
		r, _, err := s.Get(ctx, name)
		if err == nil {
			_, err = io.ReadAll(r)
			_ = r.Close()
		}
		if !fault.Is(err, fault.CodeInternal) {
			t.Errorf("%s: %v, want Internal", name, err)
		}
	}
}

func readersSeeOldOrNew(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	content := func(n int) string { return strings.Repeat(fmt.Sprint(n), 1000+n*100) }
	put(t, ctx, s, "k", content(0))
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, _, err := s.Get(ctx, "k")
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				_ = r.Close()
				if err != nil || len(got) == 0 || string(got) != content(int(got[0]-'0')) {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := range 20 {
				c := content((i*2 + w) % 10)
				if _, err := s.Put(ctx, "k", "", strings.NewReader(c), int64(len(c))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

func largeStreamsThrough(t *testing.T, s *blob.Store, _ blob.Driver) {
	ctx, _ := tenant(t)
	const size = 18 << 20 // several parts
	for _, known := range []int64{size, -1} {
		hash := sha256.New()
		source := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{byte(known)}), size), hash)
		info, err := s.Put(ctx, "large", "", source, known)
		noError(t, err)
		r, _, err := s.Get(ctx, "large")
		noError(t, err)
		back := sha256.New()
		n, err := io.Copy(back, r)
		noError(t, err)
		noError(t, r.Close())
		if n != size || !bytes.Equal(back.Sum(nil), hash.Sum(nil)) || !bytes.Equal(info.SHA256[:], hash.Sum(nil)) {
			t.Errorf("%d of %d bytes came back, or others", n, size)
		}
	}
	noError(t, s.Delete(ctx, "large"))
}

func openGivesSpanTotalVersion(t *testing.T, _ *blob.Store, d blob.Driver) {
	ctx, folder := tenant(t)
	noError(t, d.Put(ctx, folder+"k", strings.NewReader("0123456789"), 10))
	for _, row := range []struct {
		offset, length int64
		want           string
	}{{0, -1, "0123456789"}, {4, -1, "456789"}, {-3, 3, "789"}, {2, 3, "234"}, {0, 0, ""}, {10, 1, ""}, {12, -1, ""}} {
		o, err := d.Open(ctx, folder+"k", blob.Span{Offset: row.offset, Length: row.length})
		noError(t, err)
		got, err := io.ReadAll(o.Body)
		noError(t, err)
		noError(t, o.Body.Close())
		if string(got) != row.want || o.Total != 10 || o.Version == "" {
			t.Errorf("%+v: got %q of %d", row, got, o.Total)
		}
	}
	o, err := d.Open(ctx, folder+"k", blob.Span{Length: 1})
	noError(t, err)
	noError(t, o.Body.Close())
	again, err := d.Open(ctx, folder+"k", blob.Span{Length: 1, Version: o.Version})
	noError(t, err)
	noError(t, again.Body.Close())
	noError(t, d.Put(ctx, folder+"k", strings.NewReader("other text"), 10))
	_, err = d.Open(ctx, folder+"k", blob.Span{Length: 1, Version: o.Version})
	wantCode(t, err, fault.CodePrecondition)
}
