package booking

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/format/fhir"
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

// operate answers a call with the Appointment that work makes of it, or with what it was answered before.
func (b *Service) operate(w http.ResponseWriter, r *http.Request, known []string, work func(c *call) (*act, error)) error {
	body, err := readAll(r)
	if err != nil {
		return err
	}
	c := &call{ctx: r.Context()}
	if err := c.under(r.Header.Get("Idempotency-Key"), r.URL.Path+"?"+r.URL.RawQuery+"\n"+string(body)); err != nil {
		return err
	}
	appointment, err := b.perform(c, func() (*act, error) {
		if err := c.read(r, body, known); err != nil {
			return nil, err
		}
		return work(c)
	})
	if err != nil {
		return err
	}
	return sendBundle(w, 1, [][]byte{appointment}, "")
}

// under makes it a call with an Idempotency-Key, unless that is empty.
func (c *call) under(key, request string) error {
	if key == "" {
		return nil
	}
	const most = 255
	if len(key) > most || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fault.Invalid("Idempotency-Key must be 1 to %d printable characters", most)
	}
	sc, _ := scope.From(c.ctx)
	c.once = onceOf(&sc.Principal, key, []byte(request))
	return nil
}

// read reads what the operation was called with.
func (c *call) read(r *http.Request, body []byte, known []string) (err error) {
	if c.parameters, err = readParameters(r, body, append([]string{byReference, byResource}, known...)...); err != nil {
		return err
	}
	if raw := c.resources[byResource]; raw != nil {
		c.sent, c.raw = new(sentAppointment), raw
		if err := json.Unmarshal(raw, c.sent); err != nil || c.sent.ResourceType != "Appointment" {
			return fault.Invalid("%s must be an Appointment", byResource)
		}
	}
	if (c.sent == nil) == (c.one(byReference) == "") {
		return fault.Invalid("say what is meant: either %s or %s", byReference, byResource)
	}
	return nil
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

// perform carries out what work makes of the call, unless it was made before, and gives the Appointment.
func (b *Service) perform(c *call, work func() (*act, error)) ([]byte, error) {
	first, err := b.before(c)
	if err != nil {
		return nil, err
	}
	if first != nil {
		return b.replay(c.ctx, first)
	}
	a, err := work()
	if err != nil && refusal(err) && c.once != nil {
		a, err = &act{verb: doRefuse, refusal: err}, nil // remembered as the first answer, unless there is one by now
	}
	if err != nil {
		return nil, err
	}
	a.once = c.once
	return b.do(c.ctx, a)
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

// isUnique says that another process made the same row first.
func isUnique(err error) bool { return errors.Is(err, db.ErrUnique) }
