package calendar

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/format/fhir"
	"ward/internal/kernel/access"
)

// The operations are those of IHE ITI Scheduling ($find, $hold, $book: ITI-115 to 117) and of Argonaut Scheduling, with $cancel and $reschedule
// beside them. $book of IHE also cancels (an Appointment with status cancelled) and moves (one with the id of a booked one).

const (
	byReference = "appointment-reference"
	byResource  = "appointment-resource"
)

// call is one call of an operation that changes something.
type call struct {
	*parameters
	ctx  context.Context //nolint:containedctx // of this call
	once *once
	sent *sentAppointment // nil without appointment-resource
	raw  []byte           // of sent
}

func (b *Booking) call(r *http.Request, known ...string) (*call, error) {
	body, err := readAll(r)
	if err != nil {
		return nil, err
	}
	c := &call{ctx: r.Context()}
	if c.parameters, err = readParameters(r, body, append([]string{byReference, byResource}, known...)...); err != nil {
		return nil, err
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		const most = 255
		if len(key) > most || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fault.Invalid("Idempotency-Key must be 1 to %d printable characters", most)
		}
		sc, _ := scope.From(r.Context())
		c.once = onceOf(sc.Principal.ID, key, append([]byte(r.URL.Path+"?"+r.URL.RawQuery+"\n"), body...))
	}
	if raw := c.resources[byResource]; raw != nil {
		c.sent, c.raw = new(sentAppointment), raw
		if err := json.Unmarshal(raw, c.sent); err != nil || c.sent.ResourceType != "Appointment" {
			return nil, fault.Invalid("%s must be an Appointment", byResource)
		}
	}
	if (c.sent == nil) == (c.one(byReference) == "") {
		return nil, fault.Invalid("say what is meant: either %s or %s", byReference, byResource)
	}
	return c, nil
}

func readAll(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, coded := fault.Of(err); coded {
			return nil, err
		}
		return nil, fault.Invalid("the body could not be read to its end").With(err)
	}
	return body, nil
}

// before gives the first answer to a call that was made before, so that its rules are not asked again; nil when it was not.
func (b *Booking) before(c *call) (first *firstAnswer, err error) {
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
				return errOtherRequest()
			}
			body, err := openAnswer(key, c.once, r.Bytes(2))
			first = &firstAnswer{status: int(r.Int64(1)), body: body}
			return err
		}, c.once.key[:])
	})
	return first, err
}

// act carries out what work makes of the call, unless it was made before, and answers with the Appointment.
func (b *Booking) act(w http.ResponseWriter, c *call, work func() (*act, error)) error {
	first, err := b.before(c)
	if err != nil {
		return err
	}
	if first != nil {
		if first.status == http.StatusConflict {
			return fault.Conflict("%s", first.body)
		}
		return b.answerOne(c.ctx, w, first.body)
	}
	a, err := work()
	if fault.Is(err, fault.CodeConflict) && c.once != nil {
		a, err = &act{verb: doRefuse, refusal: err}, nil // remembered as the first answer, unless there is one by now
	}
	if err != nil {
		return err
	}
	a.once = c.once
	appointment, err := b.do(c.ctx, a)
	if err != nil {
		return err
	}
	return b.answerOne(c.ctx, w, appointment)
}

// answerOne answers with a Bundle of one Appointment.
func (b *Booking) answerOne(_ context.Context, w http.ResponseWriter, appointment []byte) error {
	return sendBundle(w, 1, [][]byte{appointment}, "")
}

// sendBundle answers with a searchset.
func sendBundle(w http.ResponseWriter, total int, resources [][]byte, next string) error {
	size := 256
	for _, r := range resources {
		size += len(r) + 64
	}
	out := make([]byte, 0, size)
	out = append(out, `{"resourceType":"Bundle","type":"searchset","total":`...)
	out = strconv.AppendInt(out, int64(total), 10)
	if next != "" {
		text, _ := json.Marshal(next) // a string has a spelling
		out = append(append(append(out, `,"link":[{"relation":"next","url":`...), text...), `}]`...)
	}
	for i, r := range resources {
		if i == 0 {
			out = append(out, `,"entry":[`...)
		} else {
			out = append(out, ',')
		}
		out = append(append(append(out, `{"resource":`...), r...), `,"search":{"mode":"match"}}`...)
	}
	if len(resources) > 0 {
		out = append(out, ']')
	}
	return send(w, fhir.ContentType, append(out, '}'))
}

func send(w http.ResponseWriter, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	return err
}

