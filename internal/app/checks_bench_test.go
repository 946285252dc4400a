package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/app"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/scope"
	"ward/internal/base/testenv"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/serve"
	"ward/internal/kernel/tenancy"
	wardload "ward/internal/load"
)

// unless is who asks: as their tokens say, or, while it is open, whoever it may be, without a look at the token and with all rights.
type unless struct {
	serve.Tokens
	anybody scope.Principal // the same person, so that the audit log has the same to write
	tenant  int32
	open    atomic.Bool
}

func (u *unless) Verify(ctx context.Context, token string) (scope.Principal, int32, error) {
	if u.open.Load() {
		return u.anybody, u.tenant, nil
	}
	return u.Tokens.Verify(ctx, token)
}

// BenchmarkChecks_Mixed is the mixed load of `ward load records` (90 % reads and searches, 10 % creates) over HTTP, on the whole product, with the OAuth tokens of
// clinicians' apps and every check on, beside the same with the checks short-circuited: no token is looked up and whoever asks may do everything. The two take turns, a
// few seconds each; throughput is the median of what is left by checking, round by round, and shall be 0.85 at least. "all" is a tenant whose clinicians see all charts, "care"
// one in which they see those in their care, here everybody. Run it with -benchtime 9x or so.
func BenchmarkChecks_Mixed(b *testing.B) {
	for _, reach := range []tenancy.ClinicianAccess{"", tenancy.ChartsInCare} {
		b.Run(map[tenancy.ClinicianAccess]string{"": "all", tenancy.ChartsInCare: "care"}[reach], func(b *testing.B) {
			b.Run(db.SQLite, func(b *testing.B) { benchChecks(b, embedded(b), reach) })
			if testenv.Has("WARD_TEST_POSTGRES") {
				b.Run(db.PostgreSQL, func(b *testing.B) {
					c := embedded(b)
					c.DB.URL, c.DB.Migrate = dbtest.PostgresURL(b), true
					benchChecks(b, c, reach)
				})
			}
		})
	}
}

func benchChecks(b *testing.B, c app.Config, reach tenancy.ClinicianAccess) {
	b.Helper()
	a, err := app.Open(b.Context(), c, app.Options{Version: "bench", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := a.Stop(context.WithoutCancel(b.Context())); err != nil {
			b.Error(err)
		}
	})
	who := &unless{Tokens: a.Verifier}
	a.AskWho(who)
	if err := a.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	tenant, err := a.Tenants.Create(b.Context(), "general", "", tenancy.Settings{ClinicianAccess: reach})
	if err != nil {
		b.Fatal(err)
	}
	h := &hospital{t: b, app: a, tenant: tenant, ctx: scope.WithTenant(b.Context(), tenant.Tenant)}
	population := wardload.Population{Patients: 500, Observations: 20_000}
	base := "http://" + a.Addr() + "/t/general/fhir"
	admin, err := wardload.ParseTarget(base, h.token(access.Admin))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := wardload.Prepare(b.Context(), admin, population, 8, io.Discard); err != nil {
		b.Fatal(err)
	}
	if reach == tenancy.ChartsInCare {
		h.careForAll(population.Patients)
	}
	doctor := h.staff(people.Invitation{Email: "doctor@example.org", Role: access.Clinician, Reference: "Practitioner/load-practitioner-0"})
	tokens := h.portal("openid user/*.cruds offline_access").let(h.signIn(doctor), "openid user/*.cruds")
	target, err := wardload.ParseTarget(base, tokens.Access)
	if err != nil {
		b.Fatal(err)
	}
	if who.anybody, who.tenant, err = a.Verifier.Verify(b.Context(), tokens.Access); err != nil {
		b.Fatal(err)
	}
	who.anybody.Rights = access.WithRights(scope.Principal{Role: access.System}).Rights
	work, err := wardload.Select([]string{"mixed"})
	if err != nil {
		b.Fatal(err)
	}
	seed := uint64(0)
	throughput := func(open bool, d time.Duration) float64 {
		who.open.Store(open)
		seed++
		var got wardload.Run
		err := wardload.Records(b.Context(), target, wardload.Options{
			Population: population, Workloads: work, Connections: []int{16}, Duration: d, Warmup: 500 * time.Millisecond, IDs: 5000, Seed: seed,
		}, func(r wardload.Run) { got = r })
		if err != nil || got.Errors > 0 {
			b.Fatal(err, got.Errors, got.FirstError)
		}
		return got.PerSecond
	}
	throughput(true, time.Second)
	throughput(false, time.Second)
	var on, off, left []float64
	for n := 0; b.Loop(); n++ {
		var took [2]float64
		for turn := range 2 { // in changing order: who comes second finds warmer memory, and more to search
			i := (turn + n) % 2
			took[i] = throughput(i == 1, 3*time.Second)
		}
		on, off, left = append(on, took[0]), append(off, took[1]), append(left, took[0]/took[1])
	}
	b.ReportMetric(middle(left), "throughput")
	b.ReportMetric(middle(on), "checked/s")
	b.ReportMetric(middle(off), "unchecked/s")
}

// careForAll makes the clinician of the benchmark one of the team of every patient.
func (h *hospital) careForAll(patients int) {
	h.t.Helper()
	admin := h.token(access.Admin)
	members := ""
	for i := range patients {
		if i > 0 {
			members += ","
		}
		members += fmt.Sprintf(`{"entity":{"reference":"Patient/load-patient-%d"}}`, i)
	}
	body := `{"resourceType":"Group","id":"panel","type":"person","actual":true,"managingEntity":{"reference":"Practitioner/load-practitioner-0"},"member":[` + members + `]}`
	if status, answer := h.send(admin, "PUT", "fhir/Group/panel", body); status != 201 {
		h.t.Fatal(status, answer)
	}
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}
