package app

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

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
	starts := c.free(t, day+"T05:00:00Z", day+"T23:59:00Z")
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
			switch r := c.do(t, "frontdesk", "POST", book, bodies[n]); r.status {
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

// bookingOp is what a client does to one clinician's slots.
type bookingOp struct {
	kind     string // "book", "hold", "confirm", "cancel", "move"
	slot, to int
	visit    string // confirm, cancel and move: which
}

type bookingResult struct {
	won   bool
	visit string // that was made
}

// bookingState is who has each slot, in the order of slots: a visit's id, with a mark while it is only held.
const slotCount = 4

type bookingState [slotCount]string

// bookings is the sequential specification: a slot has one visit.
func bookings() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return bookingState{} },
		Step: func(state, input, output any) (bool, any) {
			st, in, out := state.(bookingState), input.(bookingOp), output.(bookingResult)
			find := func(visit string) int {
				for i, v := range st {
					if v == visit {
						return i
					}
				}
				return -1
			}
			switch in.kind {
			case "book", "hold":
				if !out.won {
					return st[in.slot] != "", st
				}
				if st[in.slot] != "" {
					return false, st
				}
				mark := ""
				if in.kind == "hold" {
					mark = "held "
				}
				st[in.slot] = mark + out.visit
				return true, st
			case "confirm":
				at := find("held " + in.visit)
				if !out.won {
					return at < 0, st
				}
				if at < 0 {
					return false, st
				}
				st[at] = in.visit
				return true, st
			case "cancel":
				at := max(find(in.visit), find("held "+in.visit))
				if !out.won {
					return at < 0, st
				}
				if at < 0 {
					return false, st
				}
				st[at] = ""
				return true, st
			default: // move
				at := find(in.visit)
				if !out.won {
					return at < 0 || st[in.to] != "" && in.to != at, st
				}
				if at < 0 || st[in.to] != "" && in.to != at {
					return false, st
				}
				st[at], st[in.to] = "", in.visit
				return true, st
			}
		},
		Equal: func(a, b any) bool { return a.(bookingState) == b.(bookingState) },
	}
}

// TestBooking_Linearizable: concurrent books, holds, cancels and moves of a few slots happen as if one after the other.
func TestBooking_Linearizable(t *testing.T) {
	t.Parallel()
	eachClinic(t, func(t *testing.T, c *clinic) {
		for n := range 8 {
			c.put(t, fmt.Sprintf("Patient/l%d", n), `"birthDate":"1980-05-05"`)
		}
		starts := c.free(t, "2026-01-06T00:00:00-05:00", "2026-01-06T11:00:00-05:00")[:slotCount]
		var (
			mu      sync.Mutex
			history []porcupine.Operation
			visits  []string // everybody's
			wg      sync.WaitGroup
		)
		began := time.Now()
		for client := range 6 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(client), 11)) //nolint:gosec // reproducible
				for range 25 {
					in := bookingOp{kind: []string{"book", "hold", "confirm", "cancel", "cancel", "move"}[r.IntN(6)], slot: r.IntN(slotCount), to: r.IntN(slotCount)}
					mu.Lock()
					if len(visits) > 0 {
						in.visit = visits[max(0, len(visits)-1-r.IntN(6))]
					} else if in.kind != "book" && in.kind != "hold" {
						in.kind = "book"
					}
					mu.Unlock()
					patient := fmt.Sprintf("Patient/l%d", in.slot) // never in the way: one for each slot
					call := time.Since(began).Nanoseconds()
					var got clinicReply
					switch in.kind {
					case "book":
						got = c.do(t, "frontdesk", "POST", book, ask(starts[in.slot], patient))
					case "hold":
						got = c.do(t, "frontdesk", "POST", hold, ask(starts[in.slot], patient))
					case "confirm":
						got = c.do(t, "frontdesk", "POST", book, byReference(in.visit))
					case "cancel":
						got = c.do(t, "frontdesk", "POST", cancel, byReference(in.visit))
					case "move":
						got = c.do(t, "frontdesk", "POST", reschedule, byReference(in.visit, "start", starts[in.to]))
					}
					out := bookingResult{won: got.status == 200}
					if out.won {
						out.visit = got.one(t).ID
					} else if got.status != 409 {
						t.Errorf("%s: %d %s", in.kind, got.status, got.body)
						return
					}
					mu.Lock()
					history = append(history, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: time.Since(began).Nanoseconds()})
					if out.won && (in.kind == "book" || in.kind == "hold") {
						visits = append(visits, out.visit)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if result := porcupine.CheckOperationsTimeout(bookings(), history, 20*time.Second); result == porcupine.Illegal {
			t.Error("the history is not linearizable")
		}
		c.truth(t)
	})
}
