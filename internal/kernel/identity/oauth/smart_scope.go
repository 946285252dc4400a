package oauth

import (
	"net/url"
	"slices"
	"strings"

	"ward/internal/kernel/access"
)

// The scopes that are no resources.
const (
	scopeOpenID    = "openid"
	scopeProfile   = "profile"
	scopeFHIRUser  = "fhirUser"
	scopeOffline   = "offline_access"
	scopeOnline    = "online_access"
	scopeLaunch    = "launch"
	scopePatient   = "launch/patient"
	scopeEncounter = "launch/encounter"
)

// The contexts of a resource scope (SMART App Launch 2.2, scopes and launch context).
const (
	contextPatient = "patient" // the patient in context
	contextUser    = "user"    // all that the user may see
	contextSystem  = "system"  // all that the client may see; no user is there
)

// resourceScope is a SMART scope on resources, such as patient/Observation.rs?category=laboratory, or in version 1
// patient/Observation.read.
type resourceScope struct {
	text    string // as it was asked for
	context string
	typ     string // a resource type, or *
	actions string // of c, r, u, d and s, in this order
	query   string // after the ?; version 2 only
	v1      bool
}

// parseScope reads a SMART scope on resources; false for any other text. Types are not held against a list: a scope on what does not
// exist grants nothing.
func parseScope(text string) (s resourceScope, ok bool) {
	s.text = text
	context, rest, found := strings.Cut(text, "/")
	if !found || !slices.Contains([]string{contextPatient, contextUser, contextSystem}, context) {
		return s, false
	}
	s.context = context
	rest, s.query, found = strings.Cut(rest, "?")
	if found {
		if values, err := url.ParseQuery(s.query); err != nil || len(values) == 0 {
			return s, false
		}
	}
	s.typ, s.actions, ok = strings.Cut(rest, ".")
	if !ok || !typeName(s.typ) {
		return s, false
	}
	switch s.actions {
	case "read":
		s.actions, s.v1 = "rs", true
	case "write":
		s.actions, s.v1 = "cud", true
	case "*":
		s.actions, s.v1 = "cruds", true
	default:
		if !inOrder(s.actions) {
			return s, false
		}
	}
	return s, !s.v1 || s.query == ""
}

// typeName says whether the text is * or can name a resource type.
func typeName(s string) bool {
	if s == "*" {
		return true
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return s != "" && s[0] >= 'A' && s[0] <= 'Z' && len(s) <= 64
}

// inOrder says whether the actions are some of cruds, in this order.
func inOrder(actions string) bool {
	at := 0
	for _, c := range actions {
		i := strings.IndexRune("cruds"[at:], c)
		if i < 0 {
			return false
		}
		at += i + 1
	}
	return at > 0
}

// with is the scope with the actions alone, spelled as it was: in version 1 where that can say it.
func (s resourceScope) with(actions string) resourceScope {
	if actions == s.actions {
		return s
	}
	out := s
	out.actions = actions
	spelled := actions
	if s.v1 {
		switch actions {
		case "rs":
			spelled = "read"
		case "cud":
			spelled = "write"
		}
	}
	out.text = s.context + "/" + s.typ + "." + spelled
	if s.query != "" {
		out.text += "?" + s.query
	}
	return out
}

// covers says whether whoever has s has all of t.
func (s resourceScope) covers(t resourceScope) bool {
	return s.context == t.context && (s.typ == "*" || s.typ == t.typ) && !strings.ContainsFunc(t.actions, func(c rune) bool { return !strings.ContainsRune(s.actions, c) }) &&
		(s.query == "" || s.query == t.query)
}

// known says whether the text is a scope that can be granted at all.
func known(text string) bool {
	if slices.Contains(plainScopes(), text) {
		return true
	}
	_, ok := parseScope(text)
	return ok
}

func plainScopes() []string {
	return []string{scopeOpenID, scopeProfile, scopeFHIRUser, scopeOffline, scopeOnline, scopeLaunch, scopePatient, scopeEncounter}
}

// covered says whether one of the scopes covers the text.
func covered(scopes []string, text string) bool {
	if slices.Contains(scopes, text) {
		return true
	}
	want, ok := parseScope(text)
	return ok && slices.ContainsFunc(scopes, func(have string) bool {
		s, ok := parseScope(have)
		return ok && s.covers(want)
	})
}

// narrow is what of the scope the client may have: the part that its registration covers. Actions that are not covered go;
// false when nothing is left.
func narrow(registered []string, text string) (string, bool) {
	if covered(registered, text) {
		return text, true
	}
	want, ok := parseScope(text)
	if !ok {
		return "", false
	}
	var actions strings.Builder
	for _, c := range want.actions {
		if covered(registered, want.with(string(c)).text) {
			actions.WriteRune(c)
		}
	}
	return want.with(actions.String()).text, actions.Len() > 0
}

// forRole is what of the scope can give the role anything; false when that is nothing.
func (s resourceScope) forRole(role string) (resourceScope, bool) {
	var actions strings.Builder
	for i := range len(s.actions) {
		if access.Nameable(role, s.typ, s.actions[i]) {
			actions.WriteByte(s.actions[i])
		}
	}
	return s.with(actions.String()), actions.Len() > 0
}

func fields(scope string) []string {
	var out []string
	for s := range strings.FieldsSeq(scope) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
