package identity_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/sqlite"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity"
)

var demo = scope.Tenant{ID: 1, Slug: "demo"}

func tokens(t testing.TB) (*identity.Tokens, *db.DB, *clock.Manual) {
	t.Helper()
	d, err := sqlite.Open(t.Context(), sqlite.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	now := clock.NewManual(time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC))
	tokens := identity.New(identity.Deps{DB: d, Clock: now})
	if err := d.Migrate(t.Context(), "identity", tokens.Module().SystemMigrations); err != nil {
		t.Fatal(err)
	}
	return tokens, d, now
}

func TestTokens_CreateVerifyRevoke(t *testing.T) {
	t.Parallel()
	tokens, d, now := tokens(t)
	ctx := t.Context()
	secret, token, err := tokens.Create(ctx, demo, access.Clinician, "ward round", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, "ward_demo_") || len(secret) != len("ward_demo_")+49 {
		t.Errorf("a token reads %s", secret)
	}
	p, tenantID, err := tokens.Verify(ctx, secret)
	if err != nil || p.ID != token.ID || p.Role != access.Clinician || tenantID != demo.ID {
		t.Errorf("%+v %d %v", p, tenantID, err)
	}

	other := identity.New(identity.Deps{DB: d, Clock: now})
	if _, _, err := other.Verify(ctx, secret); err != nil {
		t.Error(err)
	}
	if err := tokens.Revoke(ctx, token.ID); err != nil {
		t.Error(err)
	}
	if _, _, err := tokens.Verify(ctx, secret); !fault.Is(err, fault.CodeUnauthenticated) {
		t.Errorf("revoked here: %v", err)
	}
	now.Advance(2 * time.Second)
	if _, _, err := other.Verify(ctx, secret); !fault.Is(err, fault.CodeUnauthenticated) {
		t.Errorf("revoked elsewhere: %v", err)
	}
	if err := tokens.Revoke(ctx, token.ID); err != nil {
		t.Errorf("revoked twice: %v", err)
	}
	if err := tokens.Revoke(ctx, "none"); !fault.Is(err, fault.CodeNotFound) {
		t.Error(err)
	}
	list, err := tokens.List(ctx, demo.ID)
	if err != nil || len(list) != 1 || list[0].Name != "ward round" || list[0].Revoked.IsZero() || !list[0].Expires.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
}

func TestTokens_Expire(t *testing.T) {
	t.Parallel()
	tokens, _, now := tokens(t)
	secret, _, err := tokens.Create(t.Context(), demo, access.Admin, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Hour - time.Millisecond)
	if _, _, err := tokens.Verify(t.Context(), secret); err != nil {
		t.Error(err)
	}
	now.Advance(time.Millisecond)
	if _, _, err := tokens.Verify(t.Context(), secret); !fault.Is(err, fault.CodeUnauthenticated) {
		t.Error(err)
	}
}

func TestTokens_RefuseWhatIsNoToken(t *testing.T) {
	t.Parallel()
	tokens, d, _ := tokens(t)
	secret, _, err := tokens.Create(t.Context(), demo, access.Admin, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	reads := d.Stats().Reads
	flipped := []byte(secret)
	flipped[20] ^= 1
	for _, bad := range []string{"", "ward_", "ward_demo_", secret[:len(secret)-1], secret + "0", "x" + secret, strings.ToUpper(secret), string(flipped), strings.Replace(secret, "demo", "north", 1), strings.Repeat("a", 5000)} {
		if _, _, err := tokens.Verify(t.Context(), bad); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Errorf("%.30s: %v", bad, err)
		}
	}
	if now := d.Stats().Reads; now != reads {
		t.Errorf("the database was asked %d times", now-reads)
	}
	stranger, _, _ := identityElsewhere(t)
	for range 10 {
		if _, _, err := tokens.Verify(t.Context(), stranger); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Error(err)
		}
	}
	if now := d.Stats().Reads; now != reads+1 {
		t.Errorf("for one unknown token the database was asked %d times", now-reads)
	}
}

func identityElsewhere(t *testing.T) (secret string, token identity.Token, err error) {
	t.Helper()
	other, _, _ := tokens(t)
	return other.Create(t.Context(), demo, access.Admin, "", 0)
}

func TestTokens_RolesAndLimits(t *testing.T) {
	t.Parallel()
	tokens, _, _ := tokens(t)
	for name, row := range map[string]struct {
		tenant   scope.Tenant
		role     string
		lifetime time.Duration
		want     bool
	}{
		"a tenant's clinician":  {demo, access.Clinician, 0, true},
		"a tenant's patient":    {demo, access.Patient, 0, true},
		"a tenant's operator":   {demo, access.Operator, 0, false},
		"the program itself":    {demo, access.System, 0, false},
		"an operator":           {scope.Tenant{}, access.Operator, 0, true},
		"a clinician of no one": {scope.Tenant{}, access.Clinician, 0, false},
		"an unknown role":       {demo, "root", 0, false},
		"a negative lifetime":   {demo, access.Clinician, -1, false},
	} {
		secret, _, err := tokens.Create(t.Context(), row.tenant, row.role, "", row.lifetime)
		if (err == nil) != row.want || (err != nil && (!fault.Is(err, fault.CodeInvalid) || secret != "")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkTokens_Verify(b *testing.B) {
	tokens, _, _ := tokens(b)
	secret, _, err := tokens.Create(b.Context(), demo, access.Clinician, "", 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := tokens.Verify(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}

// minter knows one token.
type minter struct{ token string }

func (m minter) Verify(_ context.Context, token string) (scope.Principal, int32, error) {
	if token != m.token {
		return scope.Principal{}, 0, identity.NotGood()
	}
	return scope.Principal{ID: "other"}, 7, nil
}

func TestVerifier_AsksWhoMintedIt(t *testing.T) {
	t.Parallel()
	tokens, _, _ := tokens(t)
	secret, token, err := tokens.Create(t.Context(), demo, access.Clinician, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	v := identity.NewVerifier(tokens, identity.Kind{Prefix: "other_", Minter: minter{"other_x"}})
	if p, tenantID, err := v.Verify(t.Context(), secret); err != nil || p.ID != token.ID || tenantID != demo.ID {
		t.Errorf("%+v %d %v", p, tenantID, err)
	}
	if p, tenantID, err := v.Verify(t.Context(), "other_x"); err != nil || p.ID != "other" || tenantID != 7 {
		t.Errorf("%+v %d %v", p, tenantID, err)
	}
	for _, bad := range []string{"", "other_", "other_y", "third_x", "ward_x", "eyJhbGciOiJub25lIn0.e30."} {
		if _, _, err := v.Verify(t.Context(), bad); !fault.Is(err, fault.CodeUnauthenticated) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
