package booking

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/sight"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/seal"
)

// once is a call's Idempotency-Key.
type once struct {
	key, request [32]byte
	first        *firstAnswer // when the call was made before
}

// firstAnswer is what a call was answered: an Appointment, or why not.
type firstAnswer struct {
	other  bool // it was another request that came with the key
	status int
	body   []byte
}

// refused is a refusal as it is kept.
type refused struct {
	Message string         `json:"message"`
	Details []fault.Detail `json:"details,omitempty"`
}

// again gives the answer once more.
func (f *firstAnswer) again() ([]byte, error) {
	if f.other {
		return nil, errOtherRequest()
	}
	if f.status == http.StatusOK {
		return f.body, nil
	}
	var r refused
	if json.Unmarshal(f.body, &r) != nil {
		r.Message = string(f.body) // of an earlier version
	}
	for _, code := range fault.Codes() {
		if code.Status() == f.status {
			return nil, fault.New(code, "%s", r.Message).Detail(r.Details...)
		}
	}
	return nil, fault.Internal("a first answer can't be read")
}

// onceOf is a key as it counts for whoever asks: the same person through another app, or with another patient chosen or other scopes granted, is
// another.
func onceOf(p *scope.Principal, key string, request []byte) *once {
	parts := []string{p.ID, p.Role, p.Client, p.Patient, p.Scopes, key}
	return &once{key: sha256.Sum256([]byte(strings.Join(parts, "\x00"))), request: sha256.Sum256(request)}
}

// replay gives a first answer once more, if the caller may still touch what it is about, and records that it was read.
//
// Errors: that of the first answer; NotFound.
func (b *Service) replay(ctx context.Context, first *firstAnswer) ([]byte, error) {
	appointment, err := first.again()
	if err != nil {
		return nil, err
	}
	var a struct{ ID string }
	if err := json.Unmarshal(appointment, &a); err != nil {
		return nil, fault.Internal("a first answer can't be read").With(err)
	}
	v, _, err := b.permitted(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	e := audit.Event{Action: audit.Read, Type: "Appointment", ID: v.id, Detail: "first answer"}
	if patient, ok := sight.Patient(v.Patient); ok {
		e.Patients = []string{patient}
	}
	return appointment, b.deps.Audit.Record(ctx, e)
}

func openAnswer(key *seal.Key, o *once, sealed []byte) ([]byte, error) {
	return key.Open(nil, sealed, label("calendar_once", string(o.key[:])))
}

// remember finds the first answers to calls that were made before.
func (g *group) remember(ctx context.Context, tx db.Tx) error {
	var keys [][]byte
	var acts []*act
	for _, a := range g.acts {
		if a.once != nil {
			keys, acts = append(keys, a.once.key[:]), append(acts, a)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return tx.Lookup(ctx, db.Lookup{Table: "calendar_once", Want: []string{"request", "status", "answer"}, Keys: []db.Column{db.Col("key", keys)}}, func(i int, r db.Row) error {
		body, err := openAnswer(g.key, acts[i].once, r.Bytes(2))
		if err != nil {
			return err
		}
		first := &firstAnswer{status: int(r.Int64(1)), body: body}
		if !bytes.Equal(r.Bytes(0), acts[i].once.request[:]) {
			first = &firstAnswer{other: true}
		}
		acts[i].once.first = first
		return nil
	})
}

func errOtherRequest() error {
	return fault.Unprocessable("the Idempotency-Key came with another request before: use a new key for a new request")
}

// repeats says that the act was answered before, or is answered by another of the group.
func (g *group) repeats(i int) bool {
	a := g.acts[i]
	if a.once == nil {
		return false
	}
	if a.once.first != nil {
		return true
	}
	if g.answered[a.once.key] != nil {
		g.results[i] = raced() // the first of both is answered with this transaction; the second then finds its answer
		return true
	}
	g.answered[a.once.key] = a
	return false
}

// keep stores the first answers.
func (g *group) keep(ctx context.Context, tx db.Tx, refusals []*act) error {
	var keys, requests, answers [][]byte
	var statuses []int32
	var made []int64
	add := func(o *once, status int32, answer []byte) {
		keys, requests, answers = append(keys, o.key[:]), append(requests, o.request[:]), append(answers, g.key.Seal(nil, answer, label("calendar_once", string(o.key[:]))))
		statuses, made = append(statuses, status), append(made, g.now)
	}
	for i, a := range g.acts {
		switch {
		case a.once == nil:
		case a.is != nil:
			add(a.once, http.StatusOK, a.answer)
		case slices.Contains(refusals, a):
			text, err := json.Marshal(refused{fault.Message(g.results[i]), fault.Details(g.results[i])})
			if err != nil {
				return fault.Internal("a refusal can't be written").With(err)
			}
			add(a.once, int32(fault.CodeOf(g.results[i]).Status()), text) //nolint:gosec // below 600
		}
	}
	if len(keys) == 0 {
		return nil
	}
	n, err := tx.InsertNew(ctx, "calendar_once", db.Col("key", keys), db.Col("request", requests), db.Col("status", statuses), db.Col("made", made), db.Col("answer", answers))
	if err == nil && n != int64(len(keys)) {
		return raced()
	}
	return err
}

// before gives the first answer to a call that was made before, so that its rules are not asked again; nil when it was not.
func (b *Service) before(c *call) (first *firstAnswer, err error) {
	if c.once == nil {
		return nil, nil //nolint:nilnil // no key
	}
	key, err := b.deps.Keys.For(c.ctx)
	if err != nil {
		return nil, err
	}
	err = b.deps.DB.Read(c.ctx, func(ctx context.Context, q db.Querier) error {
		first = nil
		return q.Query(ctx, `SELECT request, status, answer FROM calendar_once WHERE key = $1`, func(r db.Row) error {
			if [sha256.Size]byte(r.Bytes(0)) != c.once.request {
				first = &firstAnswer{other: true}
				return nil
			}
			body, err := openAnswer(key, c.once, r.Bytes(2))
			first = &firstAnswer{status: int(r.Int64(1)), body: body}
			return err
		}, c.once.key[:])
	})
	return first, err
}
