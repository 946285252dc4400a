package records

import (
	"net/http"
	"strings"
)

// returned is what a writing interaction sends back (RFC 7240 §4.2, FHIR R4 http.html#prefer).
type returned uint8

const (
	returnRepresentation returned = iota // the default: the resource as it is stored now
	returnMinimal
	returnOutcome
)

// preference is the Prefer header of a request. Its zero is what a request without one gets.
type preference struct {
	returns returned
	lenient bool // handling=lenient: unknown search parameters are ignored with a warning
}

// readPreference reads all Prefer headers. What isn't understood is ignored, as RFC 7240 §2 demands; of a preference
// that is given twice the first counts.
func readPreference(h http.Header) (p preference) {
	values := h["Prefer"]
	if len(values) == 0 {
		return p
	}
	var sawReturn, sawHandling bool
	for _, line := range values {
		for item := range strings.SplitSeq(line, ",") {
			item, _, _ = strings.Cut(item, ";")
			name, value, _ := strings.Cut(item, "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch name = strings.TrimSpace(name); {
			case strings.EqualFold(name, "return") && !sawReturn:
				sawReturn = true
				switch {
				case strings.EqualFold(value, "minimal"):
					p.returns = returnMinimal
				case strings.EqualFold(value, "OperationOutcome"):
					p.returns = returnOutcome
				}
			case strings.EqualFold(name, "handling") && !sawHandling:
				sawHandling = true
				p.lenient = strings.EqualFold(value, "lenient")
			}
		}
	}
	return p
}

// statesReturn tells whether a request says what is to be returned.
func statesReturn(h http.Header) bool {
	for _, line := range h["Prefer"] {
		if strings.Contains(strings.ToLower(line), "return") {
			return true
		}
	}
	return false
}