func (b *Booking) handleFind(w http.ResponseWriter, r *http.Request) error {
	body, err := readAll(r)
	if err != nil {
		return err
	}
	p, err := readParameters(r, body, "start", "end", "practitioner", "location-reference", "service-type", "visit-type", "patient-reference", "_count", "_offset")
	if err != nil {
		return err
	}
	f := &finding{services: append(p.all("service-type"), p.all("visit-type")...)}
	if f.from, err = instantOf("start", p.one("start")); err != nil {
		return err
	}
	if f.to, err = instantOf("end", p.one("end")); err != nil {
		return err
	}
	if f.actors, err = p.references("practitioner", "Practitioner", "PractitionerRole", "HealthcareService", "Device", "Location"); err != nil {
		return err
	}
	if f.places, err = p.references("location-reference", "Location"); err != nil {
		return err
	}
	patient, err := p.reference("patient-reference", "Patient")
	if err != nil {
		return err
	}
	if patient == "" {
		patient = own(r.Context())
	}
	count, offset := 100, 0
	for name, n := range map[string]*int{"_count": &count, "_offset": &offset} {
		if s := p.one(name); s != "" {
			const most = 1_000_000
			if *n, err = strconv.Atoi(s); err != nil || *n < 0 || *n > most {
				return fault.Invalid("%s must be a number from 0 to %d", name, most)
			}
		}
	}
	count = min(count, 1000)
	list, err := b.find(r.Context(), f)
	if err != nil {
		return err
	}
	shown := list[min(offset, len(list)):min(offset+count, len(list))]
	resources := make([][]byte, len(shown))
	for i := range shown {
		resources[i] = shown[i].appointment(patient)
	}
	next := ""
	if offset+count < len(list) && r.Method == http.MethodGet {
		q := r.URL.Query()
		q.Set("_offset", strconv.Itoa(offset+count))
		next = b.base(r) + "/fhir/Appointment/$find?" + q.Encode()
	}
	return sendBundle(w, len(list), resources, next)
}

// base is what URLs in answers begin with: the tenant's.
func (b *Booking) base(r *http.Request) string {
	base := b.deps.BaseURL
	if base == "" {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		base = scheme + r.Host
	}
	sc, _ := scope.From(r.Context())
	return strings.TrimSuffix(base, "/") + "/t/" + sc.Tenant.Slug
}

// appointment is the proposed Appointment.
func (p *proposal) appointment(patient string) []byte {
	a := p.availability
	m := members{"resourceType": json.RawMessage(`"Appointment"`), "status": json.RawMessage(`"proposed"`)}
	m.set("id", p.id())
	m.set("serviceType", []any{map[string]any{
		"coding": []any{map[string]string{"system": serviceSystem, "code": p.service.ID, "display": p.service.Title}}, "text": p.service.Title,
	}})
	m.set("start", instant(p.starts, a.zone))
	m.set("end", instant(p.ends, a.zone))
	m.set("minutesDuration", (p.ends-p.starts)/60)
	parties := []string{a.Actor}
	if a.Location != "" && a.Location != a.Actor {
		parties = append(parties, a.Location)
	}
	if patient != "" {
		parties = append(parties, patient)
	}
	list := make([]any, len(parties))
	for i, ref := range parties {
		list[i] = map[string]any{"actor": reference{ref}, "status": "needs-action"}
	}
	m.set("participant", list)
	text, _ := json.Marshal(m) // what was set has a spelling
	return text
}

// wanted is the visit that a call of $hold or $book asks for; ok is false when it names one that is held or booked instead.
func (b *Booking) wanted(c *call) (ask *asked, ok bool, err error) {
	switch ref := c.one(byReference); {
	case c.sent != nil:
		if ask, err = c.sent.ask(c.raw); err != nil {
			return nil, false, err
		}
		if schedule, service, start, proposed := parseProposal(c.sent.ID); proposed && start == ask.start && service == ask.service {
			ask.schedule = schedule
		}
	default:
		id, err := bookingID(ref)
		if err != nil {
			return nil, false, err
		}
		schedule, service, start, proposed := parseProposal(id)
		if !proposed {
			return nil, false, nil
		}
		ask = &asked{schedule: schedule, service: service, start: start}
	}
	patient, err := c.reference("patient-reference", "Patient")
	if err != nil {
		return nil, false, err
	}
	if patient != "" {
		ask.patient = patient
	}
	if ask.patient == "" {
		ask.patient = own(c.ctx)
	}
	ask.state = c.one("patient-state")
	return ask, true, c.extra(ask)
}

// extra reads whether an extra seat is asked for, which is a permission of its own.
func (c *call) extra(ask *asked) error {
	switch c.one("overbook") {
	case "", "false":
		return nil
	case "true":
		ask.extra = true
		return access.Require(c.ctx, access.CalendarOverbook)
	}
	return fault.Invalid("overbook must be true or false")
}

