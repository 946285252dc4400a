package patch

import (
	"slices"
	"strconv"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
)

// pointer is a JSON Pointer (RFC 6901): its tokens, unescaped.
type pointer []string

func readPointer(p *jsontape.Doc, operation jsontape.Node, member string) (pointer, error) {
	n := p.Get(operation, member)
	if p.Kind(n) != jsontape.String {
		return nil, fault.Invalid(`the member "%s" must be there and be a string`, member)
	}
	out, reason := parsePointer(p.Text(n))
	if reason != "" {
		return nil, fault.Invalid(`"%s" is no JSON Pointer: %s`, member, reason)
	}
	return out, nil
}

func parsePointer(s string) (out pointer, reason string) {
	if s == "" {
		return nil, ""
	}
	if s[0] != '/' {
		return nil, `it must be empty or start with "/"`
	}
	if strings.Count(s, "/") > 2*jsontape.DefaultMaxDepth {
		return nil, "it is too deep"
	}
	for token := range strings.SplitSeq(s[1:], "/") {
		for i := range len(token) {
			if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
				return nil, `"~" is written "~0", and "~1" stands for "/"`
			}
		}
		out = append(out, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"))
	}
	return out, ""
}

// String is the pointer as it may be shown: tokens that don't look like names of elements or indexes are left out.
func (p pointer) String() string {
	if len(p) == 0 {
		return "the document"
	}
	var b strings.Builder
	for _, token := range p {
		b.WriteByte('/')
		if plain(token) {
			b.WriteString(token)
		} else {
			b.WriteString("…")
		}
	}
	return b.String()
}

func plain(token string) bool {
	for i := range len(token) {
		c := token[i]
		if c != '_' && c != '-' && (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return token != "" && len(token) <= 64
}

// inside says whether other points to something inside what p points to.
func (p pointer) inside(other pointer) bool {
	return len(other) > len(p) && p.equal(other[:len(p)])
}

func (p pointer) equal(other pointer) bool { return slices.Equal(p, other) }

// find is the value that the first depth tokens point to.
func (p pointer) find(d *jsontape.Doc, depth int) (jsontape.Node, error) {
	n := d.Root()
	for i, token := range p[:depth] {
		next := jsontape.Invalid
		switch kind := d.Kind(n); kind {
		case jsontape.Object:
			if next = d.Get(n, token); next < 0 {
				return next, fault.Unprocessable("there is no %s", p[:i+1])
			}
		case jsontape.Array:
			if token == "-" {
				return next, fault.Unprocessable(`there is no %s: "-" is the place after the last element`, p[:i+1])
			}
			index, err := arrayIndex(token)
			if err != nil {
				return next, err
			}
			if next = d.Index(n, index); next < 0 {
				return next, fault.Unprocessable("there is no %s: the array has %d elements", p[:i+1], d.Len(n))
			}
		case jsontape.None, jsontape.Null, jsontape.False, jsontape.True, jsontape.Number, jsontape.String:
			return next, fault.Unprocessable("there is no %s: %s is %s", p[:i+1], p[:i], kind)
		}
		n = next
	}
	return n, nil
}

// arrayIndex reads an index: digits without leading zeros (RFC 6901 §4).
func arrayIndex(token string) (int, error) {
	i, err := strconv.Atoi(token)
	if err != nil || strconv.Itoa(i) != token || i < 0 {
		return 0, fault.Unprocessable("an element of an array is named by its index, counted from 0")
	}
	return i, nil
}
