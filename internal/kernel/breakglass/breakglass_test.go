package breakglass_test

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/breakglass"
	"ward/internal/kernel/module"
	"ward/internal/kernel/seal/sealtest"
)

// ward is two processes over one database.
type ward struct {
	t         *testing.T
	db        *db.DB
	now       *clock.Manual
	here      *breakglass.Glass
	there     *breakglass.Glass
	announced atomic.Int64
	told      []breakglass.Notice
	last      module.Event
}

func each(t *testing.T, test func(t *testing.T, w *ward)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Helper()
		w := &ward{t: t, db: d, now: clock.NewManual(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))}
		log, err := audit.New(audit.Deps{DB: d, Clock: w.now, Secret: []byte("the secret of this installation")})
		if err != nil {
			t.Fatal(err)
		}
		keys := sealtest.Keys(t, d)
		process := func() *breakglass.Glass {
			return breakglass.New(breakglass.Deps{
				DB: d, Keys: keys, Clock: w.now, Audit: log,
				Announce: func(_ context.Context, _ db.Tx, events ...module.Event) error {
					w.announced.Add(int64(len(events)))
					w.last = events[0]
					return nil
				},
				Notify: func(_ context.Context, n breakglass.Notice) error { w.told = append(w.told, n); return nil },
			})
		}
		w.here, w.there = process(), process()
		for name, files := range map[string]module.Module{"audit": log.Module(), "breakglass": w.here.Module()} {
			if err := d.RegisterTenant(name, files.Migrations); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.MigrateTenants(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, w)
	})
}

func (w *ward) as(tenant int32, id, role string) context.Context {
	return scope.With(w.t.Context(), scope.Scope{Tenant: scope.Tenant{ID: tenant}, Principal: scope.Principal{ID: id, Role: role}})
}

// in is the clinician user/1 in a sign-in session.
func (w *ward) in(session string) context.Context {
	return scope.With(w.t.Context(), scope.Scope{Tenant: scope.Tenant{ID: 1}, Principal: scope.Principal{ID: "user/1", Role: access.Clinician, Session: session}})
}

func (w *ward) opened(g *breakglass.Glass, ctx context.Context) []string { //nolint:revive // the glass reads better first
	w.t.Helper()
	ids, err := g.Opened(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

const why = "found unconscious in the hall"

func TestGlass_OpensForAWhileAndForOne(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		grey := w.in("s1")
		if ids := w.opened(w.there, grey); len(ids) != 0 {
			t.Errorf("before: %v", ids)
		}
		o, err := w.here.Open(grey, "p1", why, 30*time.Minute)
		if err != nil || o.Until.Sub(o.Opened) != 30*time.Minute {
			t.Fatal(o, err)
		}
		if ids := w.opened(w.here, grey); !slices.Equal(ids, []string{"p1"}) {
			t.Errorf("at once: %v", ids)
		}
		w.now.Advance(2 * time.Second)
		if ids := w.opened(w.there, grey); !slices.Equal(ids, []string{"p1"}) {
			t.Errorf("in another process after two seconds: %v", ids)
		}
		for name, other := range map[string]context.Context{"another clinician": w.as(1, "user/2", access.Clinician), "another tenant": w.as(2, "user/1", access.Clinician), "another session": w.in("s2")} {
			if ids := w.opened(w.here, other); len(ids) != 0 {
				t.Errorf("%s: %v", name, ids)
			}
		}
		w.opened(w.here, grey) // as a request does, before it records what it did
		if !w.here.Used(1, &scope.Principal{ID: "user/1", Session: "s1"}, []string{"p0", "p1"}) || w.here.Used(1, &scope.Principal{ID: "user/1", Session: "s1"}, []string{"p0"}) || w.here.Used(2, &scope.Principal{ID: "user/1", Session: "s1"}, []string{"p1"}) {
			t.Error("what was used by it is not known")
		}
		w.now.Advance(30*time.Minute - 2*time.Second - time.Millisecond)
		if ids := w.opened(w.here, grey); len(ids) != 1 {
			t.Errorf("to the last moment: %v", ids)
		}
		w.now.Advance(time.Millisecond)
		for _, g := range []*breakglass.Glass{w.here, w.there} {
			if ids := w.opened(g, grey); len(ids) != 0 || g.Used(1, &scope.Principal{ID: "user/1", Session: "s1"}, []string{"p1"}) {
				t.Errorf("after its time: %v", ids)
			}
		}
		if list, err := w.here.List(w.as(1, "user/9", access.Auditor), false, "", 10); err != nil || len(list) != 1 || list[0].Reason.Reveal() != why {
			t.Errorf("the list: %v %v", list, err)
		}
	})
}

