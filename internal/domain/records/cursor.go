package records

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// A cursor says where a page ended. It is signed together with the tenant and the query, so that one from elsewhere,
// or a forged one, is refused.
type cursor struct {
	step     int        // which of the query's types, or which stream of a history
	kind     sourceKind // the source that goes on
	lead     int        // the clause that leads it; -1 for none
	position []byte
	snapshot int64 // the sequence at which the first page was read
}

const cursorMAC = 16

func errCursor() error {
	return fault.Invalid("the page cursor is damaged, or belongs to another search: begin again with the first page")
}

// seal spells the cursor for a URL.
func (s *Service) sealCursor(ctx context.Context, query string, c cursor) string {
	body := binary.AppendUvarint(nil, uint64(c.step)) //nolint:gosec // small and not negative
	body = append(body, byte(c.kind))
	body = binary.AppendVarint(body, int64(c.lead))
	body = binary.AppendVarint(body, c.snapshot)
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
		return cursor{}, errCursor()
	}
	var c cursor
	step, n := binary.Uvarint(body)
	if n <= 0 || len(body) == n {
		return cursor{}, errCursor()
	}
	body = body[n:]
	c.step, c.kind, body = int(step), sourceKind(body[0]), body[1:] //nolint:gosec // signed by us
	lead, n := binary.Varint(body)
	if n <= 0 {
		return cursor{}, errCursor()
	}
	c.lead, body = int(lead), body[n:]
	if c.snapshot, n = binary.Varint(body); n <= 0 {
		return cursor{}, errCursor()
	}
	c.position = body[n:]
	return c, nil
}

func (s *Service) cursorMAC(ctx context.Context, query string, body []byte) []byte {
	sc, _ := scope.From(ctx)
	mac := hmac.New(sha256.New, s.cursorKey)
	_ = binary.Write(mac, binary.BigEndian, sc.Tenant.ID)
	_ = binary.Write(mac, binary.BigEndian, int64(len(query)))
	mac.Write([]byte(query))
	mac.Write(body)
	return mac.Sum(nil)[:cursorMAC]
}
