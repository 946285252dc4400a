package records

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
	"ward/internal/kernel/access"
)

// handleSearch answers GET searches of a type, the system and a compartment. The answer's bytes come from the cache where
// they still stand: then nothing is parsed.
func (s *Service) handleSearch(w http.ResponseWriter, r *http.Request) error {
	prefer := readPreference(r.Header)
	base := s.baseOf(r)
	ctx, err := s.enter(r.Context())
	if err != nil {
		return err
	}
	r = r.WithContext(ctx)
	var buf [512]byte
	key := searchKey(buf[:0], access.Of(ctx).Fingerprint(), base, r, prefer)
	if body, ok := s.answers.kept(r.Context(), key); ok {
		if content, err := negotiate(r.Header, ""); err == nil {
			if err := s.recordKept(r, base, body); err != nil {
				return err
			}
			return sendBody(w, content, body)
		}
	}
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	in.members = r.PathValue("members")
	req, opts, err := s.request(r.Context(), &in)
	if err != nil {
		return err
	}
	tags := s.cacheTags(r.Context(), req)
	body, err := s.answers.answer(r.Context(), key, tags, func() ([]byte, error) {
		body, err := s.searchset(r.Context(), s.db.Read, &in, req, opts)
		if err != nil || !v.Pretty {
			return body, err
		}
		return fhir.View{Pretty: true}.AppendBytes(nil, body), nil
	})
	if err != nil {
		return err
	}
	if err := s.recordSearch(r.Context(), &in, body); err != nil {
		return err
	}
	return sendBody(w, v.content, body)
}

func sendBody(w http.ResponseWriter, content []string, body []byte) error {
	h := w.Header()
	h["Content-Type"] = content
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, err := w.Write(body)
	return err
}

// searchKey names an answer in the cache. All that the answer depends on besides the data is in it.
func searchKey(dst []byte, rights, base string, r *http.Request, prefer preference) []byte {
	dst = append(append(append(dst, "search "...), rights...), ' ')
	if prefer.lenient {
		dst = append(dst, "lenient "...)
	}
	dst = append(dst, base...)
	dst = append(append(dst, ' '), r.URL.Path...)
	return append(append(dst, '?'), r.URL.RawQuery...)
}

// handleSearchForm answers POST _search, whose criteria are in the URL and in the body (FHIR R4 http.html#search).
func (s *Service) handleSearchForm(w http.ResponseWriter, r *http.Request) error {
	if _, err := bodyFormat(r.Header, fhir.FormBody); err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	form := strings.TrimSpace(string(body))
	values, err := url.ParseQuery(form)
	if err != nil {
		return fault.Invalid("the form is not escaped as it should be")
	}
	if format := values.Get("_format"); format != "" && !r.URL.Query().Has("_format") {
		r.Header.Del("Accept") // _format goes before it
	}
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	if format := values.Get("_format"); format != "" {
		if v.content, err = negotiate(r.Header, format); err != nil {
			return err
		}
	}
	if form != "" {
		in.query = strings.TrimPrefix(in.query+"&"+form, "&")
	}
	in.search, in.members = true, r.PathValue("members")
	a, err := s.perform(r.Context(), &in)
	if err != nil {
		return err
	}
	v.Pretty = v.Pretty || values.Get("_pretty") == "true"
	return s.send(w, &in, view{View: fhir.View{Pretty: v.Pretty}, content: v.content}, &a)
}

// searchFor answers a search that is not taken from the cache.
func (s *Service) searchFor(ctx context.Context, in *interaction) (answer, error) {
	req, opts, err := s.request(ctx, in)
	if err != nil {
		return answer{}, err
	}
	read := s.db.Read
	if in.inside != nil {
		read = func(ctx context.Context, fn func(context.Context, db.Querier) error) error { return fn(ctx, in.inside) }
	}
	body, err := s.searchset(ctx, read, in, req, opts)
	return answer{status: http.StatusOK, body: body}, err
}

