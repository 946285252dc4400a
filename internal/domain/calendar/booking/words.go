package booking

import (
	"bytes"
	"encoding/json"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
)

// What is booked is written to the record with the system's rights, so an Appointment that somebody sends is not taken over: of it are kept the
// words that whoever books may say. They refer to nothing: not to orders, conditions or information, which would tell who may not see them
// whether they are there. What Ward says itself is passed over, and anything else refused.

// words are what somebody may say in an Appointment.
type words struct {
	ServiceCategory    []saidConcept     `json:"serviceCategory,omitempty"`
	ServiceType        []saidConcept     `json:"serviceType,omitempty"`
	Specialty          []saidConcept     `json:"specialty,omitempty"`
	AppointmentType    *saidConcept      `json:"appointmentType,omitempty"`
	ReasonCode         []saidConcept     `json:"reasonCode,omitempty"`
	Priority           *json.Number      `json:"priority,omitempty"`
	Description        string            `json:"description,omitempty"`
	Comment            string            `json:"comment,omitempty"`
	PatientInstruction string            `json:"patientInstruction,omitempty"`
	RequestedPeriod    []saidPeriod      `json:"requestedPeriod,omitempty"`
	Participant        []saidParticipant `json:"participant,omitempty"`
}

type saidConcept struct {
	Coding []saidCoding `json:"coding,omitempty"`
	Text   string       `json:"text,omitempty"`
}

type saidCoding struct {
	System       string `json:"system,omitempty"`
	Version      string `json:"version,omitempty"`
	Code         string `json:"code,omitempty"`
	Display      string `json:"display,omitempty"`
	UserSelected *bool  `json:"userSelected,omitempty"`
}

type saidPeriod struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

type saidParticipant struct {
	Type     []saidConcept `json:"type,omitempty"`
	Actor    *saidActor    `json:"actor,omitempty"`
	Required string        `json:"required,omitempty"`
	Status   string        `json:"status,omitempty"`
	Period   *saidPeriod   `json:"period,omitempty"`
}

type saidActor struct {
	Reference string `json:"reference,omitempty"`
	Type      string `json:"type,omitempty"`
	Display   string `json:"display,omitempty"`
}

// sentWhole is an Appointment as it may be sent: the words, and what Ward says itself.
type sentWhole struct {
	words
	ResourceType      json.RawMessage `json:"resourceType"`
	ID                json.RawMessage `json:"id"`
	Meta              json.RawMessage `json:"meta"`
	ImplicitRules     json.RawMessage `json:"implicitRules"`
	Language          json.RawMessage `json:"language"`
	Text              json.RawMessage `json:"text"`
	Extension         json.RawMessage `json:"extension"`
	Status            json.RawMessage `json:"status"`
	CancelationReason json.RawMessage `json:"cancelationReason"`
	Start             json.RawMessage `json:"start"`
	End               json.RawMessage `json:"end"`
	MinutesDuration   json.RawMessage `json:"minutesDuration"`
	Slot              json.RawMessage `json:"slot"`
	Created           json.RawMessage `json:"created"`
}

// wordsOf are the words of an Appointment that was sent, as JSON.
//
// Errors: Invalid for what can't be said, naming it.
func wordsOf(raw []byte) ([]byte, error) {
	var s sentWhole
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			const most = 60
			return nil, fault.Invalid("Appointment: %.*s can't be said when a visit is booked: what is kept of the Appointment is comment, description, patientInstruction, reasonCode, "+
				"priority, appointmentType, serviceCategory, serviceType, specialty, requestedPeriod and participant, and of those codes and texts", most, name)
		}
		return nil, fault.Invalid("Appointment: a member has the wrong type")
	}
	said, err := json.Marshal(s.words)
	if err != nil {
		return nil, fault.Internal("an Appointment's words can't be written").With(err)
	}
	return said, nil
}

// guarded are the types of parties that not everybody may see: whoever names one that nobody has set up for booking must see it.
func guarded(party string) bool { return availability.IsReference(party, "Device", "RelatedPerson") }
