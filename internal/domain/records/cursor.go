package records

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
)

// A cursor says where a page ended. It is signed together with the tenant, the principal, its rights and the query, so that one from
// elsewhere, or a forged one, is refused.
type cursor struct {
	step     int        // which of the query's types, or which stream of a history
	kind     sourceKind // the source that goes on
	lead     int        // the clause that leads it; -1 for none
	position []byte

	// What the first page can have seen, where updates change the order; see stable.go.
	low, high  int64
	seen, owed []int64
}

const cursorMAC = 16

func errCursor() error {
	return fault.Invalid("the page cursor is damaged, or belongs to another search: begin again with the first page")
}

// seal spells the cursor for a URL.
func (s *Service) sealCursor(ctx context.Context, query string, c cursor) string {
	body := binary.AppendVarint(nil, int64(c.step))
	body = append(body, byte(c.kind))
	body = binary.AppendVarint(body, int64(c.lead))
	body = binary.AppendVarint(body, c.low)
	body = binary.AppendVarint(body, c.high-c.low)
	body = appendRIDs(body, c.seen)
	body = appendRIDs(body, c.owed)
	body = append(body, c.position...)
	return base64.RawURLEncoding.EncodeToString(append(s.cursorMAC(ctx, query, body), body...))
}

// openCursor errs with Invalid for whatever sealCursor did not make for this tenant and query.
func (s *Service) openCursor(ctx context.Context, query, text string) (cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < cursorMAC+4 {
		return cursor{}, errCursor()
	}
	mac, body := b[:cursorMAC], b[cursorMAC:]
	if !hmac.Equal(mac, s.cursorMAC(ctx, query, body)) {
		s.forged(ctx)
		return cursor{}, errCursor()
	}
	r := cursorReader{body: body}
	var c cursor
	c.step, c.kind, c.lead = int(r.varint()), sourceKind(r.byte()), int(r.varint())
	c.low = r.varint()
	c.high = c.low + r.varint()
	c.seen, c.owed = r.rids(), r.rids()
	if r.damaged {
		return cursor{}, errCursor()
	}
	c.position = r.body
	return c, nil
}

// appendRIDs spells a list of rids by their number and the steps between them.
func appendRIDs(dst []byte, rids []int64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(rids)))
	last := int64(0)
	for _, rid := range rids {
		dst = binary.AppendVarint(dst, rid-last)
		last = rid
	}
	return dst
}

// cursorReader takes apart what sealCursor put together.
type cursorReader struct {
	body    []byte
	damaged bool
}

func (r *cursorReader) byte() byte {
	if len(r.body) == 0 {
		r.damaged = true
		return 0
	}
	b := r.body[0]
	r.body = r.body[1:]
	return b
}

func (r *cursorReader) varint() int64 {
	v, n := binary.Varint(r.body)
	if n <= 0 {
		r.damaged, r.body = true, nil
		return 0
	}
	r.body = r.body[n:]
	return v
}

func (r *cursorReader) rids() []int64 {
	n, used := binary.Uvarint(r.body)
	if used <= 0 || n > uint64(len(r.body)) {
		r.damaged, r.body = true, nil
		return nil
	}
	r.body = r.body[used:]
	if n == 0 {
		return nil
	}
	rids, last := make([]int64, n), int64(0)
	for i := range rids {
		last += r.varint()
		rids[i] = last
	}
	return rids
}

func (s *Service) cursorMAC(ctx context.Context, query string, body []byte) []byte {
	sc, _ := scope.From(ctx)
	mac := hmac.New(sha256.New, s.cursorKey)
	_ = binary.Write(mac, binary.BigEndian, sc.Tenant.ID)
	for _, part := range []string{sc.Principal.ID, access.Of(ctx).Base()} {
		_ = binary.Write(mac, binary.BigEndian, int64(len(part)))
		mac.Write([]byte(part))
	}
	_ = binary.Write(mac, binary.BigEndian, int64(len(query)))
	mac.Write([]byte(query))
	mac.Write(body)
	return mac.Sum(nil)[:cursorMAC]
}
