package audit_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// story writes ten links of three events each, and a checkpoint after the eighth.
func (h *house) story(ctx context.Context) {
	h.t.Helper()
	for i := range 10 {
		h.record(ctx, audit.Event{Action: audit.Read, Type: "Patient", ID: fmt.Sprint("p", i), Patients: []string{fmt.Sprint("p", i)}})
		for j := range 2 {
			e := audit.Event{Action: audit.Create, Type: "Observation", ID: fmt.Sprintf("o%d-%d", i, j), Patients: []string{fmt.Sprint("p", i)}}
			if err := h.write(ctx, h.log, e); err != nil {
				h.t.Fatal(err)
			}
		}
		h.flush()
		h.now.Advance(time.Second)
		if i == 7 {
			if made, err := h.log.Checkpoint(ctx); err != nil || !made {
				h.t.Fatal(made, err)
			}
		}
	}
}

// tamper changes the database as somebody does who may do everything there.
func (h *house) tamper(ctx context.Context, statements ...string) {
	h.t.Helper()
	lift := []string{"DROP TRIGGER audit_event_keep", "DROP TRIGGER audit_event_stay", "DROP TRIGGER audit_index_stay", "DROP TRIGGER audit_link_keep", "DROP TRIGGER audit_link_stay"}
	if h.db.Dialect().Name == db.PostgreSQL {
		dbtest.RunAt(h.t, h.at, "GRANT UPDATE, DELETE ON ward.audit_event, ward.audit_index, ward.audit_link TO ward_app")
		lift = nil
	}
	err := h.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		for _, sql := range append(lift, statements...) {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestVerify_NamesTheFirstBrokenLink(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		nth := func(table string, n int) string {
			return fmt.Sprintf("(SELECT number FROM %s ORDER BY at, lane, number LIMIT 1 OFFSET %d)", table, n)
		}
		cases := []struct {
			name string
			link int64  // the first broken link; 0: a checkpoint's or no link's
			what string // in its sentence
			do   []string
		}{
			{"an altered row", 4, "was altered", []string{"UPDATE audit_event SET body = (SELECT body FROM audit_event ORDER BY at DESC LIMIT 1) WHERE number = " + nth("audit_event", 10)}},
			{"a removed row", 4, "is gone", []string{"DELETE FROM audit_event WHERE number = " + nth("audit_event", 10)}},
			{"two swapped rows", 2, "was altered", []string{
				"UPDATE audit_event SET body = (SELECT o.body FROM audit_event o WHERE o.number = CASE audit_event.number WHEN " + nth("audit_event", 4) + " THEN " +
					nth("audit_event", 20) + " ELSE " + nth("audit_event", 4) + " END) WHERE number IN (" + nth("audit_event", 4) + ", " + nth("audit_event", 20) + ")",
			}},
			{"a row moved in time", 2, "is gone", []string{"UPDATE audit_event SET at = at + 1 WHERE number = " + nth("audit_event", 4)}},
			{"a patient no longer found", 5, "no longer found by patient", []string{"DELETE FROM audit_index WHERE number = " + nth("audit_event", 13)}},
			{"an altered link", 3, "was altered", []string{"UPDATE audit_link SET at = at + 1 WHERE number = 3"}},
			{"a removed link", 3, "link 4 follows link 2", []string{"DELETE FROM audit_link WHERE number = 3"}},
			{"two swapped links", 3, "does not follow", []string{
				"UPDATE audit_link SET number = 100 WHERE number = 3", "UPDATE audit_link SET number = 3 WHERE number = 6", "UPDATE audit_link SET number = 6 WHERE number = 100",
			}},
			{"a link that somebody else signed", 3, "signature is not good", []string{"UPDATE audit_link SET signature = (SELECT s.signature FROM audit_link s WHERE s.number = 2) WHERE number = 3"}},
			{"a tail cut off", 8, "the checkpoint of", []string{
				"DELETE FROM audit_event WHERE at >= (SELECT at FROM audit_link WHERE number = 7)", "DELETE FROM audit_link WHERE number >= 7",
			}},
			{"everything", 8, "the checkpoint of", []string{"DELETE FROM audit_event", "DELETE FROM audit_index", "DELETE FROM audit_link"}},
		}
		for i, c := range cases {
			tenant := int32(i + 1)
			ctx := h.as(tenant, grey())
			h.story(ctx)
			if r := h.proven(ctx); r.Events != 30 || r.Links != 10 || r.Checkpoints != 1 {
				t.Fatalf("%s: %+v", c.name, r)
			}
			h.tamper(ctx, c.do...)
			r := h.verify(ctx)
			if r.Proven() {
				t.Errorf("%s: proven", c.name)
				continue
			}
			if b := r.Breaks[0]; b.Link != c.link || !strings.Contains(b.What, c.what) {
				t.Errorf("%s: %s (of %d)", c.name, b, len(r.Breaks))
			}
		}
	})
}

