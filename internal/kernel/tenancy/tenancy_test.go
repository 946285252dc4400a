package tenancy_test

import (
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/tenancy"
)

func open(t *testing.T) (*db.DB, *clock.Manual) {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	return d, clock.NewManual(time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC))
}

func directory(t *testing.T) (*tenancy.Directory, *db.DB, *clock.Manual) {
	t.Helper()
	d, now := open(t)
	dir := tenancy.New(tenancy.Deps{DB: d, Clock: now})
	if err := d.Migrate(t.Context(), "tenancy", dir.Module().SystemMigrations); err != nil {
		t.Fatal(err)
	}
	return dir, d, now
}

func TestDirectory_CreateFindSuspend(t *testing.T) {
	t.Parallel()
	dir, d, now := directory(t)
	ctx := t.Context()
	if _, err := dir.Find(ctx, "demo"); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("found before it was there: %v", err)
	}
	demo, err := dir.Create(ctx, "demo", "Demo Clinic", tenancy.Settings{ReferentialIntegrity: true})
	if err != nil || demo.ID != 1 || demo.Status != tenancy.Active {
		t.Fatalf("%+v %v", demo, err)
	}
	if _, err := dir.Create(ctx, "demo", "", tenancy.Settings{}); !fault.Is(err, fault.CodeConflict) {
		t.Errorf("created twice: %v", err)
	}
	if _, err := dir.Create(ctx, "north", "", tenancy.Settings{}); err != nil {
		t.Error(err)
	}
	if got, err := dir.Find(ctx, "demo"); err != nil || got != demo.Tenant {
		t.Errorf("%v %v", got, err)
	}
	settings, err := dir.Settings(scope.WithTenant(ctx, demo.Tenant))
	if err != nil || !settings.ReferentialIntegrity {
		t.Errorf("%+v %v", settings, err)
	}
	if err := dir.SetStatus(ctx, "demo", tenancy.Suspended); err != nil {
		t.Error(err)
	}
	if _, err := dir.Find(ctx, "demo"); !fault.Is(err, fault.CodeDenied) {
		t.Errorf("suspended here: %v", err)
	}
	if err := dir.SetStatus(ctx, "nobody", tenancy.Active); !fault.Is(err, fault.CodeNotFound) {
		t.Error(err)
	}
	list, err := dir.List(ctx)
	if err != nil || len(list) != 2 || list[0].Slug != "demo" || list[1].Name != "north" || !list[0].Created.Equal(now.Now()) {
		t.Errorf("%+v %v", list, err)
	}

	// Another process hears of it within two seconds.
	other := tenancy.New(tenancy.Deps{DB: d, Clock: now})
	if _, err := other.Find(ctx, "north"); err != nil {
		t.Error(err)
	}
	if err := dir.SetStatus(ctx, "north", tenancy.Suspended); err != nil {
		t.Error(err)
	}
	now.Advance(2 * time.Second)
	if _, err := other.Find(ctx, "north"); !fault.Is(err, fault.CodeDenied) {
		t.Errorf("suspended elsewhere: %v", err)
	}
}

func TestDirectory_ParallelCreatesMakeOne(t *testing.T) {
	t.Parallel()
	dir, _, _ := directory(t)
	var wait sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wait.Go(func() { _, errs[i] = dir.Create(t.Context(), []string{"one", "two"}[i%2], "", tenancy.Settings{}) })
	}
	wait.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !fault.Is(err, fault.CodeConflict) {
			t.Error(err)
		}
	}
	list, err := dir.List(t.Context())
	if made != 2 || err != nil || len(list) != 2 || list[0].ID == list[1].ID {
		t.Errorf("%d made, %+v, %v", made, list, err)
	}
}

func TestCheckSlug(t *testing.T) {
	t.Parallel()
	for slug, want := range map[string]bool{
		"demo": true, "st-marys-2": true, "abc": true, "ab": false, "a123456789012345678901234567890123456789": true, "a1234567890123456789012345678901234567890": false,
		"Demo": false, "1st": false, "-ab": false, "ab-": false, "a--b": false, "a.b": false, "a/b": false, "..": false, "...": false, "a%2fb": false, "a b c": false,
		"dèmo": false, "system": false, "admin": false, "metrics": false, "": false,
	} {
		if err := tenancy.CheckSlug(slug); (err == nil) != want || (err != nil && !fault.Is(err, fault.CodeInvalid)) {
			t.Errorf("%q: %v", slug, err)
		}
	}
}

func TestParseSettings(t *testing.T) {
	t.Parallel()
	if s, err := tenancy.ParseSettings("{}"); err != nil || s != (tenancy.Settings{}) {
		t.Errorf("%+v %v", s, err)
	}
	want := tenancy.Settings{ReferentialIntegrity: true}
	if s, err := tenancy.ParseSettings(want.JSON()); err != nil || s != want {
		t.Errorf("%+v %v", s, err)
	}
	for _, text := range []string{`{"referentialintegrity2":true}`, `{"referentialIntegrity":1}`, "", "{}{}", "[]"} {
		if _, err := tenancy.ParseSettings(text); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
