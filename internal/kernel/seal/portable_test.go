package seal_test

import (
	"bytes"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/kernel/seal"
)

func TestPortable_KeysOfAnArchiveOpenWhatItHolds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, h *house) {
		k := h.keys()
		sealed := h.key(k, 7).Seal(nil, []byte("secret"), []byte("records_resource 1"))
		taken, err := k.Take(t.Context(), 7)
		if err != nil || taken.Bound != 7 {
			t.Fatalf("%d %v", taken.Bound, err)
		}
		if err := k.Give(t.Context(), 9, taken); err != nil {
			t.Fatal(err)
		}
		if err := k.Give(t.Context(), 9, taken); !fault.Is(err, fault.CodeConflict) {
			t.Errorf("given twice: %v", err)
		}
		if err := k.Give(t.Context(), 10, seal.Portable{Bound: 7, Keys: []byte("none")}); !fault.Is(err, fault.CodeUnprocessable) {
			t.Errorf("no keys: %v", err)
		}
		for _, k := range []*seal.Keys{k, h.keys()} {
			plain, err := h.key(k, 9).Open(nil, sealed, []byte("records_resource 1"))
			if err != nil || !bytes.Equal(plain, []byte("secret")) {
				t.Errorf("%q %v", plain, err)
			}
		}
		if _, err := h.key(k, 8).Open(nil, sealed, []byte("records_resource 1")); !fault.Is(err, fault.CodeUnprocessable) {
			t.Errorf("a stranger opens it: %v", err)
		}
		again, err := k.Take(t.Context(), 9)
		if err != nil || again.Bound != 7 || !bytes.Equal(again.Keys, taken.Keys) {
			t.Errorf("taken again: %d %v", again.Bound, err)
		}
		if _, err := k.Destroy(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Take(t.Context(), 7); !fault.Is(err, fault.CodeGone) {
			t.Errorf("taken after their end: %v", err)
		}
		if _, err := h.key(h.keys(), 9).Open(nil, sealed, []byte("records_resource 1")); err != nil {
			t.Errorf("the other's keys went with them: %v", err)
		}
	})
}
