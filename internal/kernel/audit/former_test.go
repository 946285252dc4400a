package audit_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ward/internal/backend/db"
	"ward/internal/kernel/audit"
)

// TestInherit_AFormerWardsKeyProvesUntilThen: what another Ward signed proves once its key was inherited, through several Wards; what it signs later does not, and a key that nobody
// trusted has signed for is none.
func TestInherit_AFormerWardsKeyProvesUntilThen(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := h.as(1, grey())
		h.story(ctx)
		first := h.log
		broken := func(what string) {
			t.Helper()
			if r := h.verify(ctx); r.Proven() || !strings.Contains(r.Breaks[0].What, what) {
				t.Errorf("want a break that says %q: %+v", what, r)
			}
		}
		h.log = h.open("the secret of another installation")
		broken("which is not known here")
		// Somebody adds a key to those that are trusted.
		stranger, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(map[string]any{"key": []byte(first.PublicKey()), "at": 1 << 50, "heads": []any{map[string]any{"lane": "1", "number": 100, "hash": ""}}})
		if err != nil {
			t.Fatal(err)
		}
		err = h.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO audit_former (key, at, body, signature) VALUES ($1, 0, $2, $3)", []byte(stranger), body,
				ed25519.Sign(private, append([]byte("ward audit former\x00\x00\x00\x00\x01"), body...)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		broken("which is not known here")
		h.now.Advance(time.Minute)
		if err := h.log.Inherit(ctx, first.PublicKey()); err != nil {
			t.Fatal(err)
		}
		if r := h.proven(ctx); r.Former != 1 || r.Events != 30 || r.Checkpoints != 1 {
			t.Errorf("%+v", r)
		}
		// It goes on here, and then in a third Ward.
		h.now.Advance(time.Minute)
		h.story(ctx)
		if r := h.proven(ctx); r.Former != 1 || r.Events != 60 || r.Checkpoints != 2 {
			t.Errorf("%+v", r)
		}
		second := h.log
		h.log = h.open("the secret of a third installation")
		h.now.Advance(time.Minute)
		if err := h.log.Inherit(ctx, second.PublicKey()); err != nil {
			t.Fatal(err)
		}
		if err := h.log.Inherit(ctx, h.log.PublicKey()); err != nil {
			t.Fatal(err)
		}
		if r := h.proven(ctx); r.Former != 2 || r.Events != 60 {
			t.Errorf("%+v", r)
		}
		if n := len(h.find(ctx, audit.Query{Address: "203.0.113.9", Count: 100})); n != 60 {
			t.Errorf("%d events are found by an address", n)
		}
		// A Ward that the tenant has left signs what came after.
		h.now.Advance(time.Minute)
		if err := h.write(ctx, second, audit.Event{Action: audit.Read, Type: "Patient", ID: "p1"}); err != nil {
			t.Fatal(err)
		}
		if err := second.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		broken("had left by then")
	})
}
