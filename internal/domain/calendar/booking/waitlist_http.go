package booking

import (
	"context"
	"net/http"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/domain/calendar/availability"
	"ward/internal/kernel/audit"
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
	if err := b.mayFor(r.Context(), e.Patient); err != nil {
		return err
	}
	limits, err := b.bound(r.Context())
	if err != nil {
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
		if err := mayWait(ctx, tx, e.Patient, limits); err != nil {
			return err
		}
		_, err := tx.Insert(ctx, "calendar_waitlist", db.Col("id", []string{e.ID}), db.Col("state", []int32{int32(waiting)}), db.Col("service", []string{e.Service}),
			db.Col("actor", []int64{actor}), db.Col("place", []int64{now.UnixNano()}), db.Col("earliest", []int64{earliest}), db.Col("latest", []int64{latest}),
			db.Col("patient", []string{e.Patient}), db.Col("offer", []string{""}), db.Col("refused", []int64{0}))
		if err != nil {
			return err
		}
		return b.deps.Audit.RecordIn(ctx, tx, waitingEvent(audit.Create, e.ID, e.Patient))
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", b.base(r)+"/calendar/waitlist/"+e.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return sendJSON(w, e)
}

// mayWait refuses more entries than a patient may have; without limits there may be any number. Whoever joins waits for who joins at the same time.
//
// Errors: Conflict.
func mayWait(ctx context.Context, tx db.Tx, patient string, limits *Limits) error {
	if limits == nil {
		return nil
	}
	if err := tx.Lock(ctx, "calendar.waitlist"); err != nil {
		return err
	}
	n := int64(0)
	err := tx.Query(ctx, `SELECT COUNT(*) FROM calendar_waitlist WHERE patient = $1 AND state IN (1, 2)`, func(r db.Row) error {
		n = r.Int64(0)
		return nil
	}, patient)
	if err == nil && n >= int64(limits.Waiting) {
		err = fault.Conflict("the patient is on %d waitlists already, as many as may be: leave one first", limits.Waiting)
	}
	return err
}

func waitingEvent(action audit.Action, id, patient string) audit.Event {
	return audit.Event{Action: action, Type: waitingType, ID: id, Patients: []string{strings.TrimPrefix(patient, "Patient/")}}
}

// decline lets an offer go to the next who waits.
func (b *Service) decline(ctx context.Context, offer string) error {
	_, permit, err := b.permitted(ctx, offer)
	if err == nil {
		_, err = b.do(ctx, &act{verb: doPass, id: offer, permit: permit, decline: true})
	}
	return err
}

func (b *Service) handleLeave(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	state, patient, offer, err := b.entry(r.Context(), id)
	if err != nil {
		return err
	}
	if state == offered {
		if err := b.decline(r.Context(), offer); err != nil {
			return err
		}
	}
	err = b.deps.DB.Write(r.Context(), func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE calendar_waitlist SET state = 5, offer = '' WHERE id = $1 AND state = 1`, id)
		if err == nil && n == 0 {
			err = fault.Conflict("the entry does not wait any more")
		}
		if err != nil {
			return err
		}
		return b.deps.Audit.RecordIn(ctx, tx, waitingEvent(audit.Delete, id, patient))
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *Service) handleDecline(w http.ResponseWriter, r *http.Request) error {
	state, _, offer, err := b.entry(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if state != offered {
		return fault.Conflict("nothing is offered to this entry")
	}
	if err := b.decline(r.Context(), offer); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
