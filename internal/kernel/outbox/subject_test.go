package outbox_test

import (
	"testing"

	"ward/internal/kernel/outbox"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		pattern, subject string
		want             bool
	}{
		{"records.changed", "records.changed", true},
		{"records.changed", "records.changed.more", false},
		{"records.changed", "records", false},
		{"records.*", "records.changed", true},
		{"records.*", "records", false},
		{"records.*", "records.a.b", false},
		{"*.changed", "records.changed", true},
		{"records.>", "records.changed", true},
		{"records.>", "records.a.b", true},
		{"records.>", "records", false},
		{">", "records", true},
		{">", "a.b.c", true},
		{"*", "a.b", false},
	} {
		if got := outbox.Matches(row.pattern, row.subject); got != row.want {
			t.Errorf("%s of %s: %v", row.subject, row.pattern, got)
		}
	}
}

func TestCheckSubject(t *testing.T) {
	t.Parallel()
	for subject, fine := range map[string]bool{
		"records.changed": true, "a": true, "a-b.c2": true, "": false, ".": false, "a.": false, ".a": false, "a..b": false, "A": false, "a b": false, "a.*": false, ">": false, "a\n": false,
	} {
		if err := outbox.CheckSubject(subject, false); (err == nil) != fine {
			t.Errorf("%q: %v", subject, err)
		}
	}
	for pattern, fine := range map[string]bool{"a.*": true, "*.b": true, ">": true, "a.>": true, ">.a": false, "a.>.b": false, "a*": false} {
		if err := outbox.CheckSubject(pattern, true); (err == nil) != fine {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
