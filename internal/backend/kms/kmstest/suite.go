// Package kmstest holds what every key service must do.
package kmstest

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"ward/internal/backend/kms"
	"ward/internal/base/fault"
)

var names atomic.Int64 //nolint:gochecknoglobals // every test has keys of its own

// Options say what a service can do.
type Options struct {
	Fixed bool // keys can be neither rotated nor destroyed
}

// Run checks that a driver keeps its promises. open gives the same service each time.
func Run(t *testing.T, options Options, open func(t *testing.T) kms.Driver) {
	t.Helper()
	for name, check := range map[string]func(t *testing.T, d kms.Driver, key string){
		"UnwrapWhatWasWrapped": unwrapWhatWasWrapped,
		"BoundToKeyAndData":    boundToKeyAndData,
		"DamageIsNoticed":      damageIsNoticed,
		"NamesThatArePaths":    namesThatArePaths,
		"ManyAtOnce":           manyAtOnce,
		"AnotherSees":          func(t *testing.T, d kms.Driver, key string) { t.Helper(); anotherSees(t, d, open(t), key) },
		"CheckSaysFine":        func(t *testing.T, d kms.Driver, _ string) { t.Helper(); noError(t, d.Check(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t), fmt.Sprintf("tenant-%d", names.Add(1)))
		})
	}
	t.Run("RotateAndDestroy", func(t *testing.T) {
		t.Parallel()
		d, key := open(t), fmt.Sprintf("tenant-%d", names.Add(1))
		if options.Fixed {
			wantCode(t, d.Rotate(t.Context(), key), fault.CodeNotImplemented)
			wantCode(t, d.Destroy(t.Context(), key), fault.CodeNotImplemented)
			return
		}
		rotateAndDestroy(t, d, open(t), key)
	})
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, codes ...fault.Code) {
	t.Helper()
	for _, c := range codes {
		if fault.Is(err, c) {
			return
		}
	}
	t.Errorf("got %v, want one of %v", err, codes)
}

func wrap(t *testing.T, d kms.Driver, key, plain, associated string) []byte {
	t.Helper()
	w, err := d.Wrap(t.Context(), key, []byte(plain), []byte(associated))
	noError(t, err)
	if bytes.Contains(w, []byte(plain)) {
		t.Error("it is wrapped in the clear")
	}
	return w
}

func opens(t *testing.T, d kms.Driver, key string, wrapped []byte, associated, want string) {
	t.Helper()
	plain, err := d.Unwrap(t.Context(), key, wrapped, []byte(associated))
	if err != nil || string(plain) != want {
		t.Errorf("unwrapped %q %v, want %q", plain, err, want)
	}
}

func unwrapWhatWasWrapped(t *testing.T, d kms.Driver, key string) {
	for _, plain := range []string{"secret of a tenant", string(bytes.Repeat([]byte("long secret "), 500))} {
		w := wrap(t, d, key, plain, "data")
		opens(t, d, key, w, "data", plain)
		if bytes.Equal(w, wrap(t, d, key, plain, "data")) {
			t.Error("wrapping twice gives the same bytes")
		}
	}
	if d.Name() == "" {
		t.Error("no name")
	}
	for _, plain := range [][]byte{nil, make([]byte, kms.MaxPlain+1)} {
		_, err := d.Wrap(t.Context(), key, plain, nil)
		wantCode(t, err, fault.CodeInvalid)
	}
}

func boundToKeyAndData(t *testing.T, d kms.Driver, key string) {
	w := wrap(t, d, key, "the secret", "tenant 1")
	wrap(t, d, key+"-other", "another secret", "tenant 1")
	_, err := d.Unwrap(t.Context(), key, w, []byte("tenant 2"))
	wantCode(t, err, fault.CodeUnprocessable)
	_, err = d.Unwrap(t.Context(), key+"-other", w, []byte("tenant 1"))
	wantCode(t, err, fault.CodeUnprocessable)
	_, err = d.Unwrap(t.Context(), key+"-never", w, []byte("tenant 1"))
	wantCode(t, err, fault.CodeNotFound, fault.CodeUnprocessable)
}

func damageIsNoticed(t *testing.T, d kms.Driver, key string) {
	w := wrap(t, d, key, "the secret", "")
	for _, cut := range [][]byte{nil, w[:1], w[:len(w)/2], w[:len(w)-1], append(bytes.Clone(w[:len(w)-5]), "AAAAA"...)} {
		if _, err := d.Unwrap(t.Context(), key, cut, nil); err == nil {
			t.Errorf("%d damaged bytes of %d open", len(cut), len(w))
		}
	}
}

func namesThatArePaths(t *testing.T, d kms.Driver, _ string) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", "A", "a b", "a%2fb", string(bytes.Repeat([]byte("a"), 65))} {
		_, err := d.Wrap(t.Context(), name, []byte("x"), nil)
		wantCode(t, err, fault.CodeInvalid)
		_, err = d.Unwrap(t.Context(), name, []byte("x"), nil)
		wantCode(t, err, fault.CodeInvalid)
	}
}

func manyAtOnce(t *testing.T, d kms.Driver, key string) {
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			w, err := d.Wrap(t.Context(), key, fmt.Appendf(nil, "secret %d", i), nil)
			if err != nil {
				t.Error(err)
				return
			}
			opens(t, d, key, w, "", fmt.Sprintf("secret %d", i))
		})
	}
	all.Wait()
}

func anotherSees(t *testing.T, d, another kms.Driver, key string) {
	t.Helper()
	opens(t, another, key, wrap(t, d, key, "the secret", "x"), "x", "the secret")
	if d.Name() != another.Name() {
		t.Error("one service has two names")
	}
}

func rotateAndDestroy(t *testing.T, d, another kms.Driver, key string) {
	t.Helper()
	wantCode(t, d.Rotate(t.Context(), key+"-never"), fault.CodeNotFound)
	before := wrap(t, d, key, "before", "")
	kept := wrap(t, d, key+"-kept", "kept", "")
	noError(t, d.Rotate(t.Context(), key))
	after := wrap(t, d, key, "after", "")
	opens(t, d, key, before, "", "before")
	opens(t, d, key, after, "", "after")
	opens(t, another, key, after, "", "after")
	noError(t, d.Destroy(t.Context(), key))
	noError(t, d.Destroy(t.Context(), key))
	for _, w := range [][]byte{before, after} {
		for _, service := range []kms.Driver{d, another} {
			_, err := service.Unwrap(t.Context(), key, w, nil)
			wantCode(t, err, fault.CodeNotFound, fault.CodeUnprocessable)
		}
	}
	wrap(t, d, key, "a new key of the name", "")
	if _, err := d.Unwrap(t.Context(), key, after, nil); err == nil {
		t.Error("a new key of the name opens what was under the old")
	}
	opens(t, d, key+"-kept", kept, "", "kept")
}
