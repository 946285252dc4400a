package records

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// numbered is a resource that carries a number.
func numbered(id string, n int64) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Basic","id":"%s","code":{"text":"%d"}}`, id, n)
}

func numberIn(v *Version) int64 {
	_, rest, _ := strings.Cut(string(v.JSON), `"text":"`)
	text, _, _ := strings.Cut(rest, `"`)
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func updateBasic(t *testing.T, s *Service, ctx context.Context, json []byte, id string, match int64, absent bool) (*Change, error) {
	t.Helper()
	c, err := s.prepare(ctx, "Basic", id, OpUpdate, json)
	if err != nil {
		t.Fatal(err)
	}
	c.IfMatch, c.MustNotExist = match, absent
	return c, s.commit(ctx, c)
}

// TestIfMatch_ExactlyOneWins: of many updates that all ask for the same version, one is made.
func TestIfMatch_ExactlyOneWins(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, string(numbered("b", 0)))
		for version := int64(1); version <= 10; version++ {
			var (
				wg  sync.WaitGroup
				won atomic.Int64
			)
			for n := range int64(16) {
				wg.Go(func() {
					c, err := updateBasic(t, s, ctx, numbered("b", n), "b", version, false)
					switch {
					case err == nil && c.Version.Number == version+1 && c.Prior.Number == version:
						won.Add(1)
					case !fault.Is(err, fault.CodePrecondition):
						t.Errorf("%v %v", c.Version, err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d updates of version %d won", won.Load(), version)
			}
		}
	})
}

// TestIfNoneMatch_ExactlyOneCreates: of many creates that ask that there be nothing, one is made; also after a deletion.
func TestIfNoneMatch_ExactlyOneCreates(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		for round := range 6 {
			var (
				wg  sync.WaitGroup
				won atomic.Int64
			)
			id := fmt.Sprintf("b%d", round%3) // the second time it was deleted before
			for n := range int64(16) {
				wg.Go(func() {
					c, err := updateBasic(t, s, ctx, numbered(id, n), id, 0, true)
					switch {
					case err == nil && c.Created:
						won.Add(1)
					case !fault.Is(err, fault.CodePrecondition):
						t.Errorf("%+v %v", c.Version, err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("%d creates won", won.Load())
			}
			c, err := s.prepare(ctx, "Basic", id, OpDelete, nil)
			if err == nil {
				err = s.commit(ctx, c)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestIfMatch_NoUpdateIsLost: a counter that 16 writers raise by reading, adding one and updating what they read.
func TestIfMatch_NoUpdateIsLost(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, string(numbered("counter", 0)))
		const writers, each = 16, 8
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for done := 0; done < each; {
					v, err := s.Read(ctx, "Basic", "counter")
					if err != nil {
						t.Error(err)
						return
					}
					_, err = updateBasic(t, s, ctx, numbered("counter", numberIn(v)+1), "counter", v.Number, false)
					switch {
					case err == nil:
						done++
					case !fault.Is(err, fault.CodePrecondition):
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		v, err := s.Read(ctx, "Basic", "counter")
		if err != nil || numberIn(v) != writers*each || v.Number != writers*each+1 {
			t.Errorf("the counter is %d in version %d, want %d: %v", numberIn(v), v.Number, writers*each, err)
		}
	})
}

// TestChange_Conditions is what one change may ask of a resource, in one group with others on it.
func TestChange_Conditions(t *testing.T) {
	t.Parallel()
	type step struct {
		op     Op
		match  int64
		absent bool
		want   fault.Code // 0: made
		number int64      // of the version after it; 0: none
	}
	const never = fault.Code(0)
	for name, steps := range map[string][]step{
		"create and update":            {{OpUpdate, 0, false, never, 1}, {OpUpdate, 1, false, never, 2}, {OpPatch, 2, false, never, 3}},
		"a version that is not":        {{OpUpdate, 0, false, never, 1}, {OpUpdate, 2, false, fault.CodePrecondition, 0}, {OpUpdate, 1, false, never, 2}},
		"any version":                  {{OpUpdate, anyVersion, false, fault.CodePrecondition, 0}, {OpUpdate, 0, false, never, 1}, {OpUpdate, anyVersion, false, never, 2}},
		"no version that there is":     {{OpUpdate, noVersion, false, fault.CodePrecondition, 0}, {OpUpdate, 0, false, never, 1}, {OpUpdate, noVersion, false, fault.CodePrecondition, 0}},
		"nothing may be there":         {{OpUpdate, 0, true, never, 1}, {OpUpdate, 0, true, fault.CodePrecondition, 0}, {OpDelete, 0, false, never, 2}, {OpUpdate, 0, true, never, 3}},
		"deleting nothing":             {{OpDelete, 0, false, never, 0}, {OpDelete, 1, false, fault.CodePrecondition, 0}, {OpUpdate, 0, false, never, 1}},
		"deleting twice":               {{OpUpdate, 0, false, never, 1}, {OpDelete, 1, false, never, 2}, {OpDelete, 0, false, never, 2}, {OpUpdate, 1, false, fault.CodePrecondition, 0}, {OpUpdate, 2, false, never, 3}},
		"deleting what has moved on":   {{OpUpdate, 0, false, never, 1}, {OpUpdate, 0, false, never, 2}, {OpDelete, 1, false, fault.CodePrecondition, 0}, {OpDelete, 2, false, never, 3}},
		"a deleted one has no version": {{OpUpdate, 0, false, never, 1}, {OpDelete, 0, false, never, 2}, {OpUpdate, anyVersion, false, fault.CodePrecondition, 0}, {OpUpdate, 0, false, never, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
				for _, grouped := range []bool{false, true} {
					w := newWorld(s, freshTenant(ctx))
					var cs []*Change
					for i, st := range steps {
						json := numbered("b", int64(i))
						if st.op == OpDelete {
							json = nil
						}
						c, err := s.prepare(w.ctx, "Basic", "b", st.op, json)
						if err != nil {
							t.Fatal(err)
						}
						c.IfMatch, c.MustNotExist = st.match, st.absent
						cs = append(cs, c)
					}
					errs := make([]error, len(cs))
					if grouped {
						err := s.write(w.ctx, func(ctx context.Context, tx db.Tx) (made []*Change, err error) {
							errs, err = s.apply(ctx, tx, cs)
							return cs, err
						})
						if err != nil {
							t.Fatal(err)
						}
					} else {
						for i, c := range cs {
							errs[i] = s.commit(w.ctx, c)
						}
					}
					for i, st := range steps {
						if st.want != never && !fault.Is(errs[i], st.want) || st.want == never && errs[i] != nil {
							t.Errorf("step %d: %v, want %v", i+1, errs[i], st.want)
						}
						number := int64(0)
						if errs[i] == nil && cs[i].Version != nil {
							number = cs[i].Version.Number
						}
						if number != st.number {
							t.Errorf("step %d: version %d, want %d", i+1, number, st.number)
						}
						if errs[i] == nil {
							w.ack(t, cs[i])
						}
					}
					w.check(t)
				}
			})
		})
	}
}

// registerOp is an operation on one resource: a read, or an update that may ask for a version.
type registerOp struct {
	id     string
	write  bool
	match  int64 // 0: none
	absent bool
	value  int64
}

type registerResult struct {
	number, value int64
	refused       bool
}

type registerState struct{ number, value int64 }

// registers is the sequential specification of resources with versions: each is a register of its own.
func registers() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byID := map[string][]porcupine.Operation{}
			for _, op := range history {
				id := op.Input.(registerOp).id
				byID[id] = append(byID[id], op)
			}
			parts := make([][]porcupine.Operation, 0, len(byID))
			for _, part := range byID {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return registerState{} },
		Step: func(state, input, output any) (bool, any) {
			st, in, out := state.(registerState), input.(registerOp), output.(registerResult)
			if !in.write {
				return out.number == st.number && out.value == st.value, st
			}
			holds := (in.match == 0 || in.match == st.number) && (!in.absent || st.number == 0)
			if out.refused {
				return !holds, st
			}
			next := registerState{st.number + 1, in.value}
			return holds && out.number == next.number, next
		},
	}
}

// TestStore_Linearizable: reads, cached ones too, and conditional updates of a few resources by many clients happen as if one
// after the other.
func TestStore_Linearizable(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		var (
			mu      sync.Mutex
			history []porcupine.Operation
			values  atomic.Int64
			wg      sync.WaitGroup
		)
		began := time.Now()
		for client := range 10 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(client), 9)) //nolint:gosec // reproducible
				last := map[string]int64{}
				for range 40 {
					in := registerOp{id: fmt.Sprintf("r%d", r.IntN(3)), write: r.IntN(2) == 0}
					var out registerResult
					call := time.Since(began).Nanoseconds()
					if in.write {
						in.value = values.Add(1)
						switch r.IntN(3) {
						case 0:
							in.match = last[in.id]
						case 1:
							in.absent = r.IntN(3) == 0
						}
						c, err := updateBasic(t, s, ctx, numbered(in.id, in.value), in.id, in.match, in.absent)
						switch {
						case err == nil:
							out.number = c.Version.Number
							last[in.id] = out.number
						case fault.Is(err, fault.CodePrecondition):
							out.refused = true
						default:
							t.Error(err)
							return
						}
					} else {
						v, err := s.Read(ctx, "Basic", in.id)
						switch {
						case err == nil:
							out.number, out.value = v.Number, numberIn(v)
							last[in.id] = v.Number
						case !fault.Is(err, fault.CodeNotFound):
							t.Error(err)
							return
						}
					}
					mu.Lock()
					history = append(history, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: time.Since(began).Nanoseconds()})
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if result := porcupine.CheckOperationsTimeout(registers(), history, 10*time.Second); result == porcupine.Illegal {
			t.Error("the history is not linearizable")
		}
	})
}
