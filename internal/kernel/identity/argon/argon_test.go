package argon_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity/argon"
)

// TestMain lets the test's own binary be the process that computes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "hash-passwords" {
		if err := argon.Serve(os.Stdin, os.Stdout, len(os.Args) > 2); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// cheap is for tests that are not about the cost.
var cheap = argon.Params{Memory: 64, Time: 1, Threads: 1}

func pool(t testing.TB, o argon.Options) *argon.Pool {
	t.Helper()
	if o.Params == (argon.Params{}) {
		o.Params = cheap
	}
	p := argon.New(o)
	t.Cleanup(p.Close)
	return p
}

func TestDefault_IsOWASPsMinimum(t *testing.T) {
	t.Parallel()
	if got := argon.Default(); got.Memory < 19*1024 || got.Time < 2 || got.Threads != 1 {
		t.Errorf("%+v", got)
	}
}

// TestVerify_KnownHashes checks hashes that the reference implementation made (phc-winner-argon2, test.c, version 0x13, argon2id).
func TestVerify_KnownHashes(t *testing.T) {
	t.Parallel()
	p := pool(t, argon.Options{})
	for _, row := range []struct {
		phc, password string
		want          bool
	}{
		{"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password", true},
		{"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", "password", true},
		{"$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$9qWtwbpyPd3vm1rB1GThgPzZ3/ydHL92zKL+15XZypg", "password", true},
		{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "differentpassword", false},
		{"$argon2id$v=19$m=65536,t=2,p=1$ZGlmZnNhbHQ$vfMrBczELrFdWP0ZsfhWsRPaHppYdP3MVEMIVlqoFBw", "password", false},
	} {
		ok, _, err := p.Verify(t.Context(), row.phc, row.password)
		if err != nil {
			t.Fatal(err)
		}
		if row.want && !ok {
			t.Errorf("%s is not taken", row.phc)
		}
	}
}

func TestPool_HashAndVerify(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]argon.Options{
		"here":            {},
		"in a process":    {Command: []string{os.Args[0], "hash-passwords"}, Gentle: []string{os.Args[0], "hash-passwords", "--gentle"}},
		"no such program": {Command: []string{"/nonexistent/ward", "hash-passwords"}, Gentle: []string{"/nonexistent/ward"}},
		"one that fails":  {Command: []string{"/bin/false"}, Gentle: []string{"/bin/false"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pool(t, o)
			one, err := p.Hash(t.Context(), "correct horse")
			if err != nil {
				t.Fatal(err)
			}
			two, _, err := p.HashGently(t.Context(), "correct horse")
			if err != nil {
				t.Fatal(err)
			}
			if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=64,t=1,p=1$") {
				t.Errorf("%s and %s", one, two)
			}
			for _, phc := range []string{one, two} {
				if ok, stale, err := p.Verify(t.Context(), phc, "correct horse"); !ok || stale || err != nil {
					t.Errorf("the right password: %v %v %v", ok, stale, err)
				}
				if ok, stale, err := p.Verify(t.Context(), phc, "wrong horse"); ok || stale || err != nil {
					t.Errorf("a wrong password: %v %v %v", ok, stale, err)
				}
			}
			if ok, _, err := p.Verify(t.Context(), "", "correct horse"); ok || err != nil {
				t.Errorf("nobody's hash: %v %v", ok, err)
			}
			raised := pool(t, argon.Options{Params: argon.Params{Memory: 128, Time: 1, Threads: 1}})
			if ok, stale, err := raised.Verify(t.Context(), one, "correct horse"); !ok || !stale || err != nil {
				t.Errorf("after the cost was raised: %v %v %v", ok, stale, err)
			}
		})
	}
}

func TestParse_RefusesWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	good := "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	if h, err := argon.Parse(good); err != nil || h.String() != good {
		t.Errorf("%v %v", h, err)
	}
	for _, bad := range []string{
		"", "x", "$", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=256", "m=4000000", 1), strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "t=2", "t=99", 1), strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "c29t", "!!!!", 1), good[:len(good)-4], good + "$", strings.Replace(good, "c29tZXNhbHQ", "c2E", 1),
	} {
		if _, err := argon.Parse(bad); !fault.Is(err, fault.CodeInternal) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestPool_IsBounded: one hash at a time, a bounded queue, and nothing gentle while somebody waits.
func TestPool_IsBounded(t *testing.T) {
	t.Parallel()
	p := pool(t, argon.Options{Params: argon.Params{Memory: 64 << 10, Time: 2, Threads: 1}, Workers: 1, Queue: 3})
	var all sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		all.Go(func() { _, errs[i] = p.Hash(t.Context(), "x") })
	}
	all.Wait()
	refused := 0
	for _, err := range errs {
		if fault.Is(err, fault.CodeExhausted) && fault.RetryAfter(err) > 0 {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused == 0 || refused > 9 {
		t.Errorf("%d of 12 were refused, with a queue of 3", refused)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Hash(ctx, "x"); err == nil {
		// The place may have been free at once: then the work was done.
		if _, _, err := p.HashGently(t.Context(), "x"); err != nil {
			t.Error(err)
		}
	}
}

func FuzzServe(f *testing.F) {
	f.Add([]byte{0, 0, 0, 14, 0, 0, 0, 64, 0, 0, 0, 1, 1, 4, 's', 'a', 'l', 't'})
	f.Add([]byte{0, 0, 0, 3, 1, 2, 3})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 8 && (in[4] != 0 || in[5] != 0 || in[6] > 1) {
			return // valid, and slow
		}
		var out bytes.Buffer
		_ = argon.Serve(bytes.NewReader(in), &out, false)
	})
}

// BenchmarkHash is what one password costs: 25 ms of a core or so.
func BenchmarkHash(b *testing.B) {
	for name, o := range map[string]argon.Options{
		"here": {}, "process": {Command: []string{os.Args[0], "hash-passwords"}},
	} {
		b.Run(name, func(b *testing.B) {
			o.Params = argon.Default()
			p := argon.New(o)
			defer p.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Hash(b.Context(), "correct horse battery staple"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestPool_ClosesItsProcesses(t *testing.T) {
	t.Parallel()
	p := argon.New(argon.Options{Params: cheap, Command: []string{os.Args[0], "hash-passwords"}})
	if _, err := p.Hash(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { p.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the process did not end with its input")
	}
}
