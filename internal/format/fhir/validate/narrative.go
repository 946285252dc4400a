package validate

import (
	"bytes"
	"slices"
	"strings"

	"ward/internal/format/jsontape"
)

const xhtmlNamespace = "http://www.w3.org/1999/xhtml"

// The elements and attributes that txt-1 allows, in order.
//
//nolint:gochecknoglobals // constant tables
var (
	htmlElements = strings.Fields(`a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr
		i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var`)
	htmlAttributes = strings.Fields(`abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff
		charset cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc name nowrap rel rev rowspan rules
		scope shape span src start style summary tabindex title type valign value vspace width`)
)

// narrative checks the XHTML of Narrative.div: well-formed, rooted in a div of the XHTML namespace, limited to what txt-1 allows. That it is
// not blank (txt-2) is not asked: HL7's own examples have blank ones.
func (r *run) narrative(n jsontape.Node, b []byte) {
	if problem := r.xhtml(b); problem != "" {
		kind := kindValue
		if strings.HasPrefix(problem, "txt-") {
			kind = kindInvariant
		}
		r.report(n, kind, problem)
	}
}

// xhtml says what is wrong with the markup; empty when nothing is.
func (r *run) xhtml(b []byte) string {
	b = bytes.TrimSpace(b)
	if !bytes.HasPrefix(b, []byte("<div")) {
		return "div must be XHTML that starts with <div xmlns=\"" + xhtmlNamespace + "\">"
	}
	r.tags = r.tags[:0]
	for {
		open := bytes.IndexByte(b, '<')
		text := b
		if open >= 0 {
			text = b[:open]
		}
		if !isText(text) {
			return "div must be well-formed XHTML: '&' starts an entity such as &amp;"
		}
		if open < 0 {
			return "div must be well-formed XHTML: <" + r.openTag() + "> is not closed"
		}
		b = b[open:]
		rest, problem := r.markup(b)
		if problem != "" {
			return problem
		}
		b = rest
		if len(r.tags) == 0 {
			break
		}
	}
	if len(b) > 0 {
		return "div must end with the </div> that closes its first <div>"
	}
	return ""
}

// openTag is the innermost open element, for messages.
func (r *run) openTag() string { return htmlName(r.tags[len(r.tags)-1]) }

// htmlName is a name when it is one that HTML has, so that no other text gets into a message.
func htmlName(name []byte) string {
	if contains(htmlElements, name) {
		return string(name)
	}
	return "element"
}

// contains looks a name up in one of the lists above.
func contains(list []string, name []byte) bool {
	_, found := slices.BinarySearchFunc(list, name, func(a string, b []byte) int { return strings.Compare(a, string(b)) })
	return found
}

// markup reads a tag, comment or processing instruction at the front of b and gives what follows it.
func (r *run) markup(b []byte) (rest []byte, problem string) {
	const malformed = "div must be well-formed XHTML: "
	switch {
	case bytes.HasPrefix(b, []byte("<!--")):
		end := bytes.Index(b[4:], []byte("-->"))
		if end < 0 {
			return nil, malformed + "a comment is not closed"
		}
		return b[4+end+3:], ""
	case bytes.HasPrefix(b, []byte("<![CDATA[")), bytes.HasPrefix(b, []byte("<!")), bytes.HasPrefix(b, []byte("<?")):
		return nil, "txt-1: the narrative must not have declarations, CDATA sections or processing instructions"
	case bytes.HasPrefix(b, []byte("</")):
		b = b[2:]
		n := nameLength(b)
		if n == 0 || len(r.tags) == 0 || !bytes.Equal(b[:n], r.tags[len(r.tags)-1]) {
			return nil, malformed + "<" + r.openTag() + "> is closed by another element's end"
		}
		b = bytes.TrimLeft(b[n:], " \t\r\n")
		if len(b) == 0 || b[0] != '>' {
			return nil, malformed + "</" + r.openTag() + " must end with >"
		}
		r.tags = r.tags[:len(r.tags)-1]
		return b[1:], ""
	}
	b = b[1:]
	n := nameLength(b)
	if n == 0 {
		return nil, malformed + "'<' starts a tag; write &lt; for the character"
	}
	name := b[:n]
	if !contains(htmlElements, name) {
		return nil, "txt-1: the narrative has an element that FHIR does not allow; basic formatting, tables, lists, links and images are"
	}
	rest, closed, problem := r.attributes(b[n:])
	if problem == "" && !closed {
		r.tags = append(r.tags, name)
	}
	return rest, problem
}

