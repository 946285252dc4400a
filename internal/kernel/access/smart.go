package access

import (
	"net/url"
	"strings"

	"ward/internal/base/scope"
)

// smartScope is a scope for resources, such as patient/Observation.rs?category=laboratory (SMART App Launch 2.2, scopes-and-launch-context.html).
type smartScope struct {
	context string // patient, user or system
	typ     string // empty: all
	actions string // of "cruds"
	filter  string // search criteria
}

const (
	patientContext = "patient"
	userContext    = "user"
	systemContext  = "system"
)

// covers says whether the scope is about the action on the type.
func (s smartScope) covers(typ string, a Action) bool {
	return (s.typ == "" || s.typ == typ) && strings.IndexByte(s.actions, letters[a]) >= 0
}

// parseScopes reads the scopes for resources. Scopes for anything else, such as openid or launch/patient, and those that are not
// understood give nothing.
func parseScopes(p *scope.Principal) (list []smartScope) {
	for text := range strings.FieldsSeq(p.Scopes) {
		if s, ok := parseScope(text); ok {
			list = append(list, s)
		}
	}
	return list
}

// parseScope reads one scope for resources, of version 1 (.read, .write, .*) or 2 (.cruds, in this order).
func parseScope(text string) (s smartScope, ok bool) {
	var rest string
	if s.context, rest, ok = strings.Cut(text, "/"); !ok {
		return s, false
	}
	switch s.context {
	case patientContext, userContext, systemContext:
	default:
		return s, false
	}
	rest, s.filter, _ = strings.Cut(rest, "?")
	if s.typ, s.actions, ok = strings.Cut(rest, "."); !ok || s.typ == "" {
		return s, false
	}
	if s.typ == "*" {
		s.typ = ""
	}
	switch s.actions {
	case "read":
		s.actions = "rs"
	case "write":
		s.actions = "cud"
	case "*":
		s.actions = letters
	default:
		if !ordered(s.actions) {
			return s, false
		}
	}
	if _, err := url.ParseQuery(s.filter); err != nil {
		return s, false
	}
	return s, true
}

// ordered says whether the text is letters of "cruds", at least one, each once and in this order.
func ordered(text string) bool {
	at := -1
	for i := range len(text) {
		n := strings.IndexByte(letters, text[i])
		if n <= at {
			return false
		}
		at = n
	}
	return at >= 0
}

// ValidScope says whether the text is a scope for resources that Ward understands.
func ValidScope(text string) bool {
	_, ok := parseScope(text)
	return ok
}
