package rule

import (
	"testing"
)

// TestAges: birthdays, leap days, and birth dates that are a year or a month only.
func TestAges(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		birth, day       string
		youngest, oldest int
	}{
		{"2008-01-06", "2026-01-06", 18, 18},
		{"2008-01-07", "2026-01-06", 17, 17},
		{"2008-02-29", "2026-02-28", 17, 17},
		{"2008-02-29", "2026-03-01", 18, 18},
		{"2008", "2026-06-01", 17, 18},
		{"2008-06", "2026-06-15", 17, 18},
		{"2026-01-06", "2026-01-06", 0, 0},
	} {
		youngest, oldest, ok := ages(row.birth, row.day)
		if !ok || youngest != row.youngest || oldest != row.oldest {
			t.Errorf("%s on %s: %d to %d, %v", row.birth, row.day, youngest, oldest, ok)
		}
	}
	if _, _, ok := ages("soon", "2026-01-01"); ok {
		t.Error("a birth date that is none")
	}
}
