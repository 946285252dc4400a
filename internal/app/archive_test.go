package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"ward/internal/app"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/tiers"
)

func exported(t *testing.T, a *app.App, slug string, to age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := a.Tiers.Export(t.Context(), slug, &b, []age.Recipient{to}, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestArchive_IntoAnyWard exports a tenant from SQLite, imports it on PostgreSQL, exports it there, and imports it again on SQLite, under other slugs.
func TestArchive_IntoAnyWard(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	by := []age.Identity{key}
	a := started(t, embedded(t))
	tenant, token := fullTenant(t, a, "st-marys")
	ctx := scope.WithTenant(t.Context(), tenant.Tenant)
	content := bytes.Repeat([]byte("an image "), 50_000)
	for name, body := range map[string][]byte{"study/1.dcm": content, "empty": nil} {
		if _, err := a.Backends.Blobs.Put(ctx, name, "application/dicom", bytes.NewReader(body), int64(len(body))); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := begin1(t, a, token, "PUT", "Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":"Windsor"}]}`); status != 201 {
		t.Fatal(status, body)
	}
	want := digestOf(t, a, tenant.Tenant)
	archive := exported(t, a, "st-marys", key.Recipient())
	if bytes.Contains(archive, []byte("Windsor")) || bytes.Contains(archive, []byte("st-marys")) {
		t.Error("the archive can be read without the key")
	}
	t.Logf("%d bytes of archive", len(archive))
	configs := map[string]app.Config{"SQLite": embedded(t)}
	if testenv.Has("WARD_TEST_POSTGRES") {
		c := embedded(t)
		c.DB.URL, c.DB.Migrate = dbtest.PostgresURL(t), true
		configs["PostgreSQL"] = c
	}
	for name, c := range configs {
		t.Run(name, func(t *testing.T) {
			b := started(t, c)
			if _, err := b.Tenants.Create(t.Context(), "another", "", tenancy.Settings{}); err != nil {
				t.Fatal(err)
			}
			made, m, err := b.Tiers.Import(t.Context(), bytes.NewReader(archive), by, tiers.Admission{Slug: "copy"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if made.Status != tenancy.Active || made.Name != "St Mary" || made.ID == tenant.ID || m.Blobs() != 2 {
				t.Errorf("%+v, %d blobs", made, m.Blobs())
			}
			if got := digestOf(t, b, made.Tenant); !reflect.DeepEqual(got, want) {
				t.Error("the rows differ")
			}
			in := scope.WithTenant(t.Context(), made.Tenant)
			r, info, err := b.Backends.Blobs.Get(in, "study/1.dcm")
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, content) || info.MediaType != "application/dicom" {
				t.Errorf("the blob differs: %v", err)
			}
			token, _, err := b.Tokens.Create(t.Context(), made.Tenant, access.Integration, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			if status, body := do(t, "http://"+b.Addr()+"/t/copy/fhir/Patient?family=Windsor", token); status != 200 || !strings.Contains(body, `"p1"`) {
				t.Error(status, body)
			}
			again := exported(t, b, "copy", key.Recipient())
			back, _, err := b.Tiers.Import(t.Context(), bytes.NewReader(again), by, tiers.Admission{Slug: "back"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := digestOf(t, b, back.Tenant); !reflect.DeepEqual(got, want) {
				t.Error("the rows differ after the second way")
			}
			if _, _, err := b.Tiers.Import(t.Context(), bytes.NewReader(again), by, tiers.Admission{Slug: "back"}, nil); !fault.Is(err, fault.CodeConflict) {
				t.Errorf("over a tenant that is there: %v", err)
			}
		})
	}
}

func begin1(t *testing.T, a *app.App, token, method, path, body string) (int, string) {
	t.Helper()
	l := &load{t: t, slug: "st-marys", token: token}
	return l.send(a, method, path, body)
}

// TestArchive_TheLogProves takes a tenant through three Wards with secrets of their own, on both databases, and moves it: its audit log proves in each, what was recorded before and after.
func TestArchive_TheLogProves(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	ward := func(on string) *app.App {
		c := embedded(t)
		if c.DB.URL = on; on != "" {
			c.DB.Migrate = true
		}
		return started(t, c)
	}
	a := ward("")
	made, err := a.Tenants.Create(t.Context(), "st-marys", "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := a.Tokens.Create(t.Context(), made.Tenant, access.Integration, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	proves := func(a *app.App, slug, token string, former, least int64) {
		t.Helper()
		l := &load{t: t, slug: slug, token: token}
		for _, method := range []string{"PUT", "GET"} {
			if status, body := l.send(a, method, "Patient/p1", map[string]string{"PUT": `{"resourceType":"Patient","id":"p1","active":true}`}[method]); status > 201 {
				t.Fatal(status, body)
			}
		}
		now, err := a.Tenants.Get(t.Context(), slug)
		if err != nil {
			t.Fatal(err)
		}
		ctx := scope.WithTenant(t.Context(), now.Tenant)
		if err := a.Audit.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Audit.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := a.Audit.Verify(ctx)
		if err != nil || !r.Proven() || r.Former != former || r.Events < least {
			t.Errorf("%s: %+v %v", slug, r, err)
		}
	}
	proves(a, "st-marys", token, 0, 2)
	mustMove(t, a, "st-marys", tiers.Place{Home: "sqlite:" + t.TempDir()})
	proves(a, "st-marys", token, 0, 4)
	wards := []string{""}
	if testenv.Has("WARD_TEST_POSTGRES") {
		mustMove(t, a, "st-marys", tiers.Place{Home: dbtest.PostgresURL(t)})
		proves(a, "st-marys", token, 0, 6)
		wards = []string{dbtest.PostgresURL(t), ""}
	}
	from, slug := a, "st-marys"
	for i, on := range wards {
		archive := exported(t, from, slug, key.Recipient())
		from, slug = ward(on), fmt.Sprint("copy-", i)
		if _, err := from.Tenants.Create(t.Context(), "another", "", tenancy.Settings{}); err != nil { // it gets another number there
			t.Fatal(err)
		}
		made, _, err := from.Tiers.Import(t.Context(), bytes.NewReader(archive), []age.Identity{key}, tiers.Admission{Slug: slug}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := from.Tokens.Create(t.Context(), made.Tenant, access.Integration, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		proves(from, slug, token, int64(i+1), 6)
	}
}

// TestArchive_WhileItIsUsed exports a tenant from SQLite and imports it on PostgreSQL, and the other way round, and destroys a copy, while there is load on the tenant: no request fails, an archive is of
// one moment, and every row's hash is what it was there.
func TestArchive_WhileItIsUsed(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	by := []age.Identity{key}
	a, c := started(t, embedded(t)), embedded(t)
	c.DB.URL, c.DB.Migrate = dbtest.PostgresURL(t), true
	b := started(t, c)
	_, token := fullTenant(t, a, "st-marys")
	l := begin(t, "st-marys", token, a)
	// carry takes the tenant from one Ward to another and says what the archive has.
	carry := func(from *app.App, slug string, to *app.App, as string) (tenancy.Tenant, tiers.Manifest) {
		t.Helper()
		file, err := os.Create(filepath.Join(t.TempDir(), "archive"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		began := time.Now()
		m, err := from.Tiers.Export(t.Context(), slug, file, []age.Recipient{key.Recipient()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		exported := time.Since(began)
		began = time.Now()
		made, _, err := to.Tiers.Import(t.Context(), file, by, tiers.Admission{Slug: as}, nil)
		if err != nil {
			t.Fatal(err)
		}
		size, err := file.Seek(0, io.SeekEnd)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: exported %d rows, %d MB, in %v; imported in %v", as, m.Rows(), size>>20, exported.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		return made, m
	}
	agrees := func(a *app.App, made tenancy.Tenant, m tiers.Manifest) {
		t.Helper()
		for name, got := range digestOf(t, a, made.Tenant) {
			if want := m.Tables[name]; got != want && !slices.Contains(identity.OwnTables(), name) {
				t.Errorf("%s: %d rows, the archive has %d, or they differ", name, got.Rows, want.Rows)
			}
		}
	}
	onPostgres, m := carry(a, "st-marys", b, "copy")
	agrees(b, onPostgres, m)
	back, m2 := carry(b, "copy", a, "back")
	agrees(a, back, m2)
	for name, was := range m.Tables { // but for the trail of what was done here
		if got := m2.Tables[name]; got != was && !strings.HasPrefix(name, "audit_") && !strings.HasSuffix(name, "_checked") && name != "calendar_alarm" {
			t.Errorf("%s: %d rows after two ways, %d before, or they differ", name, got.Rows, was.Rows)
		}
	}
	for from, slug := range map[*app.App]string{a: "back", b: "copy"} {
		began := time.Now()
		if _, err := from.Tiers.Delete(t.Context(), slug, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		awaited(t, "it is destroyed", func() bool {
			if err := from.Tiers.Resume(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			_, err := from.Tenants.Get(t.Context(), slug)
			return fault.Is(err, fault.CodeNotFound)
		})
		t.Logf("%s: destroyed in %v", slug, time.Since(began).Round(time.Millisecond))
	}
	l.end()
	for from, gone := range map[*app.App]tenancy.Tenant{a: back, b: onPostgres} {
		if _, err := from.Backends.Seal.Of(t.Context(), gone.ID); !fault.Is(err, fault.CodeGone) {
			t.Errorf("the key of %s: %v", gone.Slug, err)
		}
	}
}

// TestArchive_DamagedIsRefused changes, cuts and replaces parts of an archive: none is imported, and nothing is left of any.
func TestArchive_DamagedIsRefused(t *testing.T) {
	t.Parallel()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	a := started(t, embedded(t))
	if _, err := a.Tenants.Create(t.Context(), "st-marys", "", tenancy.Settings{}); err != nil {
		t.Fatal(err)
	}
	archive := exported(t, a, "st-marys", key.Recipient())
	changed := func(at int) []byte {
		b := bytes.Clone(archive)
		b[at] ^= 1
		return b
	}
	for name, row := range map[string]struct {
		archive []byte
		by      age.Identity
	}{
		"a bit in the middle":   {changed(len(archive) / 2), key},
		"a bit at the end":      {changed(len(archive) - 1), key},
		"a bit in the header":   {changed(60), key},
		"its end is missing":    {archive[:len(archive)-100], key},
		"most is missing":       {archive[:len(archive)/3], key},
		"it is empty":           {nil, key},
		"it is something else":  {[]byte("hello"), key},
		"another's key":         {archive, stranger},
		"twice in one file":     {append(bytes.Clone(archive), archive...), key},
		"something is appended": {append(bytes.Clone(archive), 0), key},
	} {
		_, _, err := a.Tiers.Import(t.Context(), bytes.NewReader(row.archive), []age.Identity{row.by}, tiers.Admission{Slug: "copy"}, nil)
		if !fault.Is(err, fault.CodeUnprocessable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := a.Tenants.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	if _, _, err := a.Tiers.Import(t.Context(), bytes.NewReader(archive), []age.Identity{key}, tiers.Admission{Slug: "copy"}, nil); err != nil {
		t.Errorf("the whole archive: %v", err)
	}
}
