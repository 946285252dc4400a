package booking

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/part"
)

// parameters are what an operation was called with: a FHIR Parameters resource, or a URL's query (FHIR R4 operations.html#request).
type parameters struct {
	texts     map[string][]string
	resources map[string]json.RawMessage
}

// parameterValue is one Parameters.parameter, of the types that booking's operations take.
type parameterValue struct {
	Name      string          `json:"name"`
	Resource  json.RawMessage `json:"resource"`
	String    *string         `json:"valueString"`
	Code      *string         `json:"valueCode"`
	ID        *string         `json:"valueId"`
	URI       *string         `json:"valueUri"`
	DateTime  *string         `json:"valueDateTime"`
	Instant   *string         `json:"valueInstant"`
	Boolean   *bool           `json:"valueBoolean"`
	Integer   *json.Number    `json:"valueInteger"`
	Reference *part.Reference `json:"valueReference"`
	Coding    *part.Coding    `json:"valueCoding"`
	Concept   *part.Concept   `json:"valueCodeableConcept"`
}

func (v *parameterValue) text() (string, bool) {
	for _, s := range []*string{v.String, v.Code, v.ID, v.URI, v.DateTime, v.Instant} {
		if s != nil {
			return *s, true
		}
	}
	switch {
	case v.Boolean != nil && *v.Boolean:
		return "true", true
	case v.Boolean != nil:
		return "false", true
	case v.Integer != nil:
		return v.Integer.String(), true
	case v.Reference != nil:
		return v.Reference.Reference, true
	case v.Coding != nil:
		return v.Coding.Code, true
	case v.Concept != nil && len(v.Concept.Coding) > 0:
		return v.Concept.Coding[0].Code, true
	}
	return "", false
}

// readParameters reads what an operation was called with. A body that is an Appointment stands for appointment-resource.
//
// Errors: Invalid for what is not understood, naming it and what there is.
func readParameters(r *http.Request, body []byte, known ...string) (*parameters, error) {
	p := &parameters{texts: map[string][]string{}, resources: map[string]json.RawMessage{}}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.Invalid("the URL's query is not escaped as it should be")
	}
	for name, values := range query {
		if name == "_format" || name == "_pretty" {
			continue
		}
		p.texts[name] = values
	}
	if len(bytes.TrimSpace(body)) > 0 {
		if err := p.read(body); err != nil {
			return nil, err
		}
	}
	for name := range p.texts {
		if !slices.Contains(known, name) {
			return nil, unknownParameter(name, known)
		}
	}
	for name := range p.resources {
		if !slices.Contains(known, name) {
			return nil, unknownParameter(name, known)
		}
	}
	return p, nil
}

func unknownParameter(name string, known []string) error {
	const most = 40
	if len(name) > most {
		name = name[:most] + "…"
	}
	return fault.Invalid("there is no parameter %q here: there are %s", name, strings.Join(known, ", "))
}

