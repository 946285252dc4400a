package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/kernel/observe"
)

// problem is a problem document (RFC 9457).
type problem struct {
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail"`
	Code    string          `json:"code"`
	Request string          `json:"request,omitempty"`
	Errors  []problemDetail `json:"errors,omitempty"`

	// Where OAuth is spoken, its error object (RFC 6749 §5.2) is in the same document.
	OAuthError       string `json:"error,omitempty"`
	OAuthDescription string `json:"error_description,omitempty"`
}

type problemDetail struct {
	Detail  string `json:"detail"`
	Pointer string `json:"pointer,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

// elsewhere is in the chain of a fault of CodeElsewhere: the same request is answered below another address.
type elsewhere interface {
	error
	BaseURL() string
}

// fail answers with err. Nothing of the answer may have left.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, ofFHIR, basic bool, err error) {
	code := fault.CodeOf(err)
	h := w.Header()
	if after := fault.RetryAfter(err); after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	} else if code.Status() == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if code == fault.CodeUnauthenticated && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Bearer realm="ward"`)
		if basic {
			h.Set("WWW-Authenticate", `Basic realm="ward", charset="UTF-8"`)
		}
	}
	if at, ok := errors.AsType[elsewhere](err); ok {
		h.Set("Location", at.BaseURL()+r.URL.RequestURI())
	}
	if code == fault.CodeTooLarge {
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	var body []byte
	if ofFHIR {
		h.Set("Content-Type", fhir.ContentType)
		body = fhir.AppendOutcome(nil, err)
	} else {
		h.Set("Content-Type", "application/problem+json")
		if speaks(r.URL.Path, "oauth2") {
			h.Set("Content-Type", "application/json")
			h.Set("Cache-Control", "no-store")
		}
		body = problemBody(r, code, err)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code.Status())
	if r.Method != http.MethodHead {
		_, _ = bytes.NewReader(body).WriteTo(w)
	}
}

func problemBody(r *http.Request, code fault.Code, err error) []byte {
	p := problem{Title: http.StatusText(code.Status()), Status: code.Status(), Detail: fault.Message(err), Code: code.String()}
	if speaks(r.URL.Path, "oauth2") {
		p.OAuthError, p.OAuthDescription = oauthWord(code), p.Detail
	}
	if q, ok := observe.RequestFrom(r.Context()); ok {
		p.Request = q.ID
	}
	for _, d := range fault.Details(err) {
		p.Errors = append(p.Errors, problemDetail{Detail: d.Message, Pointer: d.Expression, Line: d.Line, Column: d.Column})
	}
	body, err := json.Marshal(p)
	if err != nil {
		return []byte(`{"title":"Internal Server Error","status":500,"detail":"internal error","code":"internal"}`)
	}
	return body
}

// speaksFHIR says whether errors on the path are OperationOutcomes: /t/{tenant}/fhir and below.
func speaksFHIR(path string) bool { return speaks(path, "fhir") }

// speaks says whether the path is /t/{tenant}/part or below.
func speaks(path, part string) bool {
	rest, ok := strings.CutPrefix(path, "/t/")
	if !ok {
		return false
	}
	_, rest, ok = strings.Cut(rest, "/")
	return ok && (rest == part || strings.HasPrefix(rest, part+"/"))
}

// oauthWord is the code in OAuth's words (RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1).
func oauthWord(code fault.Code) string {
	switch code {
	case fault.CodeUnauthenticated:
		return "invalid_token"
	case fault.CodeDenied:
		return "access_denied"
	case fault.CodeExhausted, fault.CodeUnavailable, fault.CodeTimeout, fault.CodeCanceled:
		return "temporarily_unavailable"
	case fault.CodeInternal, fault.CodeFull:
		return "server_error"
	default:
		return "invalid_request"
	}
}

// unrouted answers what no route matches: 405 with Allow where the path has other methods, else 404.
func (s *Server) unrouted(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	probe := *r
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions,
	} {
		probe.Method = method
		if _, pattern := s.mux.Handler(&probe); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return fault.NotFound("there is nothing at this path")
	}
	list := strings.Join(allowed, ", ")
	w.Header().Set("Allow", list)
	return fault.MethodNotAllowed("this path takes %s", list)
}

// seconds since began, for metrics.
func seconds(began, ended time.Time) float64 { return ended.Sub(began).Seconds() }