func TestVerify_ARowThatNobodyLinkedIsABreakInTheEnd(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		h.story(ctx)
		err := h.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO audit_event (at, lane, number, body) SELECT at + 1, lane, 77, body FROM audit_event ORDER BY at LIMIT 1")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if r := h.proven(ctx); r.Unlinked != 1 {
			t.Errorf("%+v", r)
		}
		h.now.Advance(4 * time.Hour)
		if r := h.verify(ctx); r.Proven() || !strings.Contains(r.Breaks[0].What, "in no link") {
			t.Errorf("%+v", r)
		}
	})
}

// A lane that a process has left for good can't be cut short either: those that came after it saw its head.
func TestVerify_AnOldLaneCutShort(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if h.db.Dialect().Name == db.SQLite { // one lane
			return
		}
		ctx := h.as(1, grey())
		h.story(ctx)
		h.now.Advance(time.Minute)
		h.log = h.open("the secret of this installation")
		h.record(ctx, audit.Event{Action: audit.Read, Type: "Patient", ID: "p"})
		h.flush()
		h.proven(ctx)
		h.tamper(ctx, "DELETE FROM audit_event WHERE at >= (SELECT at FROM audit_link WHERE number = 10) AND lane = (SELECT lane FROM audit_link WHERE number = 10)",
			"DELETE FROM audit_link WHERE number = 10")
		if r := h.verify(ctx); r.Proven() || r.Breaks[0].Link != 10 {
			t.Errorf("%+v", r)
		}
	})
}

func TestVerify_WhoHasTheDatabaseButNotTheSecretCannotSign(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		forger := h.open("another secret, of the same length")
		if err := forger.Record(ctx, audit.Event{Action: audit.Read, Type: "Patient", ID: "p"}); err != nil {
			t.Fatal(err)
		}
		if err := forger.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if r := h.verify(ctx); r.Proven() || !strings.Contains(r.Breaks[0].What, "not known here") {
			t.Errorf("%+v", r)
		}
		if r, err := h.log.Verify(ctx, forger.PublicKey()); err != nil || !r.Proven() {
			t.Errorf("with its public key: %+v %v", r, err)
		}
		// Another tenant's chain proves nothing of this one's.
		if r := h.proven(h.as(2, grey())); r.Links != 0 {
			t.Errorf("%+v", r)
		}
	})
}

func TestVerify_CheckpointsAreHeldAgainstTheirSignature(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		h.story(ctx)
		h.now.Advance(time.Hour)
		if made, err := h.log.Checkpoint(ctx); err != nil || !made {
			t.Fatal(made, err)
		}
		if r := h.proven(ctx); r.Checkpoints != 2 {
			t.Errorf("%+v", r)
		}
		var keys []string
		for b, err := range h.blobs.List(ctx, "audit/checkpoint", "") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, b.Key)
		}
		r, _, err := h.blobs.Get(ctx, keys[1])
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := h.blobs.Delete(ctx, keys[0]); err != nil {
			t.Fatal(err)
		}
		if r := h.verify(ctx); r.Proven() || !strings.Contains(r.Breaks[0].What, "the checkpoint before") {
			t.Errorf("a checkpoint is gone: %+v", r)
		}
		forged := strings.Replace(string(text), `"number":10`, `"number":1`, 1)
		if _, err := h.blobs.Put(ctx, keys[1], "application/json", strings.NewReader(forged), int64(len(forged))); err != nil {
			t.Fatal(err)
		}
		if r := h.verify(ctx); r.Proven() || !strings.Contains(r.Breaks[0].What, "signature of the checkpoint") {
			t.Errorf("an altered checkpoint: %+v", r)
		}
	})
}

func TestLog_IsAppendOnly(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		h.story(ctx)
		for _, table := range []string{"audit_event", "audit_index", "audit_link"} {
			for _, sql := range []string{"DELETE FROM " + table, "UPDATE " + table + " SET number = number + 1000"} {
				err := h.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
					_, err := tx.Exec(ctx, sql)
					return err
				})
				if err == nil || fault.Is(err, fault.CodeUnavailable) {
					t.Errorf("%s: %v", sql, err)
				}
			}
		}
		h.proven(ctx)
	})
}
