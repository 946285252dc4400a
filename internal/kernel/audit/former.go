package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// former is another Ward that kept the log before: its key proves what was there when the tenant was imported, and nothing later. A row's signature is that of
// the Ward that imported; where that is a former one itself, its own row proves it.
type former struct {
	Key   []byte           `json:"key"`   // public, Ed25519
	At    int64            `json:"at"`    // milliseconds since 1970
	Heads []CheckpointHead `json:"heads"` // of all lanes, then

	body, signature []byte
}

// formerMessage is what is signed. bound is the number that the tenant was made with.
func formerMessage(bound int32, body []byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte("ward audit former\x00"), uint32(bound)) //nolint:gosec // two's complement
	return append(head, body...)
}

// Inherit takes note that the log of the scope's tenant, as it is now, was kept by the Ward with the public key: what that one signed until here proves from now on. It is
// called once, when the tenant was imported. The own key needs no note.
//
// Errors: Invalid for what is no key.
func (l *Log) Inherit(ctx context.Context, key ed25519.PublicKey) (err error) {
	defer fault.Op(&err, "audit.Inherit")
	if len(key) != ed25519.PublicKeySize {
		return fault.Invalid("a public key has %d bytes", ed25519.PublicKeySize)
	}
	if bytes.Equal(key, l.PublicKey()) {
		return nil
	}
	t, _, err := l.trail(ctx)
	if err != nil {
		return err
	}
	f := former{Key: key, At: l.deps.Clock.Now().UnixMilli()}
	return l.deps.DB.Write(scope.With(ctx, t.scope), func(ctx context.Context, tx db.Tx) error {
		lanes, err := heads(ctx, tx)
		if err != nil {
			return err
		}
		f.Heads = nil
		for _, h := range lanes {
			f.Heads = append(f.Heads, CheckpointHead{h.lane, h.number, hex.EncodeToString(h.hash[:])})
		}
		body, err := json.Marshal(f)
		if err != nil {
			return fault.Internal("a former key can't be written").With(err)
		}
		// One that was there already came with the archive: the tenant has been in that Ward twice.
		_, err = tx.Exec(ctx, "INSERT INTO audit_former (key, at, body, signature) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			[]byte(key), f.At, body, ed25519.Sign(l.key, formerMessage(t.bound, body)))
		return err
	})
}

// trusted is a key that links and checkpoints may be signed with.
type trusted struct {
	key   ed25519.PublicKey
	heads map[int64]int64 // how far, by lane; nil is without end
	at    int64           // until when, where heads is not nil
}

func (k *trusted) covers(lane, number int64) bool { return k.heads == nil || number <= k.heads[lane] }

// inherit adds the former keys that a key which is trusted already has signed.
func (v *verifier) inherit(ctx context.Context, q db.Querier) error {
	if v.t.tenant == 0 {
		return nil // the system's log is in no archive
	}
	var rows []former
	err := q.Query(ctx, "SELECT body, signature FROM audit_former", func(r db.Row) error {
		f := former{body: bytes.Clone(r.Bytes(0)), signature: bytes.Clone(r.Bytes(1))}
		if json.Unmarshal(f.body, &f) == nil && len(f.Key) == ed25519.PublicKeySize {
			rows = append(rows, f)
		}
		return nil
	})
	for more := true; err == nil && more; {
		more = false
		for _, f := range rows {
			id := keyID(f.Key)
			signed := func(k trusted) bool { return ed25519.Verify(k.key, formerMessage(v.t.bound, f.body), f.signature) }
			if _, known := v.keys[id]; known || !slices.ContainsFunc(slices.Collect(maps.Values(v.keys)), signed) {
				continue
			}
			k := trusted{key: f.Key, heads: map[int64]int64{}, at: f.At}
			for _, h := range f.Heads {
				k.heads[h.Lane] = h.Number
			}
			v.keys[id] = k
			v.report.Former++
			more = true
		}
	}
	return err
}
