package records

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// everythingCursor is the kind of the cursors that $everything gives.
const everythingCursor = 101

// everythingQuery is what $everything is asked for (FHIR R4 patient-operation-everything.html).
type everythingQuery struct {
	types      []string // the types to give, in order; those of the compartment unless _type names some
	narrowed   bool     // _type was given
	start, end string   // dates of care, as FHIR dates
	since      string
	count      int
	canonical  string
}

// everything gives all that is in a patient's or an encounter's compartment, and what it refers to, page by page: the
// resource itself, then type after type. For all patients (Patient/$everything) it goes through them by id.
func (s *Service) everything(ctx context.Context, in *interaction) (answer, error) {
	if err := mayAtAll(access.Of(ctx), in.typ, access.Read); err != nil {
		return answer{}, err
	}
	if in.id == "" {
		if err := mayAtAll(access.Of(ctx), in.typ, access.Search); err != nil {
			return answer{}, err
		}
	}
	e, err := s.everythingQuery(in)
	if err != nil {
		return answer{}, err
	}
	var (
		page *everythingPage
		c    cursor
	)
	binding := "everything " + in.typ + "/" + in.id + "?" + e.canonical
	args, err := url.ParseQuery(in.query)
	if err != nil {
		return answer{}, fault.Invalid("the URL's query is not escaped as it should be")
	}
	c.lead = -1
	if token := args.Get("_cursor"); token != "" {
		if c, err = s.openCursor(ctx, binding, token); err != nil {
			return answer{}, err
		}
		if c.kind != everythingCursor {
			return answer{}, errCursor()
		}
	}
	err = s.reading(ctx, in, func(ctx context.Context, q db.Querier) (err error) {
		page, err = s.everythingPage(ctx, q, in, e, c)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	next := ""
	if page.next != nil {
		next = s.sealCursor(ctx, binding, *page.next)
	}
	body, err := writeEverything(in, e, page, args.Get("_cursor"), next)
	return answer{status: http.StatusOK, body: body}, err
}

// everythingPage is one page of $everything.
type everythingPage struct {
	matches  []*Version
	includes []*Version
	next     *cursor
}

func (s *Service) everythingQuery(in *interaction) (*everythingQuery, error) {
	names := []string{"_since", "_type", "_count", "_cursor"}
	if in.typ == "Patient" {
		names = append(names, "start", "end")
	}
	args, err := s.arguments(in, names...)
	if err != nil {
		return nil, err
	}
	e := &everythingQuery{start: args.text("start"), end: args.text("end"), since: args.text("_since"), count: defaultCount}
	canonical := url.Values{}
	for name, text := range map[string]string{"start": e.start, "end": e.end, "_since": e.since} {
		if text == "" {
			continue
		}
		if _, _, _, err := fhir.ParseDateTime(unspaced(text)); err != nil {
			return nil, fault.Invalid("%s is a date or an instant, such as 2026-01-31", name).With(err)
		}
		canonical.Set(name, unspaced(text))
	}
	if text := args.text("_count"); text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil && strings.Trim(text, "0123456789") == "":
			n = maxCount
		case err != nil || n < 1:
			return nil, fault.Invalid("_count is a whole number from 1")
		}
		e.count = min(n, maxCount)
		canonical.Set("_count", strconv.Itoa(e.count))
	}
	members := s.memberTypes(in.typ)
	e.types = append(e.types, in.typ)
	for _, typ := range members {
		if typ != in.typ {
			e.types = append(e.types, typ)
		}
	}
	if wanted := args.texts("_type"); len(wanted) > 0 {
		e.narrowed = true
		slices.Sort(wanted)
		wanted = slices.Compact(wanted)
		for _, typ := range wanted {
			if err := s.checkType(typ); err != nil {
				return nil, fault.Invalid("_type: %s", fault.Message(err))
			}
		}
		e.types = slices.DeleteFunc(e.types, func(typ string) bool { return !slices.Contains(wanted, typ) })
		canonical.Set("_type", strings.Join(wanted, ","))
	}
	e.canonical = canonical.Encode()
	return e, nil
}

// A cursor of $everything has the type in step, and in position the compartment's id after its length and the cursor of
// the search in that type.
func everythingPosition(id, inner string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(id)))
	return append(append(b, id...), inner...)
}

func readEverythingPosition(b []byte) (id, inner string, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) { //nolint:gosec // k is at most the length
		return "", "", false
	}
	b = b[k:]
	return string(b[:n]), string(b[n:]), true
}

