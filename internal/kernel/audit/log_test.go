package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

func TestLog_ReadsAndWritesAreFoundByPatientUserAndTime(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		h.record(ctx, audit.Event{Action: audit.Read, Type: "Observation", ID: "o1", Version: 3, Patients: []string{"p1"}})
		h.flush()
		h.now.Advance(time.Minute)
		if err := h.write(ctx, h.log,
			audit.Event{Action: audit.Create, Type: "Observation", ID: "o2", Version: 1, Patients: []string{"p1"}},
			audit.Event{Action: audit.Update, Type: "Patient", ID: "p2", Version: 2, Patients: []string{"p2"}, By: scope.Principal{ID: "client/lab", Role: "integration"}},
		); err != nil {
			t.Fatal(err)
		}
		h.now.Advance(time.Minute)
		h.record(ctx, audit.Event{Action: audit.Search, Type: "Patient", Query: "name=Smith&_count=5", Patients: []string{"p1", "p2"}, Count: 2})
		h.record(h.as(2, grey()), audit.Event{Action: audit.Read, Type: "Patient", ID: "p1", Patients: []string{"p1"}})

		names := func(q audit.Query) string {
			var out []string
			for _, e := range h.find(ctx, q) {
				out = append(out, e.Action.String()+" "+e.Type+"/"+e.Event.ID)
			}
			return strings.Join(out, ", ")
		}
		began := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
		for _, row := range []struct {
			q    audit.Query
			want string
		}{
			{audit.Query{}, "search Patient/, update Patient/p2, create Observation/o2, read Observation/o1"},
			{audit.Query{Patient: "p1"}, "search Patient/, create Observation/o2, read Observation/o1"},
			{audit.Query{Patient: "p2"}, "search Patient/, update Patient/p2"},
			{audit.Query{Patient: "p3"}, ""},
			{audit.Query{By: "user/7"}, "search Patient/, create Observation/o2, read Observation/o1"},
			{audit.Query{By: "Practitioner/7", Patient: "p2"}, "search Patient/"},
			{audit.Query{By: "client/lab"}, "update Patient/p2"},
			{audit.Query{Action: audit.Create}, "create Observation/o2"},
			{audit.Query{From: began.Add(time.Minute), Until: began.Add(2 * time.Minute)}, "update Patient/p2, create Observation/o2"},
			{audit.Query{Address: "203.0.113.9", Patient: "p2", Action: audit.Search}, "search Patient/"},
			{audit.Query{Address: "203.0.113.10"}, ""},
		} {
			if got := names(row.q); got != row.want {
				t.Errorf("%+v: %s\nwant %s", row.q, got, row.want)
			}
		}
		if r := h.proven(ctx); r.Events != 4 || r.Unlinked != 0 {
			t.Errorf("%+v", r)
		}
		if e := h.find(ctx, audit.Query{Action: audit.Read})[0]; e.By.ID != "user/7" || e.By.Client != "portal" || e.Request != "r-1" || e.Version != 3 || !e.Time.Equal(began) {
			t.Errorf("%+v", e)
		}
	})
}

func TestLog_PagesNeitherRepeatNorSkip(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		var want []string
		for i := range 60 {
			e := audit.Event{Action: audit.Read, Type: "Patient", ID: fmt.Sprint("p", i), Patients: []string{"p"}}
			if i%7 == 0 {
				if err := h.write(ctx, h.log, e); err != nil {
					t.Fatal(err)
				}
			} else {
				h.record(ctx, e)
			}
			if i%13 == 0 {
				h.flush()
			}
			h.now.Advance(time.Millisecond)
			want = append(want, e.ID)
		}
		for _, q := range []audit.Query{{Count: 7}, {Count: 7, Patient: "p"}, {Count: 1, By: "user/7"}} {
			var got []string
			for {
				p, err := h.log.Find(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range p.Entries {
					got = append(got, e.Event.ID)
				}
				if p.Next == "" {
					break
				}
				q.After = p.Next
			}
			slices.Sort(got)
			sorted := slices.Sorted(slices.Values(want))
			if !slices.Equal(got, sorted) {
				t.Errorf("%+v: %d events: %v", q, len(got), got)
			}
		}
		if _, err := h.log.Find(ctx, audit.Query{After: "x"}); !fault.Is(err, fault.CodeInvalid) {
			t.Error(err)
		}
	})
}

