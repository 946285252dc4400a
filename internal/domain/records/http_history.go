package records

import (
	"context"
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
)

const (
	defaultCount = 20   // entries of a page whose request names none
	maxCount     = 1000 // the largest page; larger ones are cut down to it
)

// historyCursor is the kind of the cursors that histories give.
const historyCursor = 100

// historyOf answers the history interactions (FHIR R4 http.html#history).
func (s *Service) historyOf(ctx context.Context, in *interaction) (answer, error) {
	v, values, err := readView(in.query)
	if err != nil {
		return answer{}, err
	}
	h := historyQuery{typ: in.typ, id: in.id}
	if err := h.read(values); err != nil {
		return answer{}, err
	}
	binding := "history " + in.typ + "/" + in.id + "?" + h.canonical(values)
	if token := values.Get("_cursor"); token != "" {
		c, err := s.openCursor(ctx, binding, token)
		if err != nil {
			return answer{}, err
		}
		if c.kind != historyCursor || len(c.position) != 8 {
			return answer{}, errCursor()
		}
		h.before = fromSortableInt64(c.position)
	}
	var page historyPage
	err = s.reading(ctx, in, func(ctx context.Context, q db.Querier) (err error) {
		page, err = s.historySeen(ctx, q, h)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	next := ""
	if page.next != 0 {
		next = s.sealCursor(ctx, binding, cursor{
			kind: historyCursor, lead: -1, position: binary.BigEndian.AppendUint64(nil, uint64(page.next)^1<<63), //nolint:gosec // read back above
		})
	}
	body, err := writeHistory(in, v, h.canonical(values), values.Get("_cursor"), page, next)
	return answer{status: http.StatusOK, body: body}, err
}

// read takes the parameters of a history, each of which may be given once.
func (h *historyQuery) read(values url.Values) error {
	h.count = defaultCount
	for name, given := range values {
		switch name {
		case "_since", "_at", "_count", "_cursor":
			if len(given) > 1 {
				return fault.Invalid("%s is given more than once (FHIR R4 http.html#history)", name)
			}
		case "_format", "_pretty", "_summary", "_elements":
		case "_list":
			return fault.NotImplemented("_list is not offered for histories")
		default:
			return fault.Invalid("a history has no parameter %q; it has _since, _at, _count, _format, _pretty, _summary and _elements", printable(name))
		}
	}
	if text := values.Get("_count"); text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil && strings.Trim(text, "0123456789") == "": // more than fits
			n = maxCount
		case err != nil || n < 0:
			return fault.Invalid("_count is a whole number from 0")
		}
		h.count = min(n, maxCount)
	}
	if text := values.Get("_since"); text != "" {
		low, _, _, err := fhir.ParseDateTime(unspaced(text))
		if err != nil {
			return fault.Invalid("_since is an instant such as 2026-01-31T12:00:00Z").With(err)
		}
		h.since = ceilMilli(low)
	}
	if text := values.Get("_at"); text != "" {
		low, high, _, err := fhir.ParseDateTime(unspaced(text))
		if err != nil {
			return fault.Invalid("_at is a date or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z").With(err)
		}
		h.from, h.until = time.UnixMicro(low).UTC(), ceilMilli(high)
	}
	return nil
}

// unspaced puts back the plus sign of a time zone, which is a blank where a client did not escape it.
func unspaced(s string) string { return strings.ReplaceAll(s, " ", "+") }

// ceilMilli rounds up to the precision that versions have.
func ceilMilli(micros int64) time.Time {
	return time.UnixMilli((micros + 999) / 1000).UTC()
}

// canonical is the query's text for links and cursors.
func (h *historyQuery) canonical(values url.Values) string {
	var parts []string
	for _, name := range []string{"_at", "_count", "_elements", "_since", "_summary"} {
		for _, value := range values[name] {
			parts = append(parts, name+"="+url.QueryEscape(value))
		}
	}
	return strings.Join(parts, "&")
}

// writeHistory writes the Bundle of a page.
func writeHistory(in *interaction, v fhir.View, query, cursor string, page historyPage, next string) ([]byte, error) {
	path := in.base
	if in.typ != "" {
		path += "/" + in.typ
	}
	if in.id != "" {
		path += "/" + in.id
	}
	head := fhir.BundleHead{Type: fhir.HistoryBundle, Total: page.total, Links: pageLinks(path+"/_history", query, cursor, next)}
	v.Pretty = false
	return bundleOf(head, v, sizeOf(page.versions), func(b *fhir.BundleWriter) error {
		for _, version := range page.versions {
			entry := fhir.BundleEntry{FullURL: in.base + "/" + version.Type + "/" + version.ID}
			if !version.Deleted() {
				entry.Resource = version.JSON
			}
			entry.Request, entry.Response = made(version)
			if err := b.Entry(&entry); err != nil {
				return err
			}
		}
		return nil
	})
}

// made tells which request made a version, and what was answered.
func made(v *Version) (*fhir.EntryRequest, *fhir.EntryResponse) {
	request := &fhir.EntryRequest{Method: http.MethodPut, URL: v.Type + "/" + v.ID}
	response := &fhir.EntryResponse{Status: "200 OK", ETag: v.ETag(), LastModified: v.Updated()}
	switch v.Op {
	case OpCreate:
		request.Method, request.URL, response.Status = http.MethodPost, v.Type, "201 Created"
	case OpPatch:
		request.Method = http.MethodPatch
	case OpDelete:
		request.Method, response.Status = http.MethodDelete, "204 No Content"
	case OpUpdate:
		if v.Number == 1 {
			response.Status = "201 Created"
		}
	}
	return request, response
}
