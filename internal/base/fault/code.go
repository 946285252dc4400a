package fault

import "net/http"

// Code says what kind of failure an error is.
type Code uint8

// The codes. The status beside each is what HTTP callers see.
const (
	CodeInternal         Code = iota // 500: a bug or a broken machine; the message is not shown
	CodeInvalid                      // 400: the request can't be understood
	CodeUnauthenticated              // 401: nobody is asking, or the token is no longer good
	CodeDenied                       // 403: the caller may not do this
	CodeTooCostly                    // 403: answering would take more than the caller may use
	CodeNotFound                     // 404: never there, or not there for this caller
	CodeMethodNotAllowed             // 405: the path exists, the method doesn't
	CodeNotAcceptable                // 406: no representation that the caller accepts
	CodeConflict                     // 409: somebody else was first
	CodeGone                         // 410: it was there and has been deleted
	CodePrecondition                 // 412: If-Match or another condition does not hold
	CodeTooLarge                     // 413: the body is larger than the route takes
	CodeTooLong                      // 414: the URL is longer than the server takes
	CodeHeaderTooLarge               // 431: the header is larger than the server takes
	CodeUnsupported                  // 415: the body's media type is not understood
	CodeUnprocessable                // 422: understood, but it breaks a rule
	CodeExhausted                    // 429: the caller used up its share; see RetryAfter
	CodeNotImplemented               // 501: known, but not offered
	CodeUnavailable                  // 503: a part is down; see RetryAfter
	CodeTimeout                      // 503: it took longer than it may
	CodeCanceled                     // 503: the caller went away or the server stops
	CodeFull                         // 507: no room to store it
	CodeElsewhere                    // 307: another Ward answers this; the Location says where
	codeCount
)

type codeFacts struct {
	name   string
	status int
}

//nolint:gochecknoglobals // constant table
var facts = [codeCount]codeFacts{
	CodeInternal:         {"internal", http.StatusInternalServerError},
	CodeInvalid:          {"invalid", http.StatusBadRequest},
	CodeUnauthenticated:  {"unauthenticated", http.StatusUnauthorized},
	CodeDenied:           {"denied", http.StatusForbidden},
	CodeTooCostly:        {"too-costly", http.StatusForbidden},
	CodeNotFound:         {"not-found", http.StatusNotFound},
	CodeMethodNotAllowed: {"method-not-allowed", http.StatusMethodNotAllowed},
	CodeNotAcceptable:    {"not-acceptable", http.StatusNotAcceptable},
	CodeConflict:         {"conflict", http.StatusConflict},
	CodeGone:             {"gone", http.StatusGone},
	CodePrecondition:     {"precondition", http.StatusPreconditionFailed},
	CodeTooLarge:         {"too-large", http.StatusRequestEntityTooLarge},
	CodeTooLong:          {"too-long", http.StatusRequestURITooLong},
	CodeHeaderTooLarge:   {"header-too-large", http.StatusRequestHeaderFieldsTooLarge},
	CodeUnsupported:      {"unsupported", http.StatusUnsupportedMediaType},
	CodeUnprocessable:    {"unprocessable", http.StatusUnprocessableEntity},
	CodeExhausted:        {"exhausted", http.StatusTooManyRequests},
	CodeNotImplemented:   {"not-implemented", http.StatusNotImplemented},
	CodeUnavailable:      {"unavailable", http.StatusServiceUnavailable},
	CodeTimeout:          {"timeout", http.StatusServiceUnavailable},
	CodeCanceled:         {"canceled", http.StatusServiceUnavailable},
	CodeFull:             {"full", http.StatusInsufficientStorage},
	CodeElsewhere:        {"elsewhere", http.StatusTemporaryRedirect},
}

// Status is the HTTP status of the code.
func (c Code) Status() int {
	if c >= codeCount {
		return http.StatusInternalServerError
	}
	return facts[c].status
}

// String is the code's name in logs and problem documents, such as "not-found".
func (c Code) String() string {
	if c >= codeCount {
		return "internal"
	}
	return facts[c].name
}

// Codes lists every code, for tables that must cover them all.
func Codes() []Code {
	all := make([]Code, codeCount)
	for i := range all {
		all[i] = Code(i)
	}
	return all
}
