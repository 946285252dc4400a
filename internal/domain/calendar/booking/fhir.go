package booking

import (
	"encoding/json"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/domain/calendar/part"
	"ward/internal/format/ical"
)

// keptTag marks what only the calendar changes, see records.KeptSystem.
const keptTag = `{"tag":[{"system":"urn:ward:kept","code":"calendar"}]}`

// holdExpires is the extension that says until when a pending Appointment is held.
const holdExpires = "urn:ward:hold-expires"

// serviceSystem is the system of the codes of this tenant's services.
const serviceSystem = "urn:ward:service"

// members are the members of a FHIR resource, as written.
type members map[string]json.RawMessage

func (m members) set(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only values of this package, which all have a spelling
	}
	m[name] = text
}

// instant spells a time as FHIR does, in the zone's own time of day.
func instant(seconds int64, zone *ical.Zone) string {
	return time.Unix(seconds, 0).In(zone.Location()).Format(time.RFC3339)
}

// appointmentOf is the Appointment of a booking. What people wrote into the one that was asked for is kept.
func appointmentOf(a *act, b *booking) ([]byte, error) {
	zone, err := ical.LoadZone(b.Zone)
	if err != nil {
		return nil, err
	}
	given := a.given
	if given == nil {
		given = b.Given
	}
	m := members{}
	if given != nil {
		if err := json.Unmarshal(given, &m); err != nil {
			return nil, fault.Internal("the Appointment that was asked for can't be read again").With(err)
		}
	}
	participants := participantsOf(m["participant"], b)
	for _, name := range []string{"meta", "slot", "cancelationReason", "text", "extension"} {
		delete(m, name)
	}
	m["resourceType"], m["meta"] = json.RawMessage(`"Appointment"`), json.RawMessage(keptTag)
	m.set("id", b.id)
	m.set("start", instant(b.starts, zone))
	m.set("end", instant(b.ends, zone))
	m.set("minutesDuration", (b.ends-b.starts)/60)
	m.set("participant", participants)
	if m["serviceType"] == nil {
		m.set("serviceType", []any{map[string]any{"coding": []any{map[string]string{"system": serviceSystem, "code": b.Service}}}})
	}
	switch b.state {
	case booked:
		m.set("status", "booked")
		slots := make([]part.Reference, len(b.Slots))
		for i, s := range b.Slots {
			slots[i].Reference = "Slot/" + s
		}
		if len(slots) > 0 {
			m.set("slot", slots)
		}
	case held:
		m.set("status", "pending")
		m.set("extension", []any{map[string]string{"url": holdExpires, "valueInstant": time.Unix(b.expires, 0).UTC().Format(time.RFC3339)}})
	default:
		m.set("status", "cancelled")
		if a.reason != "" {
			m.set("cancelationReason", map[string]any{"coding": []any{map[string]string{
				"system": "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason", "code": a.reason,
			}}})
		}
	}
	return json.Marshal(m)
}

// participantsOf are the parties, in the words of the Appointment that was asked for where it has any.
func participantsOf(given json.RawMessage, b *booking) []members {
	var asked []members
	_ = json.Unmarshal(given, &asked) // it was read before
	list := make([]members, 0, len(b.Claims))
	for _, c := range b.Claims {
		p := members{}
		for _, was := range asked {
			var actor part.Reference
			if json.Unmarshal(was["actor"], &actor) == nil && actor.Reference == c.Party {
				p = was
			}
		}
		if p["actor"] == nil {
			p.set("actor", part.Reference{Reference: c.Party})
		}
		p.set("status", map[bool]string{true: "declined", false: "accepted"}[b.state == cancelled && c.Party == b.Patient])
		list = append(list, p)
	}
	return list
}

// recordsOf is what the records will say: the Appointment first, then the Slots that it takes and those that it leaves. A hold is nothing yet:
// nothing that is stored could stop being true by itself.
func recordsOf(a *act, was, is *booking) (types, ids []string, bodies [][]byte, err error) {
	before := was != nil && was.state == booked
	if is.state != booked && !before {
		return nil, nil, nil, nil
	}
	if is.state == booked {
		is.Slots = make([]string, len(is.Schedules))
		for i := range is.Slots {
			is.Slots[i] = id.New()
		}
	} else {
		is.Slots = nil
	}
	body, err := appointmentOf(a, is)
	if err != nil {
		return nil, nil, nil, err
	}
	types, ids, bodies = append(types, "Appointment"), append(ids, is.id), append(bodies, body)
	for i, s := range is.Slots {
		body, err := slotOf(s, is.Schedules[i], is)
		if err != nil {
			return nil, nil, nil, err
		}
		types, ids, bodies = append(types, "Slot"), append(ids, s), append(bodies, body)
	}
	if before {
		for _, s := range was.Slots {
			types, ids, bodies = append(types, "Slot"), append(ids, s), append(bodies, nil)
		}
	}
	return types, ids, bodies, nil
}

func slotOf(slot, schedule string, b *booking) ([]byte, error) {
	zone, err := ical.LoadZone(b.Zone)
	if err != nil {
		return nil, err
	}
	m := members{"resourceType": json.RawMessage(`"Slot"`), "meta": json.RawMessage(keptTag), "status": json.RawMessage(`"busy"`)}
	m.set("id", slot)
	m.set("schedule", part.Reference{Reference: "Schedule/" + schedule})
	m.set("start", instant(b.starts, zone))
	m.set("end", instant(b.ends, zone))
	if b.Extra {
		m.set("overbooked", true)
	}
	return json.Marshal(m)
}