// holdSeconds is how long a hold stands.
const holdSeconds = 10 * 60

func (b *Booking) handleHold(w http.ResponseWriter, r *http.Request) error {
	c, err := b.call(r, "patient-reference", "patient-state", "overbook")
	if err != nil {
		return err
	}
	return b.act(w, c, func() (*act, error) {
		ask, ok, err := b.wanted(c)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.Invalid("%s must be one that $find proposed", byReference)
		}
		return b.hold(c.ctx, ask)
	})
}

// hold is the act that holds a time.
func (b *Booking) hold(ctx context.Context, ask *asked) (*act, error) {
	if err := mayFor(ctx, ask.patient); err != nil {
		return nil, err
	}
	d, err := b.draft(ctx, ask, nil)
	if err != nil {
		return nil, err
	}
	d.booking.expires = b.deps.Clock.Now().Unix() + holdSeconds
	d.booking.Given = ask.given
	return &act{verb: doHold, id: id.New(), draft: d.booking, wants: d.wants, given: ask.given}, nil
}

func (b *Booking) handleBook(w http.ResponseWriter, r *http.Request) error {
	c, err := b.call(r, "patient-reference", "patient-state", "overbook")
	if err != nil {
		return err
	}
	return b.act(w, c, func() (*act, error) {
		if c.sent != nil {
			_, _, _, proposed := parseProposal(c.sent.ID)
			switch {
			case c.sent.Status == "cancelled":
				return b.cancel(c, c.sent.ID)
			case c.sent.ID != "" && !proposed:
				return b.ofSent(c)
			case c.sent.Status != "pending" && c.sent.Status != "proposed" && c.sent.Status != "booked":
				return nil, fault.Invalid("Appointment.status must be pending to book it, or cancelled")
			}
		}
		ask, ok, err := b.wanted(c)
		if err != nil {
			return nil, err
		}
		if !ok {
			return b.confirm(c, c.one(byReference))
		}
		return b.book(c.ctx, ask)
	})
}

// ofSent books the Appointment that was sent when it is held, and moves it when it is booked.
func (b *Booking) ofSent(c *call) (*act, error) {
	v, err := b.loadBooking(c.ctx, c.sent.ID)
	if err != nil {
		return nil, err
	}
	if v.state == held {
		return b.confirm(c, c.sent.ID)
	}
	ask, err := c.sent.ask(c.raw)
	if err != nil {
		return nil, err
	}
	ask.state = c.one("patient-state")
	if err := c.extra(ask); err != nil {
		return nil, err
	}
	return b.move(c.ctx, v, ask)
}

// book is the act that books a time without a hold.
func (b *Booking) book(ctx context.Context, ask *asked) (*act, error) {
	if ask.patient == "" {
		return nil, fault.Invalid("patient-reference: a visit needs a patient, here or among the participants")
	}
	if err := mayFor(ctx, ask.patient); err != nil {
		return nil, err
	}
	d, err := b.draft(ctx, ask, nil)
	if err != nil {
		return nil, err
	}
	return &act{verb: doBook, id: id.New(), draft: d.booking, wants: d.wants, given: ask.given}, nil
}

// confirm is the act that books what is held.
func (b *Booking) confirm(c *call, ref string) (*act, error) {
	id, err := bookingID(ref)
	if err != nil {
		return nil, err
	}
	v, err := b.loadBooking(c.ctx, id)
	if err != nil {
		return nil, err
	}
	permit := permitOf(c.ctx)
	if err := permit(v); err != nil {
		return nil, err
	}
	patient, err := c.reference("patient-reference", "Patient")
	if err != nil {
		return nil, err
	}
	if patient == "" && c.sent != nil {
		for _, p := range c.sent.Participant {
			if strings.HasPrefix(p.Actor.Reference, "Patient/") {
				patient = p.Actor.Reference
			}
		}
	}
	visit := *v
	a := &act{verb: doConfirm, id: v.id, permit: permit, given: v.Given}
	if c.raw != nil {
		a.given = c.raw
	}
	switch {
	case v.Patient == "" && patient == "":
		return nil, fault.Invalid("patient-reference: a visit needs a patient, and the hold has none")
	case v.Patient != "" && patient != "" && patient != v.Patient:
		return nil, fault.Conflict("the hold is for another patient")
	case v.Patient == "":
		if err := mayFor(c.ctx, patient); err != nil {
			return nil, err
		}
		visit.Patient = patient
	}
	if v.Patient == "" || v.Waiting != "" {
		w := patientWant(visit.Patient, v)
		a.patient = &w
	}
	if s := c.one("patient-state"); s != "" {
		visit.State = stateCode(s)
	}
	var service *Service
	if err := b.deps.DB.Read(c.ctx, func(ctx context.Context, q db.Querier) (err error) {
		service, err = b.service(ctx, q, v.Service)
		return err
	}); err != nil {
		return nil, err
	}
	if err := b.holds(c.ctx, service, &visit); err != nil {
		return nil, err
	}
	a.place = visit.State
	return a, nil
}