// attributes reads a tag from behind its name to its end. closed says that it ends with "/>".
func (r *run) attributes(b []byte) (rest []byte, closed bool, problem string) {
	const malformed = "div must be well-formed XHTML: in a tag, "
	namespace := len(r.tags) > 0
	for {
		spaced := len(b)
		b = bytes.TrimLeft(b, " \t\r\n")
		switch {
		case len(b) > 0 && b[0] == '>', len(b) > 1 && b[0] == '/' && b[1] == '>':
			if !namespace {
				return nil, false, "the first div must say xmlns=\"" + xhtmlNamespace + "\""
			}
			if b[0] == '>' {
				return b[1:], false, ""
			}
			return b[2:], true, ""
		case len(b) == 0:
			return nil, false, malformed + "the tag is not closed"
		case spaced == len(b):
			return nil, false, malformed + "white space must stand before an attribute"
		}
		n := nameLength(b)
		if n == 0 {
			return nil, false, malformed + "an attribute's name is expected"
		}
		name := b[:n]
		b = bytes.TrimLeft(b[n:], " \t\r\n")
		if len(b) == 0 || b[0] != '=' {
			return nil, false, malformed + "an attribute must have a value"
		}
		b = bytes.TrimLeft(b[1:], " \t\r\n")
		if len(b) == 0 || b[0] != '"' && b[0] != '\'' {
			return nil, false, malformed + "an attribute's value must be in quotes"
		}
		end := bytes.IndexByte(b[1:], b[0])
		if end < 0 {
			return nil, false, malformed + "an attribute's value is not closed"
		}
		value := b[1 : 1+end]
		b = b[end+2:]
		if !isText(value) || bytes.IndexByte(value, '<') >= 0 {
			return nil, false, malformed + "an attribute has a bare '&' or '<'"
		}
		if string(name) == "xmlns" {
			if string(value) != xhtmlNamespace {
				return nil, false, "xmlns must be " + xhtmlNamespace
			}
			namespace = true
			continue
		}
		if problem = checkAttribute(name, value); problem != "" {
			return nil, false, problem
		}
	}
}

// checkAttribute holds txt-1 for one attribute, and keeps scripts out of links.
func checkAttribute(name, value []byte) string {
	if !contains(htmlAttributes, name) && string(name) != "xml:lang" && string(name) != "xml:space" {
		return "txt-1: the narrative has an attribute that FHIR does not allow; event handlers and forms are not"
	}
	if string(name) == "href" || string(name) == "src" {
		link := bytes.TrimLeft(value, " \t\r\n")
		if len(link) >= len("javascript:") && bytes.EqualFold(link[:len("javascript:")], []byte("javascript:")) {
			return "txt-1: the narrative must not have scripts"
		}
	}
	return ""
}

// nameLength is how long the name at the front of b is.
func nameLength(b []byte) int {
	n := 0
	for n < len(b) && (b[n]|0x20-'a' <= 25 || n > 0 && (digit(b[n]) || b[n] == '-' || b[n] == ':' || b[n] == '_')) {
		n++
	}
	return n
}

// isText says whether each '&' starts an entity.
func isText(b []byte) bool {
	for {
		at := bytes.IndexByte(b, '&')
		if at < 0 {
			return true
		}
		n := entityLength(b[at:])
		if n == 0 {
			return false
		}
		b = b[at+n:]
	}
}

// entityLength is how long the entity at the front of b is, 0 when it is none.
func entityLength(b []byte) int {
	const longest = 12
	for i := 1; i < len(b) && i < longest; i++ {
		switch c := b[i]; {
		case c == ';' && i > 1:
			return i + 1
		case c == '#' && i == 1, digit(c), c|0x20-'a' <= 25:
		default:
			return 0
		}
	}
	return 0
}
