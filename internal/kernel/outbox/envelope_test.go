package outbox

import (
	"bytes"
	"testing"
	"time"
)

func TestEnvelope_RoundTrip(t *testing.T) {
	t.Parallel()
	var events []enclosed
	for _, data := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("long"), 1000)} {
		id, err := newEventID()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, enclosed{id, data})
	}
	got, err := decodeEnvelope(encodeEnvelope(events))
	if err != nil || len(got) != len(events) {
		t.Fatalf("%d events, %v", len(got), err)
	}
	for i := range events {
		if got[i].id != events[i].id || !bytes.Equal(got[i].data, events[i].data) {
			t.Errorf("event %d is another", i)
		}
	}
	if got, err := decodeEnvelope(encodeEnvelope(nil)); err != nil || got != nil {
		t.Errorf("an empty envelope is %v %v", got, err)
	}
}

func TestEventID_TellsWhenItWasMade(t *testing.T) {
	t.Parallel()
	begin := time.Now().Truncate(time.Millisecond)
	id, err := newEventID()
	if err != nil {
		t.Fatal(err)
	}
	if at := id.time(); at.Before(begin) || at.After(time.Now()) {
		t.Errorf("made at %v, says %v", begin, at)
	}
	if bytes.Compare(before(id.time()), id[:]) > 0 || bytes.Compare(before(id.time().Add(time.Millisecond)), id[:]) <= 0 {
		t.Error("before does not part ids by time")
	}
	if back, err := parseEventID(id.String()); err != nil || back != id {
		t.Errorf("%v %v", back, err)
	}
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{envelopeFormat})
	f.Add(encodeEnvelope([]enclosed{{data: []byte("x")}, {data: []byte("yz")}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := decodeEnvelope(b)
		if err != nil {
			return
		}
		again, err := decodeEnvelope(encodeEnvelope(events))
		if err != nil || len(again) != len(events) {
			t.Fatalf("%d events became %d: %v", len(events), len(again), err)
		}
	})
}
