package audit

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/seal"
)

// Break is a place where the chain does not prove.
type Break struct {
	At   time.Time // of the link, the group or the checkpoint
	Lane int64
	Link int64  // the link's number in its lane; 0 where it is about none
	What string // one sentence

	order int64 // breaks of a lane are in the order of its links, whatever their times say
}

// String names the link and what is wrong.
func (b Break) String() string {
	if b.Link == 0 {
		return fmt.Sprintf("%s: %s", b.At.UTC().Format(time.RFC3339Nano), b.What)
	}
	return fmt.Sprintf("link %d of lane %d (%s): %s", b.Link, b.Lane, b.At.UTC().Format(time.RFC3339Nano), b.What)
}

// Report is what Verify found.
type Report struct {
	Lanes, Links, Groups, Events, Checkpoints int64
	Adopted                                   int64   // groups that a process linked for another that had died
	Former                                    int64   // other Wards' keys that prove what was recorded before an import
	Unlinked                                  int64   // groups so young that their link may still come
	Breaks                                    []Break // the earliest first, at most a hundred
	More                                      int64   // breaks that are not listed
}

// Proven says whether the whole chain holds.
func (r *Report) Proven() bool { return len(r.Breaks) == 0 }

// linkedBy is the age from which on a group without a link is a break: checkpoints, each of which links what was left, are hourly.
const linkedBy = 3 * CheckpointEvery

const mostBreaks = 100

// verifier is one run of Verify.
type verifier struct {
	log     *Log
	t       *trail
	key     *seal.Key // that opens the groups
	keys    map[[keyIDSize]byte]trusted
	report  Report
	known   coverage
	anchors []seen
	passed  int64 // the latest time of the lane's links so far
}

// seen is what one link says of another lane's.
type seen struct {
	anchor
	by link
}

// Verify reads the whole log of the scope's tenant and says what of it does not prove: rows that were altered, removed, swapped or added, links that
// don't follow each other, and what checkpoints saw and is gone. It checks signatures with this installation's key and with others that are given.
//
// Errors: the database's and the blob store's.
func (l *Log) Verify(ctx context.Context, others ...ed25519.PublicKey) (_ Report, err error) {
	defer fault.Op(&err, "audit.Verify")
	t, _, err := l.trail(ctx)
	if err != nil {
		return Report{}, err
	}
	ctx = scope.With(ctx, t.scope)
	v := &verifier{passed: math.MinInt64, log: l, t: t, keys: map[[keyIDSize]byte]trusted{}, known: coverage{}}
	for _, k := range append(others, l.PublicKey()) {
		v.keys[keyID(k)] = trusted{key: k}
	}
	// The chain grows meanwhile: what came after this moment is looked at the next time.
	now := l.deps.Clock.Now()
	err = l.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		if v.key, err = t.key(ctx); err != nil {
			return err
		}
		if err := v.inherit(ctx, q); err != nil {
			return err
		}
		lanes, err := heads(ctx, q)
		if err != nil {
			return err
		}
		v.report.Lanes = int64(len(lanes))
		for _, h := range lanes {
			if err := v.lane(ctx, q, h.lane); err != nil {
				return err
			}
		}
		if err := v.anchored(ctx, q); err != nil {
			return err
		}
		return v.unlinked(ctx, q, now)
	})
	if err == nil && l.deps.Blobs != nil {
		err = v.checkpoints(ctx)
	}
	slices.SortStableFunc(v.report.Breaks, func(a, b Break) int { return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Link, b.Link)) })
	if n := len(v.report.Breaks); n > mostBreaks {
		v.report.More, v.report.Breaks = int64(n-mostBreaks), v.report.Breaks[:mostBreaks]
	}
	return v.report, err
}

func (v *verifier) broken(at int64, lane, number int64, format string, args ...any) {
	if len(v.report.Breaks) < 100*mostBreaks {
		v.report.Breaks = append(v.report.Breaks, Break{At: time.UnixMilli(at).UTC(), Lane: lane, Link: number, What: fmt.Sprintf(format, args...), order: max(at, v.passed)})
	}
}

const linksOfLane = `SELECT number, at, hash, body, signature FROM audit_link WHERE lane = $1 AND number > $2 ORDER BY number LIMIT 200`

