package tenancy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/tenancy"
)

const secretURL = "postgres://ward:secret@db:5432/st_marys"

func sealed(t *testing.T, d *db.DB, now clock.Clock, key byte) *tenancy.Directory {
	t.Helper()
	sealer, err := tenancy.NewAESGCM([]byte(strings.Repeat(string(rune(key)), 32)))
	if err != nil {
		t.Fatal(err)
	}
	dir := tenancy.New(tenancy.Deps{DB: d, Clock: now, Sealer: sealer})
	if err := d.Migrate(t.Context(), "tenancy", dir.Module().SystemMigrations); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDirectory_KeepsTheTermsAndSealsTheDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := clock.NewManual(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
		dir := sealed(t, d, now, 'k')
		ctx := t.Context()
		made, err := dir.Add(ctx, "st-marys", tenancy.Terms{
			Tier: tenancy.Database, Home: secretURL, Region: "eu", Plan: "gold", Limits: map[string]int64{"resources": 5}, KMS: "k1",
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := dir.Get(ctx, "st-marys")
		if err != nil || got.Home != secretURL || got.At != "postgres://ward:xxxxx@db:5432/st_marys" || got.Tier != tenancy.Database || got.Region != "eu" ||
			got.Plan != "gold" || got.Limits["resources"] != 5 || got.KMS != "k1" || got.Name != "st-marys" {
			t.Errorf("%+v %v", got, err)
		}
		if home, err := dir.Locate(ctx, made.ID); err != nil || home != secretURL {
			t.Errorf("%q %v", home, err)
		}
		if _, err := dir.Locate(ctx, 99); !fault.Is(err, fault.CodeNotFound) {
			t.Error(err)
		}
		err = d.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT home, move FROM tenancy_tenant", func(r db.Row) error {
				if r.Text(0) == "" || strings.Contains(r.Text(0)+r.Text(1), "secret") {
					t.Errorf("the database's address stands there as %q", r.Text(0))
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sealed(t, d, now, 'x').Get(ctx, "st-marys"); !fault.Is(err, fault.CodeInternal) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("under another key: %v", err)
		}
	})
}

func TestDirectory_RefusesTermsThatCannotBe(t *testing.T) {
	t.Parallel()
	dir, _, _ := directory(t)
	for name, terms := range map[string]tenancy.Terms{
		"a database without an address": {Tier: tenancy.Database},
		"a cell without a name":         {Tier: tenancy.InCell},
		"a pooled tenant with a cell":   {Cell: "eu"},
		"no such tier":                  {Tier: "gold"},
	} {
		if _, err := dir.Add(t.Context(), "st-marys", terms); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := dir.Add(t.Context(), "st-marys", tenancy.Terms{Tier: tenancy.InCell, Cell: "eu1"}); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("a cell that there is not: %v", err)
	}
}

func TestDirectory_RefersToTheCell(t *testing.T) {
	t.Parallel()
	d, now := open(t)
	here, there := tenancy.New(tenancy.Deps{DB: d, Clock: now, Cell: "main"}), tenancy.New(tenancy.Deps{DB: d, Clock: now, Cell: "eu1"})
	ctx := t.Context()
	if err := d.Migrate(ctx, "tenancy", here.Module().SystemMigrations); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []tenancy.Cell{{Name: "E", URL: "https://x"}, {Name: "eu1", URL: "ftp://x"}, {Name: "eu1", URL: "https://u:p@x"}, {Name: "eu1", URL: "https:"}} {
		if err := here.SetCell(ctx, bad); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := here.SetCell(ctx, tenancy.Cell{Name: "eu1", Region: "eu-central", URL: "https://eu.example.org/"}); err != nil {
		t.Fatal(err)
	}
	made, err := here.Add(ctx, "st-marys", tenancy.Terms{Tier: tenancy.InCell, Cell: "eu1"})
	if err != nil || made.Region != "eu-central" {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = here.Find(ctx, "st-marys")
	var at interface{ BaseURL() string }
	if !fault.Is(err, fault.CodeElsewhere) || !errors.As(err, &at) || at.BaseURL() != "https://eu.example.org" || !strings.Contains(fault.Message(err), "eu1") {
		t.Errorf("%v", err)
	}
	if _, err := here.Locate(ctx, made.ID); !fault.Is(err, fault.CodeElsewhere) {
		t.Errorf("its data can be reached here: %v", err)
	}
	if got, err := there.Find(ctx, "st-marys"); err != nil || got != made.Tenant {
		t.Errorf("%v %v", got, err)
	}
	if _, err := there.Locate(ctx, made.ID); err != nil {
		t.Error(err)
	}
}

func TestDirectory_DeletedAndDestroyed(t *testing.T) {
	t.Parallel()
	dir, _, now := directory(t)
	ctx := t.Context()
	made, err := dir.Create(ctx, "st-marys", "St Mary", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	set := func(fn func(*tenancy.Tenant)) {
		t.Helper()
		if err := dir.Change(ctx, "st-marys", func(t *tenancy.Tenant) error { fn(t); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	set(func(t *tenancy.Tenant) { t.Status, t.Due = tenancy.Deleting, now.Now().Add(time.Hour) })
	if _, err := dir.Find(ctx, "st-marys"); !fault.Is(err, fault.CodeDenied) {
		t.Errorf("being deleted: %v", err)
	}
	if err := dir.SetStatus(ctx, "st-marys", tenancy.Active); !fault.Is(err, fault.CodeConflict) {
		t.Errorf("resumed while it is being deleted: %v", err)
	}
	if list, err := dir.List(ctx); err != nil || len(list) != 1 || !list[0].Due.Equal(now.Now().Add(time.Hour)) {
		t.Errorf("%+v %v", list, err)
	}
	set(func(t *tenancy.Tenant) { t.Status, t.Slug = tenancy.Destroyed, "destroyed-1" })
	if _, err := dir.Find(ctx, "st-marys"); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("destroyed: %v", err)
	}
	if _, err := dir.Locate(ctx, made.ID); !fault.Is(err, fault.CodeNotFound) {
		t.Errorf("located after its end: %v", err)
	}
	if list, err := dir.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	again, err := dir.Create(ctx, "st-marys", "", tenancy.Settings{})
	if err != nil || again.ID == made.ID {
		t.Errorf("the slug again: %+v %v", again, err)
	}
}

func TestDirectory_TenantsOnTheMoveAreLookedAtOften(t *testing.T) {
	t.Parallel()
	d, now := open(t)
	one, other := sealed(t, d, now, 'k'), sealed(t, d, now, 'k')
	ctx := t.Context()
	made, err := one.Create(ctx, "st-marys", "", tenancy.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	change := func(fn func(*tenancy.Tenant)) {
		t.Helper()
		if err := one.Change(ctx, "st-marys", func(t *tenancy.Tenant) error { fn(t); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	change(func(t *tenancy.Tenant) { t.Move = &tenancy.Move{Phase: tenancy.Copying, To: secretURL} })
	if home, err := other.Locate(ctx, made.ID); err != nil || home != "" {
		t.Fatal(home, err)
	}
	change(func(t *tenancy.Tenant) {
		t.Home, t.Move = secretURL, &tenancy.Move{Phase: tenancy.Moved}
	})
	if home, _ := other.Locate(ctx, made.ID); home != "" {
		t.Error("another process knows it at once")
	}
	now.Advance(tenancy.MovingTime)
	if home, err := other.Locate(ctx, made.ID); err != nil || home != secretURL {
		t.Errorf("%q %v", home, err)
	}
	if got, err := one.Get(ctx, "st-marys"); err != nil || got.Move == nil || got.Move.Phase != tenancy.Moved {
		t.Errorf("%+v %v", got.Move, err)
	}
}