func (s *Service) everythingPage(ctx context.Context, q db.Querier, in *interaction, e *everythingQuery, from cursor) (*everythingPage, error) {
	page := &everythingPage{}
	resourceID, inner := in.id, ""
	if len(from.position) > 0 {
		var ok bool
		if resourceID, inner, ok = readEverythingPosition(from.position); !ok {
			return nil, errCursor()
		}
	}
	step := from.step
	if in.id != "" && step == 0 && inner == "" {
		root, err := s.read(ctx, q, in.typ, in.id)
		if err == nil {
			err = s.visible(ctx, root, access.Read)
		}
		if err == nil {
			err = root.there()
		}
		if err != nil {
			return nil, err
		}
	}
	if resourceID == "" {
		first, err := s.nextInReach(ctx, q, in.typ, "")
		if err != nil || first == "" {
			return page, err
		}
		resourceID = first
	}
	for {
		for ; step < len(e.types); step++ {
			for {
				left := e.count - len(page.matches)
				if left <= 0 {
					page.next = &cursor{step: step, kind: everythingCursor, lead: -1, position: everythingPosition(resourceID, inner)}
					return page, s.everythingIncludes(ctx, q, e, page)
				}
				found, err := s.everythingOf(ctx, q, in, e, e.types[step], resourceID, inner, left)
				if err != nil {
					return nil, err
				}
				page.matches = append(page.matches, found.Matches...)
				if inner = found.Next; inner == "" {
					break
				}
			}
		}
		if in.id != "" {
			return page, s.everythingIncludes(ctx, q, e, page)
		}
		following, err := s.nextInReach(ctx, q, in.typ, resourceID)
		if err != nil {
			return nil, err
		}
		if following == "" {
			return page, s.everythingIncludes(ctx, q, e, page)
		}
		resourceID, step = following, 0
	}
}

// everythingOf gives the members of one type.
func (s *Service) everythingOf(ctx context.Context, q db.Querier, in *interaction, e *everythingQuery, typ, resourceID, inner string, count int) (*Page, error) {
	if typ == in.typ && (typ != "Patient" || inner == "") {
		v, err := s.read(ctx, q, typ, resourceID)
		switch {
		case fault.Is(err, fault.CodeNotFound):
			return &Page{}, nil
		case err != nil:
			return nil, err
		case v.Deleted() || !e.fresh(v):
			return &Page{}, nil
		}
		if err := s.visible(ctx, v, access.Read); err != nil {
			if fault.Is(err, fault.CodeNotFound) {
				return &Page{}, nil
			}
			return nil, err
		}
		return &Page{Matches: []*Version{v}}, nil
	}
	criteria := url.Values{}
	if e.since != "" {
		criteria.Set("_lastUpdated", "ge"+unspaced(e.since))
	}
	s.addCareDates(ctx, criteria, typ, e)
	query, err := s.parse(ctx, typ, criteria.Encode(), search.Options{MaxCount: maxCount})
	if err != nil {
		return nil, err
	}
	query.Count, query.Total, query.Cursor = count, search.TotalNone, inner
	return s.search(ctx, q, Request{Query: query, CompartmentType: in.typ, CompartmentID: resourceID})
}

// fresh tells whether a version is as new as _since asks.
func (e *everythingQuery) fresh(v *Version) bool {
	if e.since == "" {
		return true
	}
	low, _, _, err := fhir.ParseDateTime(unspaced(e.since))
	return err == nil && v.Updated().UnixMicro() >= low
}

// addCareDates restricts types that have a date of care to the time asked for. Types without one are given whole.
func (s *Service) addCareDates(ctx context.Context, criteria url.Values, typ string, e *everythingQuery) {
	if e.start == "" && e.end == "" {
		return
	}
	registry, err := s.registry(ctx)
	if err != nil {
		return
	}
	_, _, date := registry.ChartParams(typ)
	if date == nil {
		return
	}
	if e.start != "" {
		criteria.Add(date.Code, "ge"+unspaced(e.start))
	}
	if e.end != "" {
		criteria.Add(date.Code, "le"+unspaced(e.end))
	}
}

const nextID = `SELECT id FROM records_resource WHERE type = $1 AND id > $2 AND op <> 4 ORDER BY id LIMIT 1`

// nextOfType is the id of the resource that follows, in the order of the index by id; empty at the end.
func (s *Service) nextOfType(ctx context.Context, q db.Querier, typ, after string) (next string, err error) {
	key := []byte{}
	if after != "" {
		key = encodeID(after)
	}
	err = q.Query(ctx, nextID, func(r db.Row) error {
		next = decodeID(r.Bytes(0))
		return nil
	}, int64(s.definitions.TypeNumber(typ)), key)
	return next, err
}