// request reads the criteria of a search and what it is about.
func (s *Service) request(ctx context.Context, in *interaction) (Request, search.Options, error) {
	opts := search.Options{Lenient: in.prefer.lenient, Base: in.base}
	typ := in.typ
	var req Request
	if in.members != "" {
		if strings.HasPrefix(in.members, "$") {
			return req, opts, errNoID(in.members)
		}
		compartment := s.definitions.Compartment(in.typ)
		if compartment.Name == "" {
			return req, opts, fault.NotFound("%s is no compartment: those of FHIR R4 are Device, Encounter, Patient, Practitioner and RelatedPerson", in.typ)
		}
		req.CompartmentType, req.CompartmentID = in.typ, in.id
		typ = in.members
		if typ == "*" {
			typ = ""
		} else if len(compartment.Params(typ)) == 0 {
			return req, opts, fault.NotFound("a %s compartment holds no %s", in.typ, printable(typ))
		}
	}
	if typ != "" {
		if err := mayAtAll(access.Of(ctx), typ, access.Search); err != nil {
			return req, opts, err
		}
	}
	query, err := s.parse(ctx, typ, in.query, opts)
	if err != nil {
		return req, opts, err
	}
	req.Query = query
	if query.Summary == "text" && len(query.Include)+len(query.RevInclude) > 0 {
		return req, opts, fault.Invalid("_include and _revinclude can't be mixed with _summary=text (FHIR R4 search.html#summary)")
	}
	if query.Summary == "count" {
		query.Count = 0
	}
	if in.members == "*" {
		if len(query.Types) == 0 {
			query.Types = s.memberTypes(in.typ)
		}
	}
	return req, opts, nil
}

// memberTypes are the types that a compartment can hold, in alphabetical order.
func (s *Service) memberTypes(compartment string) []string {
	c := s.definitions.Compartment(compartment)
	var types []string
	for _, typ := range s.definitions.ResourceTypes() {
		if len(c.Params(typ)) > 0 {
			types = append(types, typ)
		}
	}
	return types
}

// searchset runs the search and writes its Bundle.
func (s *Service) searchset(ctx context.Context, read readFunc, in *interaction, req Request, _ search.Options) ([]byte, error) {
	var page *Page
	err := read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		page, err = s.search(ctx, q, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return writeSearchset(in, req, page)
}

type readFunc func(ctx context.Context, fn func(ctx context.Context, q db.Querier) error) error

// writeSearchset writes the Bundle of a page.
func writeSearchset(in *interaction, req Request, page *Page) ([]byte, error) {
	path := in.base
	if in.typ != "" {
		path += "/" + in.typ
	}
	if in.members != "" {
		path += "/" + in.id + "/" + in.members
	}
	head := fhir.BundleHead{Type: fhir.Searchset, Total: fhir.NoTotal, Links: pageLinks(path, req.Canonical, req.Cursor, page.Next)}
	if page.Total != nil {
		head.Total = *page.Total
	}
	shown, err := fhir.ParseView(req.Summary, strings.Join(req.Elements, ","), "")
	if err != nil {
		return nil, err
	}
	warnings := page.Warnings
	for _, ignored := range req.Ignored {
		warnings = append(warnings, fault.Detail{Severity: "warning", Kind: "not-supported", Message: ignored})
	}
	return bundleOf(head, shown, sizeOf(page.Matches, page.Includes), func(b *fhir.BundleWriter) error {
		for _, m := range page.Matches {
			if err := b.Entry(found(in.base, m, fhir.Match)); err != nil {
				return err
			}
		}
		for _, m := range page.Includes {
			if err := b.Entry(found(in.base, m, fhir.Include)); err != nil {
				return err
			}
		}
		if len(warnings) == 0 {
			return nil
		}
		return b.Entry(&fhir.BundleEntry{Resource: fhir.AppendIssues(nil, warnings...), Mode: fhir.Outcome})
	})
}

// pageLinks are the links of a page of a search or a history (FHIR R4 http.html#paging).
func pageLinks(path, query, cursor, next string) []fhir.Link {
	first := path
	if query != "" {
		first += "?" + query
	}
	links := []fhir.Link{{Relation: "self", URL: first}}
	if cursor != "" {
		links = []fhir.Link{{Relation: "self", URL: withParameter(first, "_cursor", cursor)}, {Relation: "first", URL: first}}
	}
	if next != "" {
		links = append(links, fhir.Link{Relation: "next", URL: withParameter(first, "_cursor", next)})
	}
	return links
}

func found(base string, v *Version, mode string) *fhir.BundleEntry {
	return &fhir.BundleEntry{FullURL: base + "/" + v.Type + "/" + v.ID, Resource: v.JSON, Mode: mode}
}

// sizeOf guesses how many bytes the entries of versions take.
func sizeOf(lists ...[]*Version) int {
	size := 512
	for _, list := range lists {
		for _, v := range list {
			size += len(v.JSON) + 320
		}
	}
	return size
}

// bundleOf writes a bundle into memory.
func bundleOf(head fhir.BundleHead, shown fhir.View, size int, fill func(b *fhir.BundleWriter) error) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, size))
	b := fhir.NewBundle(out, head, shown)
	if err := fill(b); err != nil {
		return nil, err
	}
	if err := b.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func withParameter(u, name, value string) string {
	separator := "?"
	if strings.Contains(u, "?") {
		separator = "&"
	}
	return u + separator + name + "=" + url.QueryEscape(value)
}