func TestLog_AWriteThatFailsLeavesNoEvent(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		failure := errors.New("no")
		err := h.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			if err := h.log.RecordIn(ctx, tx, audit.Event{Action: audit.Create, Type: "Patient", ID: "p"}); err != nil {
				return err
			}
			return failure
		})
		if !errors.Is(err, failure) {
			t.Error(err)
		}
		if found := h.find(ctx, audit.Query{}); len(found) != 0 {
			t.Errorf("%+v", found)
		}
		if err := h.log.RecordIn(t.Context(), nil, audit.Event{}); !fault.Is(err, fault.CodeInternal) {
			t.Errorf("without a scope: %v", err)
		}
		if err := h.log.Record(t.Context(), audit.Event{}); !fault.Is(err, fault.CodeInternal) {
			t.Errorf("without a scope: %v", err)
		}
	})
}

// Nothing that is kept holds what a client sent: names, addresses, values of search parameters.
func TestLog_KeepsNoContent(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		secrets := []string{"Featherstone", "1951-02-03", "203.0.113.9", "featherstone"}
		h.record(ctx,
			audit.Event{Action: audit.Search, Type: "Patient", Query: "name=Featherstone&birthdate=1951-02-03&Featherstone&_count=Featherstone"},
			audit.Event{Action: audit.Search, Type: "Patient", Query: "name:exact=Featherstone&featherstone=1&patient.name=Featherstone"})
		h.flush()
		for _, table := range []string{"SELECT body FROM audit_event", "SELECT body FROM audit_link"} {
			err := h.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
				return q.Query(ctx, table, func(r db.Row) error {
					for _, s := range secrets {
						if bytes.Contains(r.Bytes(0), []byte(s)) {
							t.Errorf("%s holds %s", table, s)
						}
					}
					return nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		found := h.find(ctx, audit.Query{})
		text, err := found[0].AppendJSON(nil, "ward.test")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%s in %s", s, text)
			}
		}
		// The same value has the same commitment, another tenant's has another.
		h.record(h.as(2, grey()), audit.Event{Action: audit.Search, Type: "Patient", Query: "name=Featherstone"})
		other := h.find(h.as(2, grey()), audit.Query{})[0].Query
		first, _, _ := strings.Cut(found[1].Query, "&")
		exact, _, _ := strings.Cut(found[0].Query, "&")
		if first == other || !strings.HasPrefix(first, "name=~") || strings.TrimPrefix(exact, "name:exact=") != strings.TrimPrefix(first, "name=") {
			t.Errorf("%s, %s, %s", first, exact, other)
		}
	})
}

