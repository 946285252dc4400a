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

func (b *Service) call(r *http.Request, known ...string) (*call, error) {
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

// act carries out what work makes of the call, unless it was made before, and answers with the Appointment.
func (b *Service) act(w http.ResponseWriter, c *call, work func() (*act, error)) error {
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
func (b *Service) answerOne(_ context.Context, w http.ResponseWriter, appointment []byte) error {
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

// isUnique says that another process made the same row first.
func isUnique(err error) bool { return errors.Is(err, db.ErrUnique) }
