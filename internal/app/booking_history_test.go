package app

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
)

// bookingOp is what a client does to one clinician's slots.
type bookingOp struct {
	kind     string // "book", "over", "hold", "confirm", "cancel", "move", "later"
	slot, to int
	visit    string // confirm, cancel and move: which
}

type bookingResult struct {
	won   bool
	visit string // that was made
}

const (
	slotCount = 4
	seatCount = 9 // one, and eight that may be overbooked
)

// bookingState is who has each seat of each slot: a visit's id, with a mark while it is only held. over are holds that ended by themselves.
type bookingState struct {
	seats [slotCount][seatCount]string
	over  string
}

const heldMark = "held "

// find is where a visit is.
func (s *bookingState) find(visit string) (slot, seat int, ok bool) {
	for i := range s.seats {
		for k, v := range s.seats[i] {
			if v == visit {
				return i, k, true
			}
		}
	}
	return 0, 0, false
}

// bookings is the sequential specification: a slot has one visit, and eight more when that is wanted; a hold ends with its time.
func bookings() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return bookingState{} },
		Step: func(state, input, output any) (bool, any) {
			st, in, out := state.(bookingState), input.(bookingOp), output.(bookingResult)
			ok := st.step(in, out)
			return ok, st
		},
		Equal: func(a, b any) bool { return a.(bookingState) == b.(bookingState) },
	}
}

// step does what a client did and says whether it could have come out so.
func (s *bookingState) step(in bookingOp, out bookingResult) bool {
	put := func(slot, seats int, what string) bool {
		for k := range seats {
			if s.seats[slot][k] == "" {
				if out.won {
					s.seats[slot][k] = what
				}
				return out.won
			}
		}
		return !out.won
	}
	switch in.kind {
	case "book":
		return put(in.slot, 1, out.visit)
	case "over":
		return put(in.slot, seatCount, out.visit)
	case "hold":
		return put(in.slot, 1, heldMark+out.visit)
	case "later":
		for i := range s.seats {
			for k, v := range s.seats[i] {
				if strings.HasPrefix(v, heldMark) {
					s.seats[i][k] = ""
					s.over += v + ";"
				}
			}
		}
		return true
	case "confirm":
		slot, seat, ok := s.find(heldMark + in.visit)
		if ok && out.won {
			s.seats[slot][seat] = in.visit
		}
		return ok == out.won
	case "cancel":
		for _, mark := range []string{"", heldMark} {
			if slot, seat, ok := s.find(mark + in.visit); ok {
				if out.won {
					s.seats[slot][seat] = ""
				}
				return out.won
			}
		}
		// A hold that is over can be let go until somebody noticed.
		return !out.won || strings.Contains(s.over, heldMark+in.visit+";")
	default: // move, to the first seat
		slot, seat, ok := s.find(in.visit)
		free := ok && (s.seats[in.to][0] == "" || s.seats[in.to][0] == in.visit)
		if free && out.won {
			s.seats[slot][seat] = ""
			s.seats[in.to][0] = in.visit
		}
		return free == out.won
	}
}

// TestBooking_Linearizable: concurrent books, overbooks, holds, confirmations, cancellations and moves of a few slots happen as if one after the other, while holds end by
// themselves.
func TestBooking_Linearizable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := newClinic(t, d)
		linearizable(t, []*clinic{c}, 11)
	})
}

// TestBooking_LinearizableOnTwoProcesses: the same by two processes on one PostgreSQL.
func TestBooking_LinearizableOnTwoProcesses(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	c := newClinic(t, d)
	linearizable(t, []*clinic{c, clinicOn(t, d, c.clock, c.sent)}, 12)
}

// history is what clients did, and which visits there are.
type history struct {
	mu     sync.Mutex
	began  time.Time
	ops    []porcupine.Operation
	visits []string
}

func linearizable(t *testing.T, processes []*clinic, seed uint64) {
	t.Helper()
	c := processes[0]
	const clients, rounds = 6, 25
	for n := range clients * rounds {
		c.put(t, fmt.Sprintf("Patient/l%d", n), `"birthDate":"1980-05-05"`)
	}
	starts := c.free(t, "2026-01-06T00:00:00-05:00", "2026-01-06T11:00:00-05:00")[:slotCount]
	h := &history{began: time.Now()}
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(client), seed)) //nolint:gosec // reproducible
			for round := range rounds {
				// Nobody is ever in two visits: every act has a patient of its own.
				h.act(t, processes[client%len(processes)], r, client, starts, fmt.Sprintf("Patient/l%d", client*rounds+round))
			}
		})
	}
	wg.Wait()
	if result := porcupine.CheckOperationsTimeout(bookings(), h.ops, 60*time.Second); result != porcupine.Ok {
		t.Errorf("the history of %d acts is %s", len(h.ops), result)
	}
	c.truth(t)
}

// act does something, and notes what came of it.
func (h *history) act(t *testing.T, c *clinic, r *rand.Rand, client int, starts []string, patient string) {
	t.Helper()
	kinds := []string{"book", "book", "over", "hold", "hold", "confirm", "confirm", "cancel", "cancel", "cancel", "move", "move", "later"}
	in := bookingOp{kind: kinds[r.IntN(len(kinds))], slot: r.IntN(slotCount), to: r.IntN(slotCount)}
	h.mu.Lock()
	if n := len(h.visits); n > 0 {
		in.visit = h.visits[max(0, n-1-r.IntN(6))]
	} else if in.kind == "confirm" || in.kind == "cancel" || in.kind == "move" {
		in.kind = "book"
	}
	h.mu.Unlock()
	call := time.Since(h.began).Nanoseconds()
	got := clinicReply{status: 200}
	switch in.kind {
	case "book":
		got = c.do(t, "frontdesk", "POST", book, ask(starts[in.slot], patient))
	case "over":
		got = c.do(t, "admin", "POST", book+"?overbook=true", ask(starts[in.slot], patient))
	case "hold":
		got = c.do(t, "frontdesk", "POST", hold, ask(starts[in.slot], patient))
	case "confirm":
		got = c.do(t, "frontdesk", "POST", book, byReference(in.visit))
	case "cancel":
		got = c.do(t, "frontdesk", "POST", cancel, byReference(in.visit))
	case "move":
		got = c.do(t, "frontdesk", "POST", reschedule, byReference(in.visit, "start", starts[in.to]))
	case "later":
		c.clock.Advance(11 * time.Minute)
	}
	out := bookingResult{won: got.status == 200}
	switch {
	case out.won && in.kind != "later":
		out.visit = got.one(t).ID
	case !out.won && got.status != 409:
		t.Errorf("%s: %d %s", in.kind, got.status, got.body)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: time.Since(h.began).Nanoseconds()})
	if out.won && (in.kind == "book" || in.kind == "hold" || in.kind == "over") {
		h.visits = append(h.visits, out.visit)
	}
}