func TestLog_ManyWritersOfOneTenant(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		logs := []*audit.Log{h.log}
		if h.db.Dialect().Name == db.PostgreSQL {
			logs = append(logs, h.open("the secret of this installation"), h.open("the secret of this installation"))
		}
		var writers sync.WaitGroup
		for w := range 12 {
			l := logs[w%len(logs)]
			writers.Go(func() {
				for i := range 20 {
					if err := h.write(ctx, l, audit.Event{Action: audit.Create, Type: "Patient", ID: fmt.Sprintf("w%d-%d", w, i), Patients: []string{"p"}}); err != nil {
						t.Error(err)
					}
					if err := l.Record(ctx, audit.Event{Action: audit.Read, Type: "Patient", ID: "p", Patients: []string{"p"}}); err != nil {
						t.Error(err)
					}
					if i%5 == 0 {
						if err := l.Flush(ctx); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		writers.Wait()
		for _, l := range logs {
			if err := l.Flush(ctx); err != nil {
				t.Error(err)
			}
		}
		if r := h.proven(ctx); r.Events != 480 || r.Unlinked != 0 || r.Lanes != int64(len(logs)) {
			t.Errorf("%+v", r)
		}
	})
}

// A process that died between a commit and its link leaves groups that the next checkpoint links.
func TestLog_WhatADeadProcessLeftIsLinked(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		dead := h.log
		h.now.Advance(time.Second)
		h.log = h.open("the secret of this installation")
		if err := h.write(ctx, dead, audit.Event{Action: audit.Create, Type: "Patient", ID: "p", Patients: []string{"p"}}); err != nil {
			t.Fatal(err)
		}
		h.record(ctx, audit.Event{Action: audit.Read, Type: "Patient", ID: "p", Patients: []string{"p"}})
		h.flush()
		if r := h.proven(ctx); r.Unlinked != 1 || r.Adopted != 0 {
			t.Errorf("%+v", r)
		}
		h.now.Advance(3 * time.Minute)
		if made, err := h.log.Checkpoint(ctx); err != nil || !made {
			t.Errorf("%v %v", made, err)
		}
		if r := h.proven(ctx); r.Unlinked != 0 || r.Adopted != 1 || r.Events != 2 || r.Checkpoints != 1 {
			t.Errorf("%+v", r)
		}
		if made, err := h.log.Checkpoint(ctx); err != nil || made {
			t.Errorf("a checkpoint of nothing new: %v %v", made, err)
		}
	})
}

func TestLog_SecurityEventsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		for range 1000 {
			h.log.Security(ctx, audit.Denied, "GET /t/{tenant}/fhir/{type}/{id}")
		}
		h.log.Security(ctx, audit.ForgedCursor, "")
		h.log.Security(t.Context(), audit.BadToken, "") // of no tenant
		h.flush()
		found := h.find(ctx, audit.Query{Action: audit.Security})
		if len(found) != 3 {
			t.Fatalf("%d events: %+v", len(found), found)
		}
		counts := map[string]int64{}
		for _, e := range found {
			counts[e.Detail] += e.Count
		}
		if counts["denied GET /t/{tenant}/fhir/{type}/{id}"] != 1000 || counts["forged-cursor"] != 1 {
			t.Errorf("%v", counts)
		}
		if of := h.find(scope.WithSystem(t.Context()), audit.Query{}); len(of) != 1 || of[0].Detail != "bad-token" {
			t.Errorf("%+v", of)
		}
		h.now.Advance(time.Hour)
		h.log.Security(ctx, audit.ForgedCursor, "")
		if n := len(h.find(ctx, audit.Query{Action: audit.Security})); n != 4 {
			t.Errorf("%d events after an hour", n)
		}
		// Whoever tries from ever new places is counted together.
		for i := range 5000 {
			h.log.Security(h.as(1, scope.Principal{ID: fmt.Sprint("user/", i)}), audit.BadPassword, "")
		}
		h.flush()
		if n := len(h.find(ctx, audit.Query{Action: audit.Security, Count: 1000})); n > 4+210 {
			t.Errorf("%d events of 5,000 tries", n)
		}
		h.proven(ctx)
	})
}

func TestEntry_IsAnAuditEventAsBALPShapesIt(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		h.record(ctx, audit.Event{Action: audit.Read, Type: "Observation", ID: "o1", Version: 3, Patients: []string{"p1"}, Emergency: true})
		var got struct {
			ResourceType, ID, Action, Outcome, Recorded string
			Meta                                        struct{ Profile []string }
			Type                                        struct{ System, Code string }
			Subtype                                     []struct{ System, Code string }
			PurposeOfEvent                              []struct{ Coding []struct{ Code string } }
			Agent                                       []struct {
				Type      struct{ Coding []struct{ Code string } }
				Who       struct{ Reference string }
				Requestor bool
			}
			Entity []struct {
				What struct {
					Reference  string
					Identifier struct{ Value string }
				}
				Type struct{ Code string }
				Role struct{ Code string }
			}
		}
		text, err := h.find(ctx, audit.Query{})[0].AppendJSON(nil, "ward.test")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got.ResourceType != "AuditEvent" || got.Meta.Profile[0] != "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead" ||
			got.Type.Code != "rest" || got.Subtype[0].Code != "read" || got.Action != "R" || got.Outcome != "0" || got.Recorded != "2026-01-31T12:00:00.000Z" ||
			got.PurposeOfEvent[0].Coding[0].Code != "BTG" {
			t.Errorf("%s", text)
		}
		if len(got.Agent) != 3 || got.Agent[0].Type.Coding[0].Code != "110152" || got.Agent[1].Type.Coding[0].Code != "110153" ||
			got.Agent[2].Type.Coding[0].Code != "IRCP" || got.Agent[2].Who.Reference != "Practitioner/7" || !got.Agent[2].Requestor {
			t.Errorf("agents of %s", text)
		}
		if len(got.Entity) != 3 || got.Entity[0].What.Identifier.Value != "r-1" || got.Entity[1].What.Reference != "Patient/p1" || got.Entity[1].Role.Code != "1" ||
			got.Entity[2].What.Reference != "Observation/o1/_history/3" || got.Entity[2].Role.Code != "4" {
			t.Errorf("entities of %s", text)
		}
	})
}
