package tenancy_test

import (
	"context"
	"strings"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/base/scope"
	"ward/internal/kernel/tenancy"
)

// TestSettings_TheProvidersSecretIsSealed: it is not in the row, is there for who asks, is sealed when an entry of before is changed, and survives another key.
func TestSettings_TheProvidersSecretIsSealed(t *testing.T) {
	t.Parallel()
	d, now := open(t)
	under := func(key string) *tenancy.Directory {
		sealer, err := tenancy.NewAESGCM([]byte(strings.Repeat(key, 32)))
		if err != nil {
			t.Fatal(err)
		}
		dir := tenancy.New(tenancy.Deps{DB: d, Clock: now, Sealer: sealer})
		if err := d.Migrate(t.Context(), "tenancy", dir.Module().SystemMigrations); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	row := func(where string) (text string) {
		t.Helper()
		err := d.Read(scope.WithSystem(t.Context()), func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT settings FROM tenancy_tenant WHERE slug = $1", func(r db.Row) error { text = r.Text(0); return nil }, where)
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	with := func(secret string) tenancy.Settings {
		return tenancy.Settings{SignIn: &tenancy.SignIn{Provider: &tenancy.Provider{Issuer: "https://idp.example.org", ClientID: "ward", ClientSecret: secret}}}
	}
	secret := func(dir *tenancy.Directory, slug string) string {
		t.Helper()
		got, err := dir.Get(t.Context(), slug)
		if err != nil || got.Settings.SignIn == nil || got.Settings.SignIn.Provider == nil {
			t.Fatal(got, err)
		}
		return got.Settings.SignIn.Provider.ClientSecret
	}
	dir := under("a")
	given := with("unmistakable")
	if _, err := dir.Create(t.Context(), "demo", "", given); err != nil {
		t.Fatal(err)
	}
	if got := row("demo"); strings.Contains(got, "unmistakable") || secret(dir, "demo") != "unmistakable" || given.SignIn.Provider.ClientSecret != "unmistakable" {
		t.Errorf("%q", got)
	}
	// An entry of an earlier version.
	if _, err := tenancy.New(tenancy.Deps{DB: d, Clock: now}).Create(t.Context(), "north", "", with("of before")); err != nil {
		t.Fatal(err)
	}
	if secret(dir, "north") != "of before" {
		t.Error("a secret in the clear is not read")
	}
	for _, slug := range []string{"demo", "north"} {
		if err := dir.SetStatus(t.Context(), slug, tenancy.Suspended); err != nil {
			t.Fatal(err)
		}
	}
	if got := row("north"); strings.Contains(got, "of before") || secret(dir, "north") != "of before" {
		t.Errorf("%q", got)
	}
	// Under another key it does not open, is not lost when the entry is changed, and the entry works.
	other := under("b")
	if err := other.SetStatus(t.Context(), "demo", tenancy.Active); err != nil || secret(other, "demo") == "unmistakable" {
		t.Error(err)
	}
	if secret(under("a"), "demo") != "unmistakable" {
		t.Error("the secret is lost")
	}
}