// lane checks the links of a lane, one after another, and the groups that they cover.
func (v *verifier) lane(ctx context.Context, q db.Querier, lane int64) error {
	var before link
	v.passed = math.MinInt64
	defer func() { v.passed = math.MinInt64 }()
	for {
		var page []link
		err := q.Query(ctx, linksOfLane, func(r db.Row) error {
			k := link{lane: lane, number: r.Int64(0), at: r.Int64(1), signature: slices.Clone(r.Bytes(4))}
			copy(k.hash[:], r.Bytes(2))
			page = append(page, v.check(k, &before, r.Bytes(3)))
			before = page[len(page)-1]
			return nil
		}, lane, before.number)
		if err != nil {
			return err
		}
		for i := range page {
			v.passed = page[i].passed
			if err := v.groups(ctx, q, &page[i]); err != nil {
				return err
			}
		}
		if len(page) < 200 {
			return nil
		}
	}
}

// check holds a link against the one before it.
func (v *verifier) check(k link, before *link, body []byte) link {
	v.report.Links++
	k.passed = max(before.passed, k.at)
	v.passed = k.passed
	id, readable := k.parse(body)
	if !readable {
		v.broken(k.at, k.lane, k.number, "its body can't be read")
		k.covered, k.anchors = nil, nil
		return k
	}
	key, known := v.keys[id]
	switch hash := linkHash(v.t.bound, k.lane, k.number, k.at, body); {
	case k.number != before.number+1:
		v.broken(k.at, k.lane, before.number+1, "it is gone: link %d follows link %d", k.number, before.number)
	case k.prev != before.hash:
		v.broken(k.at, k.lane, k.number, "it does not follow the link before it")
	case hash != k.hash:
		v.broken(k.at, k.lane, k.number, "it was altered")
	case !known:
		v.broken(k.at, k.lane, k.number, "it is signed with the key %s, which is not known here: give its public key", hex.EncodeToString(id[:]))
	case !key.covers(k.lane, k.number):
		v.broken(k.at, k.lane, k.number, "it is signed with the key %s of a Ward that the tenant had left by then", hex.EncodeToString(id[:]))
	case !ed25519.Verify(key.key, k.hash[:], k.signature):
		v.broken(k.at, k.lane, k.number, "its signature is not good")
	}
	for i := range k.anchors {
		v.anchors = append(v.anchors, seen{k.anchors[i], link{lane: k.lane, number: k.number, at: k.at}})
	}
	return k
}

// groups checks what a link covers.
func (v *verifier) groups(ctx context.Context, q db.Querier, k *link) error {
	places := make([]place, len(k.covered))
	for i := range k.covered {
		places[i] = k.covered[i].place
		v.known.add(places[i])
	}
	if k.adopted {
		v.report.Adopted += int64(len(places))
	}
	found := make(map[place]*group, len(places))
	for part := range slices.Chunk(places, 500) {
		groups, err := readGroups(ctx, q, part)
		if err != nil {
			return err
		}
		for i := range groups {
			found[groups[i].place] = &groups[i]
		}
	}
	var index indexRows
	for i := range k.covered {
		c := &k.covered[i]
		g := found[c.place]
		if g == nil {
			v.broken(k.at, k.lane, k.number, "a group of events that it covers is gone (%s)", c.place)
			continue
		}
		v.report.Groups++
		if g.digest(v.t.bound) != c.digest {
			v.broken(k.at, k.lane, k.number, "a group of events that it covers was altered (%s)", c.place)
			continue
		}
		events, err := g.events(v.key)
		if err != nil {
			v.broken(k.at, k.lane, k.number, "a group of events that it covers can't be read (%s)", c.place)
			continue
		}
		v.report.Events += int64(len(events))
		for _, key := range indexKeys(events) {
			index.add(key, c.place)
		}
	}
	missing, err := index.missing(ctx, q)
	for _, p := range missing {
		v.broken(k.at, k.lane, k.number, "a group of events that it covers is no longer found by patient and user (%s)", p)
	}
	return err
}

// String is how a place is written in reports and ids.
func (p place) String() string { return fmt.Sprintf("%d-%d-%d", p.at, p.lane, p.number) }