func TestGlass_EndsEverywhereWithinTwoSeconds(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		grey := w.as(1, "user/1", access.Nurse)
		o, err := w.here.Open(grey, "p1", why, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if ids := w.opened(w.there, grey); len(ids) != 1 {
			t.Error(ids)
		}
		if err := w.here.End(w.as(1, "user/2", access.Nurse), o.ID); !fault.Is(err, fault.CodeNotFound) {
			t.Errorf("somebody else ends it: %v", err)
		}
		for range 2 {
			if err := w.here.End(grey, o.ID); err != nil {
				t.Error(err)
			}
		}
		if ids := w.opened(w.here, grey); len(ids) != 0 {
			t.Errorf("at once: %v", ids)
		}
		w.now.Advance(2 * time.Second)
		if ids := w.opened(w.there, grey); len(ids) != 0 {
			t.Errorf("in another process after two seconds: %v", ids)
		}
	})
}

func TestGlass_WhoMayAndWhoSignsOff(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		for _, role := range access.Roles() {
			_, err := w.here.Open(w.as(1, "user/"+role, role), "p1", why, time.Minute)
			if may := role == access.Clinician || role == access.Nurse || role == access.System; may != (err == nil) {
				t.Errorf("%s opens: %v", role, err)
			}
		}
		o, err := w.here.Open(w.as(1, "user/1", access.Clinician), "p1", why, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			ctx     context.Context
			verdict string
			code    fault.Code
		}{
			{w.as(1, "user/2", access.Clinician), "fine", fault.CodeDenied},
			{w.as(1, "user/1", access.Admin), "fine", fault.CodeDenied}, // the same person, by now an administrator
			{w.as(1, "user/3", access.Auditor), " ", fault.CodeInvalid},
			{w.as(2, "user/3", access.Auditor), "fine", fault.CodeNotFound},
		} {
			if err := w.here.Review(row.ctx, o.ID, row.verdict); !fault.Is(err, row.code) {
				t.Errorf("%v, want %v", err, row.code)
			}
		}
		if err := w.here.Review(w.as(1, "user/3", access.Auditor), o.ID, "fine"); err != nil {
			t.Error(err)
		}
	})
}

func TestGlass_TheReasonIsKeptSealedAndThePrivacyOfficerHearsWithoutIt(t *testing.T) {
	each(t, func(t *testing.T, w *ward) {
		grey := w.as(1, "user/1", access.Clinician)
		o, err := w.here.Open(grey, "p1", why, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if w.announced.Load() != 1 || w.last.Subject != "breakglass.opened" || bytes.Contains(w.last.Data, []byte("p1")) {
			t.Errorf("announced %d times: %s", w.announced.Load(), w.last.Data)
		}
		consumer := w.here.Module().Consumers[0]
		if err := consumer.Handle(scope.WithTenant(t.Context(), scope.Tenant{ID: 1}), w.last); err != nil {
			t.Fatal(err)
		}
		if len(w.told) != 1 || w.told[0].ID != o.ID || w.told[0].By != "user/1" || !w.told[0].Until.Equal(o.Until) {
			t.Errorf("%+v", w.told)
		}
		err = w.db.Read(grey, func(ctx context.Context, q db.Querier) error {
			return q.Query(ctx, "SELECT reason FROM breakglass_opening", func(r db.Row) error {
				if bytes.Contains(r.Bytes(0), []byte("unconscious")) {
					t.Error("the reason is in the clear")
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
