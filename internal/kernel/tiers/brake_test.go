package tiers

import "testing"

// TestBrake_HoldsWhatDoesNotShrink: it gets harder while the backlog grows, stays while it shrinks, and comes off when little is left.
func TestBrake_HoldsWhatDoesNotShrink(t *testing.T) {
	t.Parallel()
	var b brake
	for i, row := range []struct {
		notes int
		level int64
	}{
		{100, 0}, {400, 0}, {3000, 2}, {3500, 4}, {3000, 6}, {4000, 8}, {4000, 9}, {5000, 9}, {2000, 9}, {700, 9}, {300, 7}, {100, 5}, {0, 3}, {0, 1}, {0, 0}, {0, 0},
	} {
		if b.see(row.notes); b.level.Load() != row.level {
			t.Errorf("%d: after %d notes the brake is at %d, want %d", i, row.notes, b.level.Load(), row.level)
		}
	}
}
