package records

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/format/fhir"
)

// view is what the general parameters of a URL ask for (FHIR R4 http.html#parameters).
type view struct {
	fhir.View
	content []string // the Content-Type of the answer
}

// plain tells whether resources are sent as they are stored.
func (v *view) plain() bool { return !v.Pretty && v.Whole() }

// readView reads the general parameters of a URL's query and gives all parameters.
func readView(rawQuery string) (v fhir.View, values url.Values, err error) {
	if rawQuery == "" {
		return v, nil, nil
	}
	if values, err = url.ParseQuery(rawQuery); err != nil {
		return v, nil, fault.Invalid("the URL's query is not escaped as it should be")
	}
	for _, name := range []string{"_format", "_pretty", "_summary"} {
		if len(values[name]) > 1 {
			return v, nil, fault.Invalid("%s is given more than once", name)
		}
	}
	v, err = fhir.ParseView(values.Get("_summary"), strings.Join(values["_elements"], ","), values.Get("_pretty"))
	return v, values, err
}

// from begins an interaction with what its HTTP request says, and checks the path and the Accept header.
func (s *Service) from(r *http.Request) (in interaction, v view, err error) {
	var values url.Values
	if v.View, values, err = readView(r.URL.RawQuery); err != nil {
		return in, v, err
	}
	if v.content, err = negotiate(r.Header, values.Get("_format")); err != nil {
		return in, v, err
	}
	in.typ, in.id = r.PathValue("type"), r.PathValue("id")
	if in.typ != "" {
		if err = s.checkType(in.typ); err != nil {
			return in, v, err
		}
	}
	if in.id != "" && !id.Valid(in.id) {
		return in, v, errNoID(in.id)
	}
	in.method, in.query, in.base = r.Method, r.URL.RawQuery, s.baseOf(r)
	in.prefer = readPreference(r.Header)
	in.ifMatch = strings.Join(r.Header["If-Match"], ",")
	in.ifNoneMatch = r.Header["If-None-Match"]
	in.ifModifiedSince = r.Header.Get("If-Modified-Since")
	in.ifNoneExist = strings.TrimPrefix(r.Header.Get("If-None-Exist"), "?")
	return in, v, nil
}

// criteriaOnly is a URL's query without the general parameters, for conditional interactions.
func criteriaOnly(rawQuery string) string {
	if rawQuery == "" || !strings.Contains(rawQuery, "_") {
		return rawQuery
	}
	kept := make([]string, 0, 4)
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "_format", "_pretty", "_summary", "_elements", "":
		default:
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// readBody reads a request's body, up to the limit that the route has.
func readBody(r *http.Request) ([]byte, error) {
	size := min(max(r.ContentLength, 512), 1<<20)
	buf := make([]byte, 0, size)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if _, coded := fault.Of(err); coded {
			return nil, err
		}
		if err != nil {
			return nil, fault.Invalid("the body could not be read to its end").With(err)
		}
	}
}

// send writes an answer as the interaction's HTTP response (FHIR R4 http.html).
func (s *Service) send(w http.ResponseWriter, in *interaction, v view, a *answer) error {
	h := w.Header()
	if a.version != nil {
		h["Etag"] = []string{a.version.ETag()}
		h["Last-Modified"] = []string{a.version.Updated().Format(http.TimeFormat)}
		if a.created {
			h["Location"] = []string{versionURL(in.base, a.version)}
		}
	} else if a.etag != "" {
		h["Etag"] = []string{a.etag}
	}
	if a.status == http.StatusNotModified {
		w.WriteHeader(a.status)
		return nil
	}
	body := s.bodyOf(in, v, a)
	if body == nil {
		if a.status == http.StatusOK && a.wrote {
			h["Content-Length"] = []string{"0"}
		}
		w.WriteHeader(a.status)
		return nil
	}
	status := a.status
	if status == http.StatusNoContent {
		status = http.StatusOK
	}
	if a.wrote && in.prefer.returns == returnRepresentation && a.version != nil {
		h["Content-Location"] = []string{versionURL(in.base, a.version)}
	}
	h["Content-Type"] = v.content
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// bodyOf is what an answer shows; nil for an empty body.
func (s *Service) bodyOf(in *interaction, v view, a *answer) []byte {
	switch {
	case a.wrote && in.prefer.returns == returnMinimal:
		return nil
	case a.wrote && in.prefer.returns == returnOutcome:
		return fhir.View{Pretty: v.Pretty}.AppendBytes(nil, a.outcome(in))
	case a.body != nil && v.plain():
		return a.body
	case a.body != nil:
		return v.AppendBytes(nil, a.body)
	case a.version == nil || a.version.Deleted():
		return nil
	case v.plain():
		return a.version.JSON
	}
	return v.AppendBytes(nil, a.version.JSON)
}

func versionURL(base string, v *Version) string {
	return base + "/" + v.Type + "/" + v.ID + "/_history/" + strconv.FormatInt(v.Number, 10)
}
