package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Checkpoint says how far every lane of a tenant's chain was at a time. Kept away from the database, it shows when the chain is cut short afterwards.
type Checkpoint struct {
	Format   int              `json:"format"` // 1
	Tenant   int32            `json:"tenant"` // the number that the tenant was made with, also after an import; 0 is the system's
	At       time.Time        `json:"at"`
	Previous string           `json:"previous"` // SHA-256 of the checkpoint before, in hexadecimal; empty for the first
	Heads    []CheckpointHead `json:"heads"`    // the lanes that have moved since the checkpoint before
	Key      []byte           `json:"key"`      // the public key (Ed25519)
}

// CheckpointHead is the newest link of a lane.
type CheckpointHead struct {
	Lane   int64  `json:"lane,string"`
	Number int64  `json:"number"`
	Hash   string `json:"hash"` // hexadecimal
}

// signed is a checkpoint as it is kept.
type signed struct {
	Checkpoint json.RawMessage `json:"checkpoint"`
	Signature  []byte          `json:"signature"` // of "ward audit checkpoint", a zero byte, and the bytes of checkpoint
}

const (
	checkpointFolder = "audit/checkpoint"
	checkpointPage   = "2006-01-02T15-04-05.000Z"
	mostCheckpoint   = 16 << 20
)

func checkpointMessage(doc []byte) []byte {
	return append([]byte("ward audit checkpoint\x00"), doc...)
}

// kept is a checkpoint in the blob store.
type kept struct {
	Checkpoint
	key       string // of the blob
	sum       string
	signature []byte
	doc       []byte
}

// checkpoints calls fn for each of the scope's checkpoints, oldest first. One that can't be read is given with an error.
func (l *Log) checkpoints(ctx context.Context, fn func(c kept, err error) error) error {
	for b, err := range l.deps.Blobs.List(ctx, checkpointFolder, "") {
		if err != nil {
			return err
		}
		c, err := l.checkpoint(ctx, b.Key)
		if err := fn(c, err); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) checkpoint(ctx context.Context, key string) (c kept, err error) {
	c.key = key
	r, _, err := l.deps.Blobs.Get(ctx, key)
	if err != nil {
		return c, err
	}
	text, err := io.ReadAll(io.LimitReader(r, mostCheckpoint))
	_ = r.Close()
	if err != nil {
		return c, err //nolint:wrapcheck // the store's own
	}
	var s signed
	if err := json.Unmarshal(text, &s); err != nil {
		return c, fault.Invalid("the checkpoint %s can't be read", key)
	}
	if err := json.Unmarshal(s.Checkpoint, &c.Checkpoint); err != nil || c.Format != 1 {
		return c, fault.Invalid("the checkpoint %s is of another format", key)
	}
	c.doc, c.signature = s.Checkpoint, s.Signature
	sum := sha256.Sum256(text)
	c.sum = hex.EncodeToString(sum[:])
	return c, nil
}

// Checkpoint exports how far the chain of the scope's tenant is, when it has moved since the last time. Before, it links what a process that died
// has left. It says whether there was anything new.
func (l *Log) Checkpoint(ctx context.Context) (made bool, err error) {
	defer fault.Op(&err, "audit.Checkpoint")
	t, _, err := l.trail(ctx)
	if err != nil {
		return false, err
	}
	ctx = scope.With(ctx, t.scope)
	last := ""
	for b, err := range l.deps.Blobs.List(ctx, checkpointFolder, "") {
		if err != nil {
			return false, err
		}
		last = b.Key
	}
	var before kept
	if last != "" {
		if before, err = l.checkpoint(ctx, last); err != nil {
			l.deps.Log.ErrorContext(ctx, "the last checkpoint of the audit log can't be read", slog.Int("tenant", int(t.tenant)), slog.Any("error", err))
			before = kept{}
		}
	}
	if n, err := t.adopt(ctx, before.At.Add(-time.Hour)); err != nil {
		return false, err
	} else if n > 0 {
		l.deps.Log.InfoContext(ctx, "groups of audit events were linked for a process that did not", slog.Int("tenant", int(t.tenant)), slog.Int("groups", n))
	}
	now := l.deps.Clock.Now().UTC().Truncate(time.Millisecond)
	c := Checkpoint{Format: 1, Tenant: t.bound, At: now, Previous: before.sum, Key: l.PublicKey()}
	err = l.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		lanes, err := heads(ctx, q)
		c.Heads = nil
		for _, h := range lanes {
			if h.at >= before.At.Add(-skew).UnixMilli() || before.At.IsZero() {
				c.Heads = append(c.Heads, CheckpointHead{h.lane, h.number, hex.EncodeToString(h.hash[:])})
			}
		}
		return err
	})
	if err != nil || len(c.Heads) == 0 || before.says(c.Heads) {
		return false, err
	}
	doc, err := json.Marshal(c)
	if err != nil {
		return false, fault.Internal("a checkpoint can't be written").With(err)
	}
	text, err := json.Marshal(signed{doc, ed25519.Sign(l.key, checkpointMessage(doc))})
	if err != nil {
		return false, fault.Internal("a checkpoint can't be written").With(err)
	}
	key := checkpointFolder + "/" + now.Format(checkpointPage) + ".json"
	_, err = l.deps.Blobs.Put(ctx, key, "application/json", bytes.NewReader(text), int64(len(text)))
	return err == nil, err
}

// says tells whether the checkpoint has all the heads already.
func (k *kept) says(heads []CheckpointHead) bool {
	known := map[CheckpointHead]bool{}
	for _, h := range k.Heads {
		known[h] = true
	}
	for _, h := range heads {
		if !known[h] {
			return false
		}
	}
	return true
}

// CheckpointEvery is how often checkpoints are exported.
const CheckpointEvery = time.Hour

// Checkpoints exports every tenant's checkpoint each hour, until ctx ends.
func (l *Log) Checkpoints(ctx context.Context) error {
	tick := time.NewTicker(CheckpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.checkpointAll(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *Log) checkpointAll(ctx context.Context) {
	scopes := []context.Context{scope.WithSystem(ctx)}
	tenants, err := l.deps.Tenants(ctx)
	if err != nil {
		l.deps.Log.ErrorContext(ctx, "the tenants can't be listed for checkpoints", slog.Any("error", err))
	}
	for _, t := range tenants {
		scopes = append(scopes, scope.WithTenant(ctx, t))
	}
	for _, in := range scopes {
		if ctx.Err() != nil {
			return
		}
		if _, err := l.Checkpoint(in); err != nil {
			s, _ := scope.From(in)
			l.deps.Log.ErrorContext(ctx, "a checkpoint of the audit log was not exported", slog.Int("tenant", int(s.Tenant.ID)), slog.Any("error", err))
		}
	}
}
