package clock_test

import (
	"testing"
	"time"

	"ward/internal/base/clock"
)

func TestManual(t *testing.T) {
	t.Parallel()
	start := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	c := clock.NewManual(start)
	c.Advance(time.Minute)
	if got := c.Now().Sub(start); got != time.Minute {
		t.Errorf("advanced by %v", got)
	}
	c.Set(start)
	if !c.Now().Equal(start) {
		t.Errorf("stands at %v", c.Now())
	}
}

func TestSystem_Moves(t *testing.T) {
	t.Parallel()
	c := clock.System()
	if a, b := c.Now(), c.Now(); b.Before(a) {
		t.Errorf("%v is before %v", b, a)
	}
}
