package booking

import (
	"context"
	"net/http"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/availability"
)

// Waiting is an entry of the waitlist.
type Waiting struct {
	ID       string `json:"id,omitempty"`
	Service  string `json:"service"`
	Patient  string `json:"patient"`         // FHIR reference
	Actor    string `json:"actor,omitempty"` // FHIR reference of the wanted clinician; empty: any
	Earliest string `json:"earliest"`        // RFC 3339
	Latest   string `json:"latest"`          // the visit ends by then
	State    string `json:"state,omitempty"` // "waiting", "offered", "booked", "lapsed", "left"
	Offer    string `json:"offer,omitempty"` // the Appointment that is held: book it with Appointment/$book
}

//nolint:gochecknoglobals // constant table
var entryStates = map[entryState]string{waiting: "waiting", offered: "offered", waitBooked: "booked", lapsed: "lapsed", left: "left"}

func (b *Service) handleJoin(w http.ResponseWriter, r *http.Request) error {
	body, err := readAll(r)
	if err != nil {
		return err
	}
	var e Waiting
	if err := strictJSON(body, &e); err != nil {
		return err
	}
	if e.Patient == "" {
		e.Patient = own(r.Context())
	}
	now := b.deps.Clock.Now()
	var p availability.Problems
	if !availability.IsReference(e.Patient, "Patient") {
		p.Add("patient", "must be a reference such as Patient/9")
	}
	if e.Actor != "" && !availability.IsReference(e.Actor, availability.Parties[1:]...) {
		p.Add("actor", "must be a reference such as Practitioner/7, or absent")
	}
	if !availability.ValidKey(e.Service, availability.MaxServiceID) {
		p.Add("service", "must be a service's id")
	}
	if e.ID != "" || e.State != "" || e.Offer != "" {
		p.Add("id, state, offer", "are given, not sent")
	}
	earliest, err := instantOf("earliest", e.Earliest)
	p.From("earliest", err)
	latest, err := instantOf("latest", e.Latest)
	p.From("latest", err)
	if len(p) == 0 && (latest <= earliest || latest <= now.Unix()) {
		p.Add("latest", "must be after earliest, and later than now")
	}
	if err := p.Err("the entry can't be used"); err != nil {
		return err
	}
	if err := mayFor(r.Context(), e.Patient); err != nil {
		return err
	}
	actor := int64(0)
	if e.Actor != "" {
		actor = resourceOf(e.Actor)
	}
	e.ID, e.State = id.New(), entryStates[waiting]
	err = b.deps.DB.Write(r.Context(), func(ctx context.Context, tx db.Tx) error {
		if _, err := b.service(ctx, tx, e.Service); err != nil {
			return err
		}
		_, err := tx.Insert(ctx, "calendar_waitlist", db.Col("id", []string{e.ID}), db.Col("state", []int32{int32(waiting)}), db.Col("service", []string{e.Service}),
			db.Col("actor", []int64{actor}), db.Col("place", []int64{now.UnixNano()}), db.Col("earliest", []int64{earliest}), db.Col("latest", []int64{latest}),
			db.Col("patient", []string{e.Patient}), db.Col("offer", []string{""}), db.Col("refused", []int64{0}))
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", b.base(r)+"/calendar/waitlist/"+e.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return sendJSON(w, e)
}

func (b *Service) handleWaitlist(w http.ResponseWriter, r *http.Request) error {
	p, err := readParameters(r, nil, "service", "state")
	if err != nil {
		return err
	}
	service, state := p.one("service"), p.one("state")
	if !availability.ValidKey(service, availability.MaxServiceID) {
		return fault.Invalid("service must be a service's id")
	}
	sc, _ := scope.From(r.Context())
	list := []Waiting{}
	err = b.deps.DB.Read(r.Context(), func(ctx context.Context, q db.Querier) error {
		list = list[:0]
		return q.Query(ctx, `SELECT id, state, patient, earliest, latest, offer FROM calendar_waitlist WHERE service = $1 ORDER BY place, id LIMIT 10000`, func(row db.Row) error {
			e := Waiting{
				ID: row.Text(0), Service: service, State: entryStates[entryState(row.Int64(1))], Patient: row.Text(2), //nolint:gosec // as stored
				Earliest: time.Unix(row.Int64(3), 0).UTC().Format(time.RFC3339), Latest: time.Unix(row.Int64(4), 0).UTC().Format(time.RFC3339),
			}
			if offer := row.Text(5); offer != "" {
				e.Offer = "Appointment/" + offer
			}
			if mine(&sc.Principal, e.Patient) && (state == "" || state == e.State) {
				list = append(list, e)
			}
			return nil
		}, service)
	})
	if err != nil {
		return err
	}
	return sendJSON(w, map[string]any{"waiting": list})
}

// entry is an entry that the caller may touch. Errors: NotFound.
func (b *Service) entry(ctx context.Context, id string) (state entryState, offer string, err error) {
	sc, _ := scope.From(ctx)
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		state = 0
		return q.Query(ctx, `SELECT state, patient, offer FROM calendar_waitlist WHERE id = $1`, func(row db.Row) error {
			if mine(&sc.Principal, row.Text(1)) {
				state, offer = entryState(row.Int64(0)), row.Text(2) //nolint:gosec // as stored
			}
			return nil
		}, id)
	})
	if err == nil && state == 0 {
		err = fault.NotFound("there is no such entry on the waitlist")
	}
	return state, offer, err
}

func (b *Service) handleLeave(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	state, offer, err := b.entry(r.Context(), id)
	if err != nil {
		return err
	}
	if state == offered {
		if _, err := b.do(r.Context(), &act{verb: doPass, id: offer, permit: permitOf(r.Context()), decline: true}); err != nil {
			return err
		}
	}
	err = b.deps.DB.Write(r.Context(), func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE calendar_waitlist SET state = 5, offer = '' WHERE id = $1 AND state = 1`, id)
		if err == nil && n == 0 {
			err = fault.Conflict("the entry does not wait any more")
		}
		return err
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *Service) handleDecline(w http.ResponseWriter, r *http.Request) error {
	state, offer, err := b.entry(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if state != offered {
		return fault.Conflict("nothing is offered to this entry")
	}
	if _, err := b.do(r.Context(), &act{verb: doPass, id: offer, permit: permitOf(r.Context()), decline: true}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