func (b *Booking) handleCancel(w http.ResponseWriter, r *http.Request) error {
	c, err := b.call(r, "reason")
	if err != nil {
		return err
	}
	return b.act(w, c, func() (*act, error) {
		ref := c.one(byReference)
		if c.sent != nil {
			ref = c.sent.ID
		}
		return b.cancel(c, ref)
	})
}

// cancel is the act that cancels a visit, or lets a hold go.
func (b *Booking) cancel(c *call, ref string) (*act, error) {
	id, err := bookingID(ref)
	if err != nil {
		return nil, err
	}
	a := &act{verb: doCancel, id: id, permit: permitOf(c.ctx), reason: c.one("reason")}
	if a.reason == "" && c.sent != nil && len(c.sent.Reason.Coding) > 0 {
		a.reason = c.sent.Reason.Coding[0].Code
	}
	if len(a.reason) > 64 || strings.ContainsAny(a.reason, " \t\r\n") {
		return nil, fault.Invalid("reason must be a code of appointment-cancellation-reason, such as pat or prov-pers")
	}
	a.given, err = b.stored(c.ctx, id)
	return a, err
}

// stored is the Appointment as it is, for what people wrote into it; nil when there is none, such as of a hold.
func (b *Booking) stored(ctx context.Context, id string) ([]byte, error) {
	text, err := b.deps.Records.Read(asSystem(ctx), "Appointment", id)
	if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) {
		return nil, nil
	}
	return text, err
}

func (b *Booking) handleReschedule(w http.ResponseWriter, r *http.Request) error {
	c, err := b.call(r, "start", "practitioner", "patient-state", "overbook")
	if err != nil {
		return err
	}
	return b.act(w, c, func() (*act, error) {
		ref := c.one(byReference)
		if c.sent != nil {
			ref = c.sent.ID
		}
		id, err := bookingID(ref)
		if err != nil {
			return nil, err
		}
		v, err := b.loadBooking(c.ctx, id)
		if err != nil {
			return nil, err
		}
		var ask *asked
		if c.sent != nil {
			ask, err = c.sent.ask(c.raw)
		} else {
			ask, err = c.moved(v)
		}
		if err != nil {
			return nil, err
		}
		ask.state = c.one("patient-state")
		if err := c.extra(ask); err != nil {
			return nil, err
		}
		return b.move(c.ctx, v, ask)
	})
}

// moved is a visit at another time, or with somebody else.
func (c *call) moved(v *booking) (*asked, error) {
	ask := &asked{schedule: v.Schedule, service: v.Service, patient: v.Patient}
	var err error
	if ask.start, err = instantOf("start", c.one("start")); err != nil {
		return nil, err
	}
	for _, claim := range v.Claims {
		if claim.Party != v.Patient && claim.Party != v.lead() {
			ask.parties = append(ask.parties, claim.Party)
		}
	}
	other, err := c.reference("practitioner", "Practitioner", "PractitionerRole")
	if err != nil {
		return nil, err
	}
	if other != "" && other != v.lead() {
		ask.schedule, ask.parties = "", append([]string{other}, ask.parties...)
	}
	return ask, nil
}

// move is the act that moves a visit.
func (b *Booking) move(ctx context.Context, v *booking, ask *asked) (*act, error) {
	permit := permitOf(ctx)
	if err := permit(v); err != nil {
		return nil, err
	}
	if v.state != booked {
		return nil, errState(v)
	}
	if ask.patient == "" {
		ask.patient = v.Patient
	}
	if ask.patient != v.Patient {
		return nil, fault.Conflict("the visit is another patient's: cancel it and book a new one")
	}
	if ask.schedule == "" && ask.given != nil {
		for _, p := range ask.parties {
			if p == v.lead() {
				ask.schedule = v.Schedule
			}
		}
	}
	d, err := b.draft(ctx, ask, v)
	if err != nil {
		return nil, err
	}
	a := &act{verb: doReschedule, id: v.id, draft: d.booking, wants: d.wants, permit: permit, given: ask.given}
	if a.given == nil {
		a.given, err = b.stored(ctx, v.id)
	}
	return a, err
}

// isUnique says that another process made the same row first.
func isUnique(err error) bool { return errors.Is(err, db.ErrUnique) }
