package booking

import (
	"strings"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
)

// TestLedger: seats, all or none, holds that are over, and what becomes rows.
func TestLedger(t *testing.T) {
	t.Parallel()
	l := newLedger(1000)
	one := []want{{party: "Practitioner/a", from: 10, to: 12, seats: 1}, {party: "Patient/p", from: 10, to: 12, seats: 1}}
	claims, err := l.take("v1", one, nil, 0)
	if err != nil || len(claims) != 2 || len(l.after) != 4 {
		t.Fatal(claims, err, l.after)
	}
	both := []want{{party: "Practitioner/b", from: 11, to: 12, seats: 1}, {party: "Patient/p", from: 11, to: 12, seats: 1}}
	if _, err := l.take("v2", both, nil, 0); !fault.Is(err, fault.CodeConflict) || !strings.Contains(err.Error(), "Patient/p") || len(l.after) != 4 {
		t.Error("a part was claimed:", err, l.after)
	}
	if again, err := l.take("v1", []want{{party: "Practitioner/a", from: 11, to: 13, seats: 1}}, claims, 0); err != nil || again[0].Seat != 1 {
		t.Error("a visit is in its own way:", err)
	}
	seats := []want{{party: "Location/gym", from: 1, to: 2, seats: 2}}
	for i, want := range []int32{1, 2, 0} {
		got, err := l.take(string(rune('x'+i)), seats, nil, 0)
		if want == 0 && err == nil || want != 0 && (err != nil || got[0].Seat != want) {
			t.Errorf("seat %v %v, want %d", got, err, want)
		}
	}
	seats[0].extra = true
	if got, err := l.take("extra", seats, nil, 0); err != nil || got[0].Seat != 3 {
		t.Error(got, err)
	}
	// A hold that is over is in nobody's way once it is locked; an offer never is over by itself.
	l.known("hold", 900, []claim{{Party: "Practitioner/c", Seat: 1, From: 1, To: 3}})
	c := []want{{party: "Practitioner/c", from: 2, to: 3, seats: 1}}
	if _, err := l.take("v3", c, nil, 0); err == nil {
		t.Error("a hold that is not locked was taken")
	}
	l.over["hold"] = true
	if _, err := l.take("v3", c, nil, 0); err != nil || !l.ended["hold"] {
		t.Error(err, l.ended)
	}
	if got := availability.CellOf(-1); got != -1 {
		t.Error(got)
	}
}
