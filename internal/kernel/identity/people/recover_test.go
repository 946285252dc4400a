package people_test

import (
	"context"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/module"
)

// TestRecover_DoesTheSameForEverybody: whether an address has an account is not to be told by what is done: one event of the same size is committed in any case.
func TestRecover_DoesTheSameForEverybody(t *testing.T) {
	onEach(t, func(h *house) {
		h.person("ada", people.Active)
		h.person("new", people.Invited)
		h.person("gone", people.Disabled)
		var sizes []int
		p := h.staffWith(make(chan int, 1), func(_ context.Context, _ db.Tx, events ...module.Event) error {
			for _, e := range events {
				sizes = append(sizes, len(e.Subject)+len(e.Data))
			}
			return nil
		})
		if err := p.Recover(h.ctx, h.request(), "new@example.org"); err != nil { // the first one makes the tenant's key
			h.Fatal(err)
		}
		work := map[string][2]uint64{}
		for _, who := range []string{"ada", "gone", "nobody"} {
			sizes = nil
			before := h.db.Stats()
			if err := p.Recover(h.ctx, h.request(), who+"@example.org"); err != nil {
				h.Fatal(err)
			}
			after := h.db.Stats()
			work[who] = [2]uint64{uint64(after.Reads - before.Reads), uint64(after.Writes - before.Writes)} //nolint:gosec // they grow
			if len(sizes) != 1 {
				h.Errorf("%s: %d events", who, len(sizes))
			}
		}
		if work["ada"] != work["nobody"] || work["ada"] != work["gone"] {
			h.Errorf("reads and writes: %v", work)
		}
	})
}
