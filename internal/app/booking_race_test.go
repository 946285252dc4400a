package app

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ward/internal/backend/db/dbtest"
)

// TestBooking_Rush: 500 clients race for 100 slots of one clinician. Exactly 100 win, the others are told that it is taken, and nothing else.
func TestBooking_Rush(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		c.rush(t, 100, 500)
		c.truth(t)
	})
}

// rush lets clients race for slots of 5 minutes, and says how long they took.
func (c *clinic) rush(t testing.TB, slots, clients int) time.Duration {
	t.Helper()
	c.must(t, 204, "admin", "PUT", "/calendar/services/shot", `{"title":"Shot","minutes":5}`)
	c.do(t, "admin", "PUT", "/calendar/availability/dr", strings.NewReplacer(`"visit"`, `"shot"`, `"17:00"`, `"18:20"`).Replace(weekdays))
	for n := range clients {
		c.put(t, fmt.Sprintf("Patient/r%d", n), `"birthDate":"1980-05-05"`)
	}
	return c.race(t, "2026-01-06", slots, clients)
}

// race lets clients race for the slots of a day.
func (c *clinic) race(t testing.TB, day string, slots, clients int) time.Duration {
	t.Helper()
	return raceOn(t, []*clinic{c}, day, slots, clients)
}

// raceOn is race, by processes in turn.
func raceOn(t testing.TB, processes []*clinic, day string, slots, clients int) time.Duration {
	t.Helper()
	starts := processes[0].free(t, day+"T05:00:00Z", day+"T23:59:00Z")
	if len(starts) < slots {
		t.Fatalf("only %d slots are free", len(starts))
	}
	var wg sync.WaitGroup
	var won, lost atomic.Int64
	var bodies []string
	for n := range clients {
		body := strings.Replace(ask(starts[n%slots], fmt.Sprintf("Patient/r%d", n)), `"visit"`, `"shot"`, 1)
		bodies = append(bodies, strings.Replace(body, `"code":"visit"`, `"code":"shot"`, 1))
	}
	began := time.Now()
	for n := range clients {
		wg.Go(func() {
			switch r := processes[n%len(processes)].do(t, "frontdesk", "POST", book, bodies[n]); r.status {
			case 200:
				won.Add(1)
			case 409:
				lost.Add(1)
			default:
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if won.Load() != int64(slots) || lost.Load() != int64(clients-slots) {
		t.Errorf("%d won and %d lost, want %d and %d", won.Load(), lost.Load(), slots, clients-slots)
	}
	return took
}

// TestBooking_RushOnTwoProcesses: the same through two processes on one PostgreSQL, which know nothing of each other.
func TestBooking_RushOnTwoProcesses(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	first := newClinic(t, d)
	second := clinicOn(t, d, first.clock, first.sent)
	first.rush(t, 100, 500)
	raceOn(t, []*clinic{first, second}, "2026-01-07", 100, 500)
	first.truth(t)
}

// TestBooking_TwoProcesses: two processes on one PostgreSQL book, move and cancel at once: no error but 409, no deadlock, and the records are true.
func TestBooking_TwoProcesses(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	first := newClinic(t, d)
	second := clinicOn(t, d, first.clock, first.sent)
	hammer(t, []*clinic{first, second}, 8, 30)
	first.truth(t)
}

// TestBooking_Hammer is the same in one process, on both databases.
func TestBooking_Hammer(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		hammer(t, []*clinic{c}, 8, 30)
		c.truth(t)
	})
}

// hammer books, holds, moves and cancels few slots of one clinician, one room and few patients from many clients.
func hammer(t *testing.T, processes []*clinic, clients, rounds int) {
	t.Helper()
	starts := processes[0].free(t, "2026-01-06T00:00:00-05:00", "2026-01-06T11:00:00-05:00")
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			c := processes[n%len(processes)]
			r := rand.New(rand.NewPCG(uint64(n), 3)) //nolint:gosec // reproducible
			mine := ""
			for range rounds {
				var got clinicReply
				start := starts[r.IntN(len(starts))]
				patient := fmt.Sprintf("Patient/p%d", r.IntN(5))
				room := []string{"Location/room", "Practitioner/interpreter", ""}[r.IntN(3)]
				switch {
				case mine == "" && r.IntN(2) == 0:
					got = c.do(t, "frontdesk", "POST", book, ask(start, patient, room))
				case mine == "":
					got = c.do(t, "frontdesk", "POST", hold, ask(start, patient, room))
					if got.status == 200 {
						got = c.do(t, "frontdesk", "POST", book, byReference(got.one(t).ID))
					}
				case r.IntN(2) == 0:
					got = c.do(t, "frontdesk", "POST", reschedule, byReference(mine, "start", start))
				default:
					got = c.do(t, "frontdesk", "POST", cancel, byReference(mine))
					mine = ""
				}
				switch got.status {
				case 200:
					if a := got.one(t); a.Status == "booked" {
						mine = a.ID
					}
				case 409:
				default:
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
}
