package search

import (
	"ward/internal/format/jsontape"
)

// eachToken calls visit with the system and code of every token at n until one returns true, which it then returns.
func eachToken(doc *jsontape.Doc, n jsontape.Node, dt datatype, visit func(system, code []byte) bool) bool {
	switch dt {
	case dtCodeableConcept:
		for c := doc.First(doc.Get(n, "coding")); c >= 0; c = doc.Next(c) {
			if eachToken(doc, c, dtCoding, visit) {
				return true
			}
		}
		return false
	case dtCoding:
		system, code := doc.Bytes(doc.Get(n, "system")), doc.Bytes(doc.Get(n, "code"))
		return len(system)+len(code) > 0 && visit(system, code)
	case dtIdentifier:
		system, value := doc.Bytes(doc.Get(n, "system")), doc.Bytes(doc.Get(n, "value"))
		return len(system)+len(value) > 0 && visit(system, value)
	case dtContactPoint:
		value := doc.Bytes(doc.Get(n, "value"))
		return len(value) > 0 && visit(nil, value)
	default:
		code := doc.Bytes(n)
		return len(code) > 0 && visit(nil, code)
	}
}

// eachText calls visit with every text that belongs to the token at n (search.html#token, :text) until one returns true.
func eachText(doc *jsontape.Doc, n jsontape.Node, dt datatype, visit func(text []byte) bool) bool {
	say := func(n jsontape.Node) bool {
		text := doc.Bytes(n)
		return len(text) > 0 && visit(text)
	}
	switch dt { //nolint:exhaustive // only these have texts
	case dtCodeableConcept:
		if say(doc.Get(n, "text")) {
			return true
		}
		for c := doc.First(doc.Get(n, "coding")); c >= 0; c = doc.Next(c) {
			if say(doc.Get(c, "display")) {
				return true
			}
		}
	case dtCoding:
		return say(doc.Get(n, "display"))
	case dtIdentifier:
		return say(doc.Get(doc.Get(n, "type"), "text"))
	}
	return false
}

// eachOfType calls visit with the type codes of an identifier and its value until one returns true.
func eachOfType(doc *jsontape.Doc, n jsontape.Node, visit func(system, code, value []byte) bool) bool {
	value := doc.Bytes(doc.Get(n, "value"))
	if len(value) == 0 {
		return false
	}
	for c := doc.First(doc.Get(doc.Get(n, "type"), "coding")); c >= 0; c = doc.Next(c) {
		if code := doc.Bytes(doc.Get(c, "code")); len(code) > 0 && visit(doc.Bytes(doc.Get(c, "system")), code, value) {
			return true
		}
	}
	return false
}

// eachString calls visit with every text of a string parameter's value at n, and whether each of its words is a beginning, until
// one returns true.
func eachString(doc *jsontape.Doc, n jsontape.Node, l *leaf, visit func(text []byte, wordy bool) bool) bool {
	say := func(n jsontape.Node, wordy bool) bool {
		return doc.Kind(n) == jsontape.String && visit(doc.Bytes(n), wordy)
	}
	list := func(n jsontape.Node) bool {
		for e := doc.First(n); e >= 0; e = doc.Next(e) {
			if say(e, false) {
				return true
			}
		}
		return false
	}
	switch l.dt {
	case dtHumanName:
		return say(doc.Get(n, "family"), true) || list(doc.Get(n, "given")) || say(doc.Get(n, "text"), true) ||
			list(doc.Get(n, "prefix")) || list(doc.Get(n, "suffix"))
	case dtAddress:
		return say(doc.Get(n, "text"), false) || list(doc.Get(n, "line")) || say(doc.Get(n, "city"), false) ||
			say(doc.Get(n, "district"), false) || say(doc.Get(n, "state"), false) || say(doc.Get(n, "postalCode"), false) ||
			say(doc.Get(n, "country"), false)
	default:
		return say(n, l.wordy)
	}
}
