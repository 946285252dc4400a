package fhir

import (
	"strings"

	"ward/internal/base/id"
	"ward/internal/format/fhir/spec"
)

// ReferenceKind says how a reference names its target (references.html#literal).
type ReferenceKind uint8

// The kinds of references.
const (
	NoReference ReferenceKind = iota // none of these: not usable as a reference
	Local                            // a resource on this server: Patient/1, Patient/1/_history/2, or absolute under its own base
	Remote                           // a resource by its absolute URL on another server
	Contained                        // #id: a resource inside the one that refers; "#" is that one itself
	URN                              // urn:uuid:… or urn:oid:…
	Canonical                        // any other absolute URI, with or without |version and #fragment
	Conditional                      // Patient?identifier=…, as transactions may use
)

// Ref is a parsed reference. Its parts alias the text it was parsed from.
type Ref struct {
	Kind     ReferenceKind
	Base     string // Remote: the server's base URL without a slash at the end
	Type     string // Local, Remote, Conditional: resource type
	ID       string // Local, Remote: id of the resource; Contained: id after the #
	Version  string // Local, Remote: version id; Canonical: what follows the |
	URL      string // URN, Canonical: the URI without version and fragment
	Fragment string // Local, Remote, Canonical: what follows the #
	Query    string // Conditional: what follows the ?
}

// TypeID is "Patient/1" for Local and Remote references, else empty.
func (r Ref) TypeID() string {
	if r.Kind != Local && r.Kind != Remote {
		return ""
	}
	return r.Type + "/" + r.ID
}

// ParseReference takes a reference apart. base is the base URL of this server for the tenant, with or without a slash at
// its end; absolute references under it are Local, by http and by https, which never tell two objects apart (FHIR R4
// http.html#root). What is no reference has Kind NoReference.
func ParseReference(s, base string) Ref {
	if s == "" {
		return Ref{}
	}
	if s[0] == '#' {
		return Ref{Kind: Contained, ID: s[1:]}
	}
	if scheme := schemeLen(s); scheme > 0 {
		return parseAbsolute(s, scheme, base)
	}
	if name, query, ok := strings.Cut(s, "?"); ok {
		if !spec.R4().IsResource(name) {
			return Ref{}
		}
		return Ref{Kind: Conditional, Type: name, Query: query}
	}
	path, fragment, _ := strings.Cut(s, "#")
	r, rest := parsePath(path)
	if rest != 0 {
		return Ref{}
	}
	r.Kind, r.Fragment = Local, fragment
	return r
}

func parseAbsolute(s string, scheme int, base string) Ref {
	if len(s) > 4 && strings.EqualFold(s[:4], "urn:") {
		return Ref{Kind: URN, URL: s}
	}
	url, fragment, _ := strings.Cut(s, "#")
	switch strings.ToLower(s[:scheme]) {
	case "http", "https":
		base = strings.TrimSuffix(base, "/")
		if path, ok := strings.CutPrefix(url[scheme:], base[schemeLen(base):]); ok && base != "" && strings.HasPrefix(path, "/") {
			path = path[1:]
			if name, query, ok := strings.Cut(path, "?"); ok && spec.R4().IsResource(name) {
				return Ref{Kind: Conditional, Type: name, Query: query}
			}
			if r, rest := parsePath(path); rest == 0 {
				r.Kind, r.Fragment = Local, fragment
				return r
			}
		}
		if r, rest := parsePath(url); rest > 0 {
			r.Kind, r.Base, r.Fragment = Remote, url[:rest-1], fragment
			return r
		}
	}
	url, version, _ := strings.Cut(url, "|")
	return Ref{Kind: Canonical, URL: url, Version: version, Fragment: fragment}
}

// parsePath reads Type/id or Type/id/_history/version at the end of path, and gives the offset where that starts. The
// offset is -1 when path does not end so.
func parsePath(path string) (r Ref, start int) {
	head, last, ok := cutLast(path)
	if !ok {
		return Ref{}, -1
	}
	if before, word, ok := cutLast(head); ok && word == "_history" {
		if !id.Valid(last) {
			return Ref{}, -1
		}
		r.Version = last
		if head, last, ok = cutLast(before); !ok {
			return Ref{}, -1
		}
	}
	r.ID = last
	_, r.Type, ok = cutLast(head)
	if !ok {
		r.Type = head
	}
	if !id.Valid(r.ID) || !spec.R4().IsResource(r.Type) {
		return Ref{}, -1
	}
	return r, len(head) - len(r.Type)
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// schemeLen is the length of a URI's scheme, 0 when s has none (RFC 3986 §3.1).
func schemeLen(s string) int {
	for i := range len(s) {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		case c == ':':
			return i
		default:
			return 0
		}
	}
	return 0
}