// indexRows are rows that audit_index must have.
type indexRows struct {
	keys, at, lane, number []int64
}

func (x *indexRows) add(key int64, p place) {
	x.keys, x.at, x.lane, x.number = append(x.keys, key), append(x.at, p.at), append(x.lane, p.lane), append(x.number, p.number)
}

func (x *indexRows) missing(ctx context.Context, q db.Querier) ([]place, error) {
	if len(x.keys) == 0 {
		return nil, nil
	}
	there := make([]bool, len(x.keys))
	err := q.Lookup(ctx, db.Lookup{
		Table: "audit_index", Want: []string{"number"},
		Keys: []db.Column{db.Col("key", x.keys), db.Col("at", x.at), db.Col("lane", x.lane), db.Col("number", x.number)},
	}, func(i int, _ db.Row) error {
		there[i] = true
		return nil
	})
	var out []place
	for i, ok := range there {
		if p := (place{x.at[i], x.lane[i], x.number[i]}); !ok && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, err
}

// anchored checks that lanes still have the links that others saw.
func (v *verifier) anchored(ctx context.Context, q db.Querier) error {
	for _, a := range v.anchors {
		there, err := hasLink(ctx, q, a.anchor)
		if err != nil {
			return err
		}
		if !there {
			v.broken(a.by.at, a.lane, a.number, "it is gone or was replaced: link %d of lane %d saw another one", a.by.number, a.by.lane)
		}
	}
	return nil
}

func hasLink(ctx context.Context, q db.Querier, a anchor) (there bool, err error) {
	err = q.Query(ctx, "SELECT hash FROM audit_link WHERE lane = $1 AND number = $2", func(r db.Row) error {
		there = string(r.Bytes(0)) == string(a.hash[:])
		return nil
	}, a.lane, a.number)
	return there, err
}

// unlinked looks for groups that no link covers.
func (v *verifier) unlinked(ctx context.Context, q db.Querier, now time.Time) error {
	return paged(ctx, q, groupsFrom, 5000, func(r db.Row) (place, error) {
		p := place{r.Int64(0), r.Int64(1), r.Int64(2)}
		switch {
		case v.known.has(p):
		case p.at < now.Add(-linkedBy).UnixMilli():
			v.broken(p.at, p.lane, 0, "a group of events is in no link: it was not recorded by Ward, or the links were cut short (%s)", p)
		default:
			v.report.Unlinked++
		}
		return p, nil
	}, int64(0), int64(math.MaxInt64))
}

// checkpoints holds the chain against what was exported.
func (v *verifier) checkpoints(ctx context.Context) error {
	sums := map[string]bool{"": true}
	return v.log.checkpoints(ctx, func(c kept, err error) error {
		at := c.At.UnixMilli()
		key, known := v.keys[keyID(c.Key)]
		switch {
		case fault.Is(err, fault.CodeInvalid), fault.Is(err, fault.CodeInternal):
			v.broken(at, 0, 0, "the checkpoint %s can't be read or was altered", c.key)
			return nil
		case err != nil:
			return err
		case c.Tenant != v.t.bound:
			v.broken(at, 0, 0, "the checkpoint %s is another tenant's", c.key)
			return nil
		case !known || key.heads != nil && at > key.at || !ed25519.Verify(key.key, checkpointMessage(c.doc), c.signature):
			v.broken(at, 0, 0, "the signature of the checkpoint %s is not good", c.key)
			return nil
		case !sums[c.Previous]:
			v.broken(at, 0, 0, "the checkpoint before %s is gone", c.key)
		}
		v.report.Checkpoints++
		sums[c.sum] = true
		return v.log.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
			for _, h := range c.Heads {
				a := anchor{lane: h.Lane, number: h.Number}
				if b, err := hex.DecodeString(h.Hash); err == nil {
					copy(a.hash[:], b)
				}
				there, err := hasLink(ctx, q, a)
				if err != nil {
					return err
				}
				if !there {
					v.broken(at, h.Lane, h.Number, "it is gone or was replaced: the checkpoint of %s saw it", c.At.Format(time.RFC3339))
				}
			}
			return nil
		})
	})
}
