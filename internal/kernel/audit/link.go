package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// covered is a group as a link lists it.
type covered struct {
	place
	digest [sha256.Size]byte
}

// anchor is the head of another lane as a link or a checkpoint saw it: from then on that lane can't be cut short unnoticed.
type anchor struct {
	lane, number int64
	hash         [sha256.Size]byte
}

// link is a row of audit_link.
type link struct {
	lane, number, at int64
	hash             [sha256.Size]byte
	signature        []byte

	prev    [sha256.Size]byte // the hash of the link before; zeros for the first
	covered []covered
	anchors []anchor
	adopted bool // the groups were found by a search: who wrote them could not link them

	passed int64 // for Verify: the latest time of the lane's links up to this one
}

// head is the newest link of a lane.
type head struct {
	number int64 // 0: there is none
	hash   [sha256.Size]byte
}

const (
	linkFormat = 1
	keyIDSize  = 8
)

// keyID names the key of a signature.
func keyID(key ed25519.PublicKey) (id [keyIDSize]byte) {
	sum := sha256.Sum256(key)
	copy(id[:], sum[:])
	return id
}

// The body of a link is 1 byte format, 1 byte flags, 8 bytes id of the key, 32 bytes the hash of the link before, then the number of groups and
// each one's place and digest, then the number of anchors and each one's lane, number and hash.
func (k *link) body(id [keyIDSize]byte) []byte {
	b := make([]byte, 0, 64+len(k.covered)*56+len(k.anchors)*50)
	flags := byte(0)
	if k.adopted {
		flags |= 1
	}
	b = append(b, linkFormat, flags)
	b = append(b, id[:]...)
	b = append(b, k.prev[:]...)
	b = binary.AppendUvarint(b, uint64(len(k.covered)))
	for i := range k.covered {
		c := &k.covered[i]
		b = binary.AppendVarint(b, c.at)
		b = binary.AppendVarint(b, c.lane)
		b = binary.AppendVarint(b, c.number)
		b = append(b, c.digest[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(k.anchors)))
	for i := range k.anchors {
		a := &k.anchors[i]
		b = binary.AppendVarint(b, a.lane)
		b = binary.AppendVarint(b, a.number)
		b = append(b, a.hash[:]...)
	}
	return b
}

// parseLink reads a link's body into it.
func (k *link) parse(body []byte) (id [keyIDSize]byte, ok bool) {
	r := reader{b: body}
	if r.byte() != linkFormat {
		return id, false
	}
	k.adopted = r.byte()&1 != 0
	copy(id[:], r.bytes(keyIDSize))
	copy(k.prev[:], r.bytes(sha256.Size))
	k.covered = make([]covered, r.count())
	for i := range k.covered {
		c := &k.covered[i]
		c.at, c.lane, c.number = r.int(), r.int(), r.int()
		copy(c.digest[:], r.bytes(sha256.Size))
	}
	k.anchors = make([]anchor, r.count())
	for i := range k.anchors {
		a := &k.anchors[i]
		a.lane, a.number = r.int(), r.int()
		copy(a.hash[:], r.bytes(sha256.Size))
	}
	return id, !r.failed && len(r.b) == 0
}

// linkHash is what a link's signature covers.
func linkHash(tenant int32, lane, number, at int64, body []byte) [sha256.Size]byte {
	h := sha256.New()
	head := append(make([]byte, 0, 64), "ward audit link\x00"...)
	head = binary.BigEndian.AppendUint32(head, uint32(tenant)) //nolint:gosec // two's complement
	for _, n := range []int64{lane, number, at} {
		head = binary.BigEndian.AppendUint64(head, uint64(n)) //nolint:gosec // two's complement
	}
	h.Write(head)
	h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}

// mostCovered is how many groups a link covers.
const mostCovered = 2000

// link adds the next link of this process's lane, which covers the groups. The caller holds t.linking and moves the head when the transaction
// is committed.
func (t *trail) link(ctx context.Context, tx db.Tx, after head, groups []covered, anchors []anchor, adopted bool) (head, error) {
	l := t.log
	k := link{lane: l.lane, number: after.number + 1, at: l.deps.Clock.Now().UnixMilli(), prev: after.hash, covered: groups, anchors: anchors, adopted: adopted}
	body := k.body(l.keyID)
	k.hash = linkHash(t.bound, k.lane, k.number, k.at, body)
	k.signature = ed25519.Sign(l.key, k.hash[:])
	_, err := tx.Insert(ctx, "audit_link", db.Col("lane", []int64{k.lane}), db.Col("number", []int64{k.number}), db.Col("at", []int64{k.at}),
		db.Col("hash", [][]byte{k.hash[:]}), db.Col("body", [][]byte{body}), db.Col("signature", [][]byte{k.signature}))
	return head{k.number, k.hash}, err
}

// lanesInUse leaps from lane to lane along the key instead of reading every link.
const lanesInUse = `WITH RECURSIVE t (n) AS (
  SELECT MIN(lane) FROM audit_link
  UNION ALL
  SELECT (SELECT MIN(k.lane) FROM audit_link k WHERE k.lane > t.n) FROM t WHERE t.n IS NOT NULL
) SELECT n FROM t WHERE n IS NOT NULL`

const lastOfLane = `SELECT number, hash, at FROM audit_link WHERE lane = $1 ORDER BY number DESC LIMIT 1`

// laneHead is the head of a lane with the time of its link.
type laneHead struct {
	anchor
	at int64
}

// heads are the newest links of all lanes.
func heads(ctx context.Context, q db.Querier) ([]laneHead, error) {
	var lanes []laneHead
	err := q.Query(ctx, lanesInUse, func(r db.Row) error {
		lanes = append(lanes, laneHead{anchor: anchor{lane: r.Int64(0)}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range lanes {
		h := &lanes[i]
		err := q.Query(ctx, lastOfLane, func(r db.Row) error {
			h.number, h.at = r.Int64(0), r.Int64(2)
			copy(h.hash[:], r.Bytes(1))
			return nil
		}, h.lane)
		if err != nil {
			return nil, err
		}
	}
	return lanes, nil
}

// open reads the head of this process's lane; for a new one also those of the others, which its first link anchors.
func (t *trail) open(ctx context.Context) (h head, others []anchor, err error) {
	err = t.log.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		h, others = head{}, nil
		err := q.Query(ctx, lastOfLane, func(r db.Row) error {
			h.number = r.Int64(0)
			copy(h.hash[:], r.Bytes(1))
			return nil
		}, t.log.lane)
		if err != nil || h.number > 0 {
			return err
		}
		lanes, err := heads(ctx, q)
		for _, o := range lanes {
			others = append(others, o.anchor)
		}
		return err
	})
	return h, others, err
}

func errLane() error {
	return fault.Internal("another process writes in this process's lane of the audit log")
}
