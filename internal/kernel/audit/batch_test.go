package audit

import (
	"encoding/binary"
	"hash/maphash"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ward/internal/base/scope"
)

// TestBatch_SaysWhatItWasTold: what comes out of a batch is what went in, however little it remembers, and its index is that of its events.
func TestBatch_SaysWhatItWasTold(t *testing.T) {
	t.Parallel()
	var pool batches
	pool.hashing = maphash.MakeSeed()
	at := time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)
	text := rapid.SampledFrom([]string{"", "a", "b", "Patient", "019aa1b2-0000-7000-8000-000000000001", "019aa1b2-0000-7000-8000-000000000002"})
	rapid.Check(t, func(t *rapid.T) {
		remembered := make([]known, rapid.SampledFrom([]int{1, 2, knownByTrail}).Draw(t, "remembered"))
		for range 2 { // the second is given what the first had
			b := pool.take(salt("salt"), at, remembered)
			var want []Event
			for range rapid.IntRange(0, 20).Draw(t, "events") {
				e := Event{
					Time: at.Add(time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "later")) * time.Millisecond), Action: Action(rapid.IntRange(1, 20).Draw(t, "action")),
					Outcome: Refused, By: scope.Principal{ID: text.Draw(t, "by"), Role: text.Draw(t, "role"), Person: text.Draw(t, "person"), OnBehalfOf: text.Draw(t, "behalf")},
					Request: text.Draw(t, "request"), Address: text.Draw(t, "address"), Type: text.Draw(t, "type"), ID: text.Draw(t, "id"), Query: text.Draw(t, "query"),
					Detail: text.Draw(t, "detail"), Version: int64(rapid.IntRange(0, 300).Draw(t, "version")), Count: 3, Emergency: rapid.Bool().Draw(t, "emergency"),
					Patients: rapid.SliceOfN(text, 1, 3).Draw(t, "patients"),
				}
				b.add(&e)
				e.Address = salt("salt").commit("address", e.Address)
				want = append(want, e)
			}
			written := at.Add(700 * time.Millisecond).UnixMilli()
			got, err := decodeGroup(written, b.body(written))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v\nis not\n%+v", got, want)
			}
			keys := indexKeys(want)
			slices.Sort(keys)
			if index := b.index(); !slices.Equal(index, keys) {
				t.Fatalf("keys %v, not %v", index, keys)
			}
			pool.give([]*batch{b})
		}
	})
}

// TestGroup_OfBefore reads a row of the first format.
func TestGroup_OfBefore(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)
	b := append([]byte{formerFormat}, 2)
	b = appendText(appendText(b, "019aa1b2-0000-7000-8000-000000000001"), "Patient")
	b = append(b, 1)                      // one event
	b = binary.AppendVarint(b, -40)       // 40 ms before
	b = append(b, byte(Read), 0, 0)       //
	b = append(b, 1, 0, 0, 0, 0, 0, 0)    // by … address
	b = append(b, 2, 1, 0, 0, 7, 0, 1, 1) // type, id, query, detail, version, count, a patient
	got, err := decodeGroup(at.UnixMilli(), b)
	want := Event{
		Time: at.Add(-40 * time.Millisecond), Action: Read, By: scope.Principal{ID: "019aa1b2-0000-7000-8000-000000000001"}, Type: "Patient",
		ID: "019aa1b2-0000-7000-8000-000000000001", Version: 7, Patients: []string{"019aa1b2-0000-7000-8000-000000000001"},
	}
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%+v, %v", got, err)
	}
}
