package limit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"ward/internal/base/clock"
	"ward/internal/base/fault"
	"ward/internal/kernel/limit"
)

// TestRates_HoldEachTenantToItsOwn: so many a second over ten seconds, half a second's worth more at the beginning, and none of another's.
func TestRates_HoldEachTenantToItsOwn(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []int64{1, 3, 50, 1000} {
		synctest.Test(t, func(t *testing.T) {
			r := limit.NewRates(clock.System())
			let, refused := int64(0), 0
			for range 10 * 2000 {
				switch err := r.Take(7, perSecond); {
				case err == nil:
					let++
				case !fault.Is(err, fault.CodeExhausted) || fault.RetryAfter(err) <= 0:
					t.Fatal(err)
				default:
					refused++
				}
				if err := r.Take(8, 2000); err != nil {
					t.Fatalf("another tenant: %v", err)
				}
				time.Sleep(time.Second / 2000)
			}
			if most := 10*perSecond + max(perSecond/2, 1); let < 10*perSecond || let > most || refused == 0 {
				t.Errorf("%d a second: %d in ten seconds, %d refused", perSecond, let, refused)
			}
		})
	}
}

func TestRates_SayWhenToComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := limit.NewRates(clock.System())
		if err := r.Take(1, 1); err != nil {
			t.Fatal(err)
		}
		err := r.Take(1, 1)
		time.Sleep(fault.RetryAfter(err))
		if again := r.Take(1, 1); again != nil {
			t.Errorf("told %v, then %v", err, again)
		}
	})
}