func (p *parameters) read(body []byte) error {
	var head struct {
		ResourceType string            `json:"resourceType"`
		Parameter    []json.RawMessage `json:"parameter"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return fault.Invalid("the body is not JSON, or not a Parameters resource")
	}
	switch head.ResourceType {
	case "Appointment":
		p.resources["appointment-resource"] = body
		return nil
	case "Parameters":
	default:
		return fault.Invalid("the body must be a Parameters resource")
	}
	for _, text := range head.Parameter {
		var v parameterValue
		if err := json.Unmarshal(text, &v); err != nil || v.Name == "" {
			return fault.Invalid("Parameters.parameter needs a name and a value of its type")
		}
		if v.Resource != nil {
			p.resources[v.Name] = v.Resource
			continue
		}
		s, ok := v.text()
		if !ok {
			return fault.Invalid("the parameter %s has no value that is understood", v.Name)
		}
		p.texts[v.Name] = append(p.texts[v.Name], s)
	}
	return nil
}

// one is the value of a parameter that may be there once; empty without it.
func (p *parameters) one(name string) string {
	if v := p.texts[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// all are the values of a parameter that may repeat, also with commas between them.
func (p *parameters) all(name string) (list []string) {
	for _, v := range p.texts[name] {
		for s := range strings.SplitSeq(v, ",") {
			if s != "" {
				list = append(list, s)
			}
		}
	}
	return list
}

// references are the values of a parameter as references to a type; a bare id is one.
func (p *parameters) references(name string, types ...string) ([]string, error) {
	list := p.all(name)
	for i, s := range list {
		if !strings.Contains(s, "/") {
			s = types[0] + "/" + s
		}
		if n := strings.LastIndex(s, "/"+types[0]+"/"); n >= 0 {
			s = s[n+1:] // an absolute one
		}
		if !availability.IsReference(s, types...) {
			return nil, fault.Invalid("%s must be a reference to a %s", name, strings.Join(types, " or "))
		}
		list[i] = s
	}
	return list, nil
}

// reference is as references, for one.
func (p *parameters) reference(name string, types ...string) (string, error) {
	list, err := p.references(name, types...)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0], nil
}

// instantOf reads a dateTime. One without a zone is refused: nobody could know when it is. A date is its first moment in UTC.
func instantOf(name, s string) (int64, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.Unix(), nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.Unix(), nil
	}
	return 0, fault.Invalid("%s must be a time with its offset, such as 2026-01-05T09:00:00-05:00", name)
}

// sentAppointment is what booking reads of an Appointment that was sent.
type sentAppointment struct {
	ResourceType string         `json:"resourceType"`
	ID           string         `json:"id"`
	Status       string         `json:"status"`
	Start        string         `json:"start"`
	End          string         `json:"end"`
	ServiceType  []part.Concept `json:"serviceType"`
	Reason       part.Concept   `json:"cancelationReason"`
	Participant  []struct {
		Actor part.Reference `json:"actor"`
		Type  []part.Concept `json:"type"`
	} `json:"participant"`
}

// maxParties is how many parties a visit may have.
const maxParties = 12

// ask is the visit that an Appointment asks for.
func (s *sentAppointment) ask(given []byte) (*asked, error) {
	a := &asked{}
	var err error
	if a.given, err = wordsOf(given); err != nil {
		return nil, err
	}
	if a.start, err = instantOf("Appointment.start", s.Start); err != nil {
		return nil, err
	}
	if s.End != "" {
		if a.end, err = instantOf("Appointment.end", s.End); err != nil {
			return nil, err
		}
	}
	a.service = s.service()
	if a.service == "" {
		return nil, fault.Invalid("Appointment.serviceType must have a coding of a service: see calendar/services")
	}
	if len(s.Participant) > maxParties {
		return nil, fault.Invalid("Appointment.participant: a visit has %d at most", maxParties)
	}
	for i, p := range s.Participant {
		ref := p.Actor.Reference
		if !availability.IsReference(ref, availability.Parties...) {
			return nil, fault.Invalid("Appointment.participant[%d].actor must be a reference to a %s", i, strings.Join(availability.Parties, ", "))
		}
		switch {
		case strings.HasPrefix(ref, "Patient/") && a.patient != "" && a.patient != ref:
			return nil, fault.Invalid("Appointment.participant[%d].actor: a visit has one patient", i)
		case strings.HasPrefix(ref, "Patient/"):
			a.patient = ref
		case slices.Contains(a.parties, ref):
			return nil, fault.Invalid("Appointment.participant[%d].actor is there twice", i)
		default:
			a.parties = append(a.parties, ref)
			if helps(p.Type) {
				a.helpers = append(a.helpers, ref)
			}
		}
	}
	return a, nil
}

// service is the id of the service that is asked for.
func (s *sentAppointment) service() string {
	first := ""
	for _, t := range s.ServiceType {
		for _, c := range t.Coding {
			if c.System == serviceSystem {
				return c.Code
			}
			if first == "" && c.System == "" {
				first = c.Code
			}
		}
	}
	return first
}

// helps says that a participant translates or the like, and treats nobody (FHIR R4 valueset-encounter-participant-type).
func helps(types []part.Concept) bool {
	for _, t := range types {
		for _, c := range t.Coding {
			if slices.Contains([]string{"translator", "TRANS", "emergency", "ESC"}, c.Code) {
				return true
			}
		}
	}
	return false
}

// strictJSON reads one JSON value, and no member that is not known.
func strictJSON(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.Invalid("the body can't be read: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.Invalid("the body must be one JSON object")
	}
	return nil
}

// bookingID reads an id or a reference to an Appointment.
func bookingID(s string) (string, error) {
	s = s[strings.LastIndex(s, "Appointment/")+1:]
	s = strings.TrimPrefix(s, "ppointment/")
	if !id.Valid(s) {
		return "", fault.Invalid("%s must be a reference such as Appointment/7", byReference)
	}
	return s, nil
}
