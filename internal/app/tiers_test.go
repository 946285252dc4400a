package app_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"ward/internal/app"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/tiers"
	"ward/internal/kernel/transfer"
)

// someBundles is how many of the demo's bundles a tenant is filled with: hospitals, practitioners and thirty patients.
const someBundles = 32

// fewer is a tar of the first bundles of an archive.
func fewer(t *testing.T, archive string) string {
	t.Helper()
	in, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	plain, err := zstd.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	var out bytes.Buffer
	from, to := tar.NewReader(plain), tar.NewWriter(&out)
	for range someBundles {
		h, err := from.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := to.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil { //nolint:gosec // our own archive
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "some.tar")
	if err := errors.Join(to.Close(), os.WriteFile(name, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return name
}

// fullTenant is a tenant with some of the demo's patients in it, or with those of the archive that WARD_TEST_BUNDLES names.
func fullTenant(t *testing.T, a *app.App, slug string) (tenancy.Tenant, string) {
	t.Helper()
	archive := os.Getenv("WARD_TEST_BUNDLES")
	if archive == "" {
		archive = fewer(t, filepath.Join("demo", "patients.tar.zst"))
	}
	return filledTenant(t, a, slug, archive)
}

// filledTenant is a tenant with the bundles of an archive in it, and a token to work on it.
func filledTenant(t *testing.T, a *app.App, slug, archive string) (tenancy.Tenant, string) {
	t.Helper()
	made, err := a.Tenants.Create(t.Context(), slug, "St Mary", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	sources, err := app.ImportSources([]string{archive}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Desk().Import(t.Context(), slug, sources, app.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	token, _, err := a.Tokens.Create(t.Context(), made.Tenant, access.Integration, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return made, token
}

// digestOf counts and hashes all that a tenant has, where the directory says that it is, but for the audit log, to which the test itself adds, and what
// runners note of their own work.
func digestOf(t *testing.T, a *app.App, tenant scope.Tenant) map[string]transfer.Count {
	t.Helper()
	all, err := transfer.Digest(scope.WithTenant(t.Context(), tenant), a.Backends.DB)
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(all, func(table string, _ transfer.Count) bool {
		return strings.HasPrefix(table, "audit_") || strings.HasSuffix(table, "_checked") || table == "calendar_alarm"
	})
	return all
}

// differing are the tables whose rows are not what they were.
func differing(got, want map[string]transfer.Count) string {
	var names []string
	for name, c := range want {
		if got[name] != c {
			names = append(names, fmt.Sprintf("%s (%d rows, were %d)", name, got[name].Rows, c.Rows))
		}
	}
	return strings.Join(names, ", ")
}

// load is clients at work on one tenant, at one or more processes.
type load struct {
	t       *testing.T
	apps    []*app.App
	slug    string
	token   string
	stop    chan struct{}
	clients sync.WaitGroup

	reads, writes atomic.Int64
	longest       atomic.Int64 // ns, of a write
	failed        atomic.Int64

	mu   sync.Mutex
	kept map[string]string // resource → what was acknowledged last
}

func begin(t *testing.T, slug, token string, apps ...*app.App) *load {
	t.Helper()
	l := &load{t: t, apps: apps, slug: slug, token: token, stop: make(chan struct{}), kept: map[string]string{}}
	for n := range 6 {
		l.clients.Go(func() { l.client(n) })
	}
	return l
}

func (l *load) client(n int) {
	at := l.apps[n%len(l.apps)]
	pace := time.NewTicker(25 * time.Millisecond) // the machine has the move to do besides
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		case <-pace.C:
		}
		path := fmt.Sprintf("Patient/load-%d-%d", n, i%20)
		text := fmt.Sprintf("Nr%dx%d", n, i)
		if n%2 == 0 {
			began := time.Now()
			status, body := l.send(at, "PUT", path, `{"resourceType":"Patient","id":"`+path[8:]+`","name":[{"family":"`+text+`"}]}`)
			took := int64(time.Since(began))
			for was := l.longest.Load(); took > was && !l.longest.CompareAndSwap(was, took); was = l.longest.Load() { //nolint:revive // until it is kept
			}
			l.writes.Add(1)
			if status != 200 && status != 201 {
				l.fail("PUT", path, status, body)
				continue
			}
			l.mu.Lock()
			l.kept[path] = text
			l.mu.Unlock()
			// What was written is read, at once, wherever the tenant is now.
			if status, body := l.send(at, "GET", path, ""); status != 200 || !strings.Contains(body, text) {
				l.fail("GET after PUT", path, status, body)
			}
			continue
		}
		for _, path := range []string{"Patient?_count=5", "Observation?_count=20&_sort=-date", "Patient/load-0-0/_history"} {
			status, body := l.send(at, "GET", path, "")
			l.reads.Add(1)
			if status != 200 && (status != 404 || !strings.Contains(path, "_history")) {
				l.fail("GET", path, status, body)
			}
		}
	}
}

func (l *load) fail(what, path string, status int, body string) {
	if l.failed.Add(1) <= 5 {
		l.t.Errorf("%s %s: %d %.300s", what, path, status, body)
	}
}

func (l *load) send(a *app.App, method, path, body string) (int, string) {
	r, err := http.NewRequestWithContext(context.WithoutCancel(l.t.Context()), method, "http://"+a.Addr()+"/t/"+l.slug+"/fhir/"+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Authorization", "Bearer "+l.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// end stops the clients and reads all that was acknowledged.
func (l *load) end() {
	l.t.Helper()
	close(l.stop)
	l.clients.Wait()
	for path, text := range l.kept {
		for _, a := range l.apps {
			if status, body := l.send(a, "GET", path, ""); status != 200 || !strings.Contains(body, text) {
				l.fail("an acknowledged write is lost:", path, status, body)
			}
		}
	}
	l.t.Logf("%d reads, %d writes, the longest %v", l.reads.Load(), l.writes.Load(), time.Duration(l.longest.Load()).Round(time.Millisecond))
	if l.reads.Load() == 0 || l.writes.Load() == 0 || len(l.kept) == 0 {
		l.t.Error("there was no load")
	}
	if longest := time.Duration(l.longest.Load()); longest > 2*time.Second {
		l.t.Errorf("a write took %v", longest)
	}
}

func mustMove(t *testing.T, a *app.App, slug string, to tiers.Place) tiers.Report {
	t.Helper()
	r, err := a.Tiers.Move(t.Context(), slug, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("moved %d rows in %v, %d changes brought over, writes waited %v", r.Rows, r.Took.Round(time.Millisecond), r.Changes, r.Pause.Round(time.Millisecond))
	if r.Pause >= 2*time.Second {
		t.Errorf("writes waited %v", r.Pause)
	}
	return r
}

// TestMove_ThereAndBackWhileItIsUsed moves a tenant from the pooled SQLite to PostgreSQL, to a folder of its own, and back, first at rest, when every row's hash
// must be what it was, then under load.
func TestMove_ThereAndBackWhileItIsUsed(t *testing.T) {
	a := started(t, embedded(t))
	tenant, token := fullTenant(t, a, "st-marys")
	other, _ := filledTenant(t, a, "north", fewer(t, filepath.Join("demo", "patients.tar.zst")))
	ways := []tiers.Place{{Home: dbtest.PostgresURL(t)}, {Home: "sqlite:" + t.TempDir()}, {Tier: tenancy.Pooled}}
	want, others := digestOf(t, a, tenant.Tenant), digestOf(t, a, other.Tenant)
	for _, to := range ways {
		r := mustMove(t, a, "st-marys", to)
		if got := digestOf(t, a, tenant.Tenant); !reflect.DeepEqual(got, want) {
			t.Fatalf("the rows differ after the move to %s", to.Home)
		}
		now, err := a.Tenants.Get(t.Context(), "st-marys")
		if err != nil || now.Home != to.Home || now.Move != nil || now.Tier != map[bool]string{true: tenancy.Pooled, false: tenancy.Database}[to.Home == ""] || r.Rows == 0 {
			t.Errorf("%+v %v", now, err)
		}
	}
	l := begin(t, "st-marys", token, a)
	for _, to := range ways {
		mustMove(t, a, "st-marys", to)
	}
	l.end()
	if got := digestOf(t, a, other.Tenant); !reflect.DeepEqual(got, others) {
		t.Error("another tenant's rows changed")
	}
	if _, err := os.Stat(filepath.Join(a.Config.Data, "tenants", "1.db")); err != nil {
		t.Errorf("it is back, but its file is not there: %v", err)
	}
}

// onPostgres is one process among several on a database of the test's own.
func onPostgres(t *testing.T, url, secret string) app.Config {
	t.Helper()
	c := scaled(t, "all", secret)
	c.DB.URL = url
	return c
}

// TestMove_SeveralProcesses moves a tenant from the pooled PostgreSQL to its own while two processes serve it.
func TestMove_SeveralProcesses(t *testing.T) {
	const secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
	url := dbtest.PostgresURL(t)
	one, two := started(t, onPostgres(t, url, secret)), started(t, onPostgres(t, url, secret))
	tenant, token := fullTenant(t, one, "st-marys")
	want := digestOf(t, one, tenant.Tenant)
	l := begin(t, "st-marys", token, one, two)
	mustMove(t, one, "st-marys", tiers.Place{Home: dbtest.PostgresURL(t)})
	l.end()
	now, err := two.Tenants.Get(t.Context(), "st-marys")
	if err != nil || now.Move == nil || now.Move.Phase != tenancy.Moved {
		t.Errorf("the old place is kept for a while: %+v %v", now.Move, err)
	}
	// What the old place holds is fenced off, and is what was there at the switch.
	old, done, err := one.Backends.Router.Home(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	left, err := transfer.Digest(scope.WithTenant(t.Context(), tenant.Tenant), old)
	if err != nil || len(left) < len(want) {
		t.Errorf("%v", err)
	}
	if err := one.Tenants.Change(t.Context(), "st-marys", func(t *tenancy.Tenant) error {
		t.Move.Switched = t.Move.Switched.Add(-time.Hour)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := two.Tiers.Resume(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if empty, err := transfer.Empty(scope.WithTenant(t.Context(), tenant.Tenant), old); err != nil || !empty {
		t.Errorf("the old place was not cleared: %v", err)
	}
}

// TestMove_Fails leaves the tenant where it was, and nothing at the other place.
func TestMove_Fails(t *testing.T) {
	t.Parallel()
	a := started(t, embedded(t))
	tenant, token := fullTenant(t, a, "st-marys")
	want := digestOf(t, a, tenant.Tenant)
	stays := func(what string) {
		t.Helper()
		now, err := a.Tenants.Get(t.Context(), "st-marys")
		if err != nil || now.Home != "" || now.Move != nil || now.Tier != tenancy.Pooled {
			t.Errorf("%s: %+v %v", what, now, err)
		}
		if got := digestOf(t, a, tenant.Tenant); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: its rows changed", what)
		}
	}
	for name, to := range map[string]tiers.Place{
		"there already":   {Tier: tenancy.Pooled},
		"to no database":  {Tier: tenancy.Database},
		"not to a cell":   {Tier: tenancy.InCell},
		"nobody is there": {Home: "postgres://ward:ward@127.0.0.1:1/none"},
		"not a database":  {Home: "mysql://127.0.0.1/x"},
	} {
		if _, err := a.Tiers.Move(t.Context(), "st-marys", to, nil); err == nil || strings.Contains(err.Error(), "ward:ward@") {
			t.Errorf("%s: %v", name, err)
		}
		stays(name)
	}
	folder := t.TempDir()
	for _, phase := range []string{"copying", "comparing", "switching"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := a.Tiers.Move(ctx, "st-marys", tiers.Place{Home: "sqlite:" + folder}, func(p tiers.Progress) {
			if p.Phase == phase {
				cancel()
			}
		})
		cancel()
		if err == nil {
			t.Fatalf("given up while %s: it was moved", phase)
		}
		stays("given up while " + phase)
	}
	// A taken place is refused: it may be another Ward's.
	b := started(t, embedded(t))
	fullTenant(t, b, "other")
	folder = "sqlite:" + t.TempDir()
	mustMove(t, b, "other", tiers.Place{Home: folder})
	if err := b.Close(t.Context()); err != nil {
		t.Log(err)
	}
	if _, err := a.Tiers.Move(t.Context(), "st-marys", tiers.Place{Home: folder}, nil); !fault.Is(err, fault.CodeConflict) {
		t.Errorf("to a place that is taken: %v", err)
	}
	stays("to a place that is taken")
	l := begin(t, "st-marys", token, a)
	mustMove(t, a, "st-marys", tiers.Place{Home: "sqlite:" + t.TempDir()})
	l.end()
}

// TestMove_ProcessDies undoes at the next start what was not switched, and clears what was.
func TestMove_ProcessDies(t *testing.T) {
	t.Parallel()
	c := embedded(t)
	target := dbtest.PostgresURL(t)
	a, err := app.Open(t.Context(), c, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	tenant, _ := fullTenant(t, a, "st-marys")
	want := digestOf(t, a, tenant.Tenant)
	ctx := scope.WithTenant(t.Context(), tenant.Tenant)
	// As a process leaves it that dies while it copies: triggers, half of the rows there, and the directory says so.
	shared, done, err := a.Backends.Router.Home(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	other, doneOther, err := a.Backends.Router.Home(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	if err := transfer.Track(ctx, shared); err != nil {
		t.Fatal(err)
	}
	half, err := transfer.NewCopier(ctx, shared, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := half.Copy(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Tenants.Change(ctx, "st-marys", func(t *tenancy.Tenant) error {
		t.Move = &tenancy.Move{Phase: tenancy.Switching, Tier: tenancy.Database, To: target, ID: "dead", Started: time.Now(), Beat: time.Now()}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	done()
	doneOther()
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := started(t, c)
	settled := func() tenancy.Tenant {
		t.Helper()
		for {
			now, err := b.Tenants.Get(t.Context(), "st-marys")
			if err != nil {
				t.Fatal(err)
			}
			if now.Move == nil {
				return now
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	if now := settled(); now.Home != "" {
		t.Errorf("%+v", now)
	}
	if got := digestOf(t, b, tenant.Tenant); !reflect.DeepEqual(got, want) {
		t.Error("its rows changed:", differing(got, want))
	}
	mustMove(t, b, "st-marys", tiers.Place{Home: target}) // the place was cleared
	if got := digestOf(t, b, tenant.Tenant); !reflect.DeepEqual(got, want) {
		t.Error("its rows changed:", differing(got, want))
	}
}

// TestMove_EveryTableCanBeMoved holds what package transfer demands of all modules' tables, whose columns must agree on both databases.
func TestMove_EveryTableCanBeMoved(t *testing.T) {
	t.Parallel()
	a, err := app.Open(t.Context(), embedded(t), app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.WithoutCancel(t.Context())) })
	made, err := a.Tenants.Create(t.Context(), "st-marys", "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Tiers.Plan(t.Context(), "st-marys", tiers.Place{Home: dbtest.PostgresURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Rows) < 10 {
		t.Errorf("only %d tables", len(p.Rows))
	}
	if _, err := transfer.Tables(scope.WithTenant(t.Context(), made.Tenant), a.Backends.DB); err != nil {
		t.Error(err)
	}
}

// TestDelete_RestoredOrDestroyed shows that a deleted tenant is out of reach, comes back whole, and is gone after it was destroyed: rows, blobs, tokens, caches.
func TestDelete_RestoredOrDestroyed(t *testing.T) {
	t.Parallel()
	for name, home := range map[string]func(t *testing.T) string{
		"pooled on SQLite": func(*testing.T) string { return "" },
		"on PostgreSQL":    func(t *testing.T) string { t.Helper(); return dbtest.PostgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := started(t, embedded(t))
			tenant, token := fullTenant(t, a, "st-marys")
			at := home(t)
			if at != "" {
				mustMove(t, a, "st-marys", tiers.Place{Home: at})
			}
			ctx := scope.WithTenant(t.Context(), tenant.Tenant)
			if _, err := a.Backends.Blobs.Put(ctx, "x/1", "", strings.NewReader("secret"), 6); err != nil {
				t.Fatal(err)
			}
			want := digestOf(t, a, tenant.Tenant)
			url := "http://" + a.Addr() + "/t/st-marys/fhir/Patient?_count=1"
			if status, _ := do(t, url, token); status != 200 {
				t.Fatal(status)
			}
			if _, err := a.Tiers.Delete(t.Context(), "st-marys", time.Hour); err != nil {
				t.Fatal(err)
			}
			if status, _ := do(t, url, token); status != 403 {
				t.Errorf("a deleted tenant answers %d", status)
			}
			if err := a.Tiers.Destroy(t.Context(), "st-marys"); !fault.Is(err, fault.CodeConflict) {
				t.Errorf("destroyed before its time: %v", err)
			}
			if err := a.Tiers.Restore(t.Context(), "st-marys"); err != nil {
				t.Fatal(err)
			}
			if status, _ := do(t, url, token); status != 200 {
				t.Errorf("a restored tenant answers %d", status)
			}
			if got := digestOf(t, a, tenant.Tenant); !reflect.DeepEqual(got, want) {
				t.Error("its rows changed")
			}
			if _, err := a.Tiers.Delete(t.Context(), "st-marys", time.Millisecond); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond)
			if err := a.Tiers.Resume(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if status, _ := do(t, url, token); status != 404 {
				t.Errorf("a destroyed tenant answers %d", status)
			}
			if err := a.Tiers.Restore(t.Context(), "st-marys"); !fault.Is(err, fault.CodeNotFound) {
				t.Errorf("restored from nothing: %v", err)
			}
			d, done, err := a.Backends.Router.Home(ctx, at)
			if err != nil {
				t.Fatal(err)
			}
			defer done()
			if empty, err := transfer.Empty(ctx, d); err != nil || !empty {
				t.Errorf("rows are left: %v", err)
			}
			for b, err := range a.Backends.Blobs.List(ctx, "", "") {
				t.Errorf("the blob %s is left: %v", b.Key, err)
			}
			if tokens, err := a.Tokens.List(t.Context(), tenant.ID); err != nil || len(tokens) != 0 {
				t.Errorf("%d tokens are left: %v", len(tokens), err)
			}
			if again, err := a.Tenants.Create(t.Context(), "st-marys", "", tenancy.Settings{}); err != nil || again.ID == tenant.ID {
				t.Errorf("the slug again: %+v %v", again, err)
			}
			if status, _ := do(t, url, token); status != 401 {
				t.Errorf("the old token in the new tenant: %d", status)
			}
		})
	}
}

// TestCell_RefersWithoutTouchingTheData: a tenant of another cell is answered with its address, and no database is opened for it.
func TestCell_RefersWithoutTouchingTheData(t *testing.T) {
	t.Parallel()
	a := started(t, embedded(t))
	if err := a.Tenants.SetCell(t.Context(), tenancy.Cell{Name: "eu1", Region: "eu", URL: "https://eu.example.org"}); err != nil {
		t.Fatal(err)
	}
	made, err := a.Tenants.Add(t.Context(), "st-marys", tenancy.Terms{Tier: tenancy.InCell, Cell: "eu1"})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, method := range []string{"GET", "POST"} {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr()+"/t/st-marys/fhir/Patient?name=x&_count=2", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusTemporaryRedirect || res.Header.Get("Location") != "https://eu.example.org/t/st-marys/fhir/Patient?name=x&_count=2" ||
			!strings.Contains(string(body), `"OperationOutcome"`) || !strings.Contains(string(body), "eu1") {
			t.Errorf("%s: %d %v %s", method, res.StatusCode, res.Header, body)
		}
	}
	if _, err := os.Stat(filepath.Join(a.Config.Data, "tenants", fmt.Sprint(made.ID)+".db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its data was touched: %v", err)
	}
	if _, err := a.Tiers.Export(t.Context(), "st-marys", io.Discard, nil, nil); !fault.Is(err, fault.CodeConflict) {
		t.Errorf("exported from here: %v", err)
	}
}

// TestAdmin_Tenants drives the operators' routes.
func TestAdmin_Tenants(t *testing.T) {
	t.Parallel()
	folder, c := t.TempDir(), embedded(t)
	c.DB.Homes = "sqlite:" + folder
	a := started(t, c)
	operator, _, err := a.Tokens.Create(t.Context(), scope.Tenant{}, access.Operator, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, body string, header ...string) (int, map[string]any, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.Addr()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+operator)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		_ = json.Unmarshal(text, &v)
		return res.StatusCode, v, text
	}
	if status, v, _ := send("POST", "/admin/tenants", `{"slug":"st-marys","name":"St Mary","plan":"gold","limits":{"resources":5}}`); status != 201 || v["plan"] != "gold" || v["tier"] != "pooled" {
		t.Fatal(status, v)
	}
	if status, _, text := send("POST", "/admin/tenants", `{"slug":"st-marys","nme":"x"}`); status != 400 {
		t.Error(status, string(text))
	}
	if status, _, text := send("POST", "/admin/tenants/st-marys/move", `{"database":"sqlite:`+t.TempDir()+`"}`); status != 403 || !strings.Contains(string(text), "db.homes") {
		t.Error(status, string(text))
	}
	if status, v, _ := send("POST", "/admin/tenants/st-marys/move", `{"database":"sqlite:`+folder+`","dryRun":true}`); status != 200 || v["rows"] == nil {
		t.Error(status, v)
	}
	if status, v, _ := send("POST", "/admin/tenants/st-marys/move", `{"database":"sqlite:`+folder+`"}`); status != 202 {
		t.Error(status, v)
	}
	for {
		status, v, _ := send("GET", "/admin/tenants/st-marys", "")
		work, _ := v["work"].(map[string]any)
		if status != 200 || work == nil || work["failure"] != nil {
			t.Fatal(status, v)
		}
		if work["ended"] != nil {
			if v["tier"] != "database" {
				t.Error(v)
			}
			break
		}
	}
	if status, _, _ := send("POST", "/admin/tenants/st-marys/export", `{"passphrase":"correct horse"}`); status != 403 {
		t.Errorf("an archive without the tenant's leave: %d", status)
	}
	mary, err := a.Tenants.Find(t.Context(), "st-marys")
	if err != nil {
		t.Fatal(err)
	}
	ofMary := scope.WithTenant(t.Context(), mary)
	grant, err := a.Operators.Give(ofMary, "", "moving house", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	status, _, archive := send("POST", "/admin/tenants/st-marys/export", `{"passphrase":"correct horse","grant":"`+grant.ID+`"}`)
	if status != 200 || len(archive) == 0 {
		t.Fatal(status)
	}
	if status, v, _ := send("POST", "/admin/tenants/copy/import", string(archive), "Ward-Archive-Passphrase", "wrong"); status != 422 {
		t.Error(status, v)
	}
	if status, v, _ := send("POST", "/admin/tenants/copy/import", string(archive), "Ward-Archive-Passphrase", "correct horse"); status != 201 || v["name"] != "St Mary" {
		t.Error(status, v)
	}
	for _, row := range []struct {
		method, path, want string
		status             int
	}{
		{"POST", "/admin/tenants/copy/suspend", "suspended", 200},
		{"POST", "/admin/tenants/copy/resume", "active", 200},
		{"DELETE", "/admin/tenants/copy?grace=1h", "deleting", 202},
		{"POST", "/admin/tenants/copy/restore", "active", 200},
	} {
		if status, v, _ := send(row.method, row.path, ""); status != row.status || v["status"] != row.want {
			t.Error(row, status, v)
		}
	}
	if status, v, _ := send("PUT", "/admin/cells/eu1", `{"region":"eu","url":"https://eu.example.org"}`); status != 200 || v["name"] != "eu1" {
		t.Error(status, v)
	}
	if status, _, text := send("GET", "/admin/tenants", ""); status != 200 || bytes.Count(text, []byte(`"slug"`)) != 2 {
		t.Error(status, string(text))
	}
	// Both the tenant and the installation have it on record, under the operator's name.
	recorded := func(ctx context.Context, q audit.Query) (all []string) {
		page, err := a.Audit.Find(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			all = append(all, strings.TrimSpace(e.Action.String()+" "+e.Event.ID+" "+e.Detail+" "+e.By.Role))
		}
		slices.Sort(all)
		return all
	}
	copied, err := a.Tenants.Find(t.Context(), "copy")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		ctx  context.Context
		want []string
	}{
		{ofMary, []string{"export  archive operator", "setting  created operator", "setting  move to another database operator"}},
		{scope.WithTenant(t.Context(), copied), []string{
			"delete   operator", "export  archive operator", "import  archive operator", "setting  created operator", "setting  move to another database operator", "setting  restored operator",
			"setting  status active operator", "setting  status suspended operator",
		}},
		{scope.WithSystem(t.Context()), []string{
			"delete copy  operator", "export st-marys archive operator", "import copy archive operator",
			"security  denied POST /admin/tenants/{slug}/export operator", "security  denied POST /admin/tenants/{slug}/move operator", "setting copy restored operator", "setting copy status active operator",
			"setting copy status suspended operator", "setting eu1 cell operator", "setting st-marys created operator", "setting st-marys move to another database operator",
		}},
	} {
		got := slices.DeleteFunc(recorded(row.ctx, audit.Query{Count: 100}), func(e string) bool { return !strings.HasSuffix(e, " operator") })
		if !slices.Equal(got, row.want) {
			t.Errorf("on record are %q, not %q", got, row.want)
		}
	}
	for _, path := range []string{"/admin/tenants", "/admin/cells"} {
		if status, _ := do(t, "http://"+a.Addr()+path, ""); status != 401 {
			t.Errorf("%s without a token: %d", path, status)
		}
	}
}