// nextInReach is nextOfType among those that the rights are about.
func (s *Service) nextInReach(ctx context.Context, q db.Querier, typ, after string) (next string, err error) {
	key := encodeID(after)
	for _, g := range access.Of(ctx).May(typ, access.Read) {
		if g.Among == nil {
			return s.nextOfType(ctx, q, typ, after)
		}
		for _, patient := range g.Among.List() {
			k := encodeID(patient)
			if (after == "" || bytes.Compare(k, key) > 0) && (next == "" || bytes.Compare(k, encodeID(next)) < 0) {
				next = patient
			}
		}
	}
	return next, nil
}

// everythingIncludes adds what the page's resources refer to outside of the compartment: practitioners, organizations,
// medications, locations and the like. Other patients' charts stay closed.
func (s *Service) everythingIncludes(ctx context.Context, q db.Querier, e *everythingQuery, page *everythingPage) error {
	if e.narrowed {
		return nil
	}
	known := make(map[string]bool, len(page.matches))
	for _, v := range page.matches {
		known[v.Type+"/"+v.ID] = true
	}
	byType := map[string][]string{}
	var doc jsontape.Doc
	for _, v := range page.matches {
		if err := doc.Parse(v.JSON); err != nil {
			return fault.Internal("a stored resource does not parse").With(err)
		}
		w := linkWalk{
			definitions: s.definitions, doc: &doc,
			reference: func(text string, _ jsontape.Node) {
				ref := fhir.ParseReference(text, "")
				if ref.Type == "" || ref.ID == "" || !s.definitions.IsResource(ref.Type) || slices.Contains(e.types, ref.Type) {
					return
				}
				if key := ref.TypeID(); !known[key] {
					known[key] = true
					byType[ref.Type] = append(byType[ref.Type], ref.ID)
				}
			},
			uri:       func(string, jsontape.Node) {},
			narrative: func(jsontape.Node) {},
		}
		w.resource(doc.Root())
	}
	types := make([]string, 0, len(byType))
	for typ := range byType {
		types = append(types, typ)
	}
	slices.Sort(types)
	registry, err := s.registry(ctx)
	if err != nil {
		return err
	}
	for _, typ := range types {
		found, err := s.byID(ctx, q, typ, byType[typ])
		if err != nil {
			return err
		}
		for _, v := range found {
			ok, err := s.sees(registry, access.Of(ctx), v, access.Read, access.Search)
			if err != nil {
				return err
			}
			if ok {
				page.includes = append(page.includes, v)
			}
		}
	}
	return nil
}

// byID reads resources of a type in one round trip; those that are not there or deleted are left out.
func (s *Service) byID(ctx context.Context, q db.Querier, typ string, ids []string) ([]*Version, error) {
	types, keys := make([]int32, len(ids)), make([][]byte, len(ids))
	for i, resourceID := range ids {
		types[i], keys[i] = int32(s.definitions.TypeNumber(typ)), encodeID(resourceID)
	}
	found := make([]*Version, len(ids))
	err := q.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body"},
		Keys: []db.Column{db.Col("type", types), db.Col("id", keys)},
	}, func(i int, r db.Row) error {
		v, err := s.scanVersion(ctx, r, typ, ids[i])
		if err == nil && !v.Deleted() {
			found[i] = v
		}
		return err
	})
	return slices.DeleteFunc(found, func(v *Version) bool { return v == nil }), err
}

// writeEverything writes the Bundle of a page.
func writeEverything(in *interaction, e *everythingQuery, page *everythingPage, cursor, next string) ([]byte, error) {
	path := in.base + "/" + in.typ
	if in.id != "" {
		path += "/" + in.id
	}
	head := fhir.BundleHead{Type: fhir.Searchset, Total: fhir.NoTotal, Links: pageLinks(path+"/$everything", e.canonical, cursor, next)}
	return bundleOf(head, fhir.View{}, sizeOf(page.matches, page.includes), func(b *fhir.BundleWriter) error {
		for _, v := range page.matches {
			if err := b.Entry(found(in.base, v, fhir.Match)); err != nil {
				return err
			}
		}
		for _, v := range page.includes {
			if err := b.Entry(found(in.base, v, fhir.Include)); err != nil {
				return err
			}
		}
		return nil
	})
}
