package outbox

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"ward/internal/base/fault"
)

// eventID is a UUIDv7: it tells when the event was made.
type eventID [16]byte

func newEventID() (eventID, error) {
	u, err := uuid.NewV7()
	if err != nil {
		return eventID{}, fault.Internal("no random source").With(err)
	}
	return eventID(u), nil
}

func (i eventID) String() string { return uuid.UUID(i).String() }

// parseEventID reads the 36-character form.
func parseEventID(s string) (eventID, error) {
	u, err := uuid.Parse(s)
	if err != nil {
		return eventID{}, fault.Invalid("%q is not an event's id", s)
	}
	return eventID(u), nil
}

func (i eventID) time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, i[:6]...)))).UTC() //nolint:gosec // 48 bits
}

// before is the least id that an event made at t has.
func before(t time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli())<<16)
	return append(b, make([]byte, 8)...)
}

// An envelope is 1 byte format, then for each event 16 bytes id, the length of its data as a varint, and its data.
const envelopeFormat = 1

type enclosed struct {
	id   eventID
	data []byte
}

func encodeEnvelope(events []enclosed) []byte {
	size := 1
	for _, e := range events {
		size += len(e.id) + binary.MaxVarintLen32 + len(e.data)
	}
	b := append(make([]byte, 0, size), envelopeFormat)
	for _, e := range events {
		b = append(b, e.id[:]...)
		b = binary.AppendUvarint(b, uint64(len(e.data)))
		b = append(b, e.data...)
	}
	return b
}

func decodeEnvelope(b []byte) ([]enclosed, error) {
	if len(b) == 0 || b[0] != envelopeFormat {
		return nil, fault.Internal("an envelope of another format")
	}
	var events []enclosed
	for b = b[1:]; len(b) > 0; {
		var e enclosed
		if len(b) < len(e.id) {
			return nil, fault.Internal("an envelope that is cut")
		}
		copy(e.id[:], b)
		n, used := binary.Uvarint(b[len(e.id):])
		b = b[min(len(e.id)+max(used, 0), len(b)):]
		if used <= 0 || n > uint64(len(b)) {
			return nil, fault.Internal("an envelope that is cut")
		}
		e.data, b = b[:n:n], b[n:]
		events = append(events, e)
	}
	return events, nil
}
