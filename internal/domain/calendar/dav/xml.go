package dav

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"ward/internal/base/fault"
)

// The namespaces.
const (
	nsDAV    = "DAV:"
	nsCalDAV = "urn:ietf:params:xml:ns:caldav"
	nsServer = "http://calendarserver.org/ns/" // of getctag
)

// The limits of a request's document.
const (
	maxDepth    = 20
	maxElements = 100_000
)

// element is a part of a request's document.
type element struct {
	xml.Name
	attributes []xml.Attr
	text       string
	children   []*element
}

// child is the first child of a name; nil without one.
func (e *element) child(space, local string) *element {
	if e != nil {
		for _, c := range e.children {
			if c.Space == space && c.Local == local {
				return c
			}
		}
	}
	return nil
}

// count is how many elements there are, with this one.
func (e *element) count() int {
	n := 1
	for _, c := range e.children {
		n += c.count()
	}
	return n
}

func (e *element) attribute(local string) string {
	for _, a := range e.attributes {
		if a.Name.Local == local && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// readXML reads the document of a request; nil when the body is empty. No entity but those of XML itself is known, and nothing is fetched.
func readXML(r *http.Request) (*element, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, known := fault.Of(err); known {
			return nil, err
		}
		return nil, fault.Invalid("the body could not be read").With(err)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	return parseXML(body)
}

func parseXML(body []byte) (*element, error) {
	bad := func(err error) error { return fault.Invalid("the body must be an XML document").With(err) }
	d := xml.NewDecoder(bytes.NewReader(body))
	root := &element{}
	stack := []*element{root}
	for n := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bad(err)
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if n++; n > maxElements || len(stack) > maxDepth {
				return nil, fault.Invalid("the body has more than %d elements, or more than %d within each other", maxElements, maxDepth)
			}
			e := &element{Name: t.Name, attributes: t.Copy().Attr}
			top.children = append(top.children, e)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		case xml.Directive:
			return nil, fault.Invalid("the body must be an XML document without a DOCTYPE")
		}
	}
	if len(root.children) != 1 {
		return nil, bad(nil)
	}
	return root.children[0], nil
}

// document is an answer that is being written.
type document struct{ b []byte }

func newDocument(root string) *document {
	return &document{append(make([]byte, 0, 4096), `<?xml version="1.0" encoding="utf-8"?>`+"\n"+
		`<`+root+` xmlns:D="DAV:" xmlns:C="`+nsCalDAV+`" xmlns:S="`+nsServer+`">`...)}
}

// prefixes are those of every document.
//
//nolint:gochecknoglobals // constant table
var prefixes = map[string]string{nsDAV: "D:", nsCalDAV: "C:", nsServer: "S:"}

// tag is an element's name as it is written, with the namespace that it needs besides.
func tag(n xml.Name) (name, namespace string) {
	if p, ok := prefixes[n.Space]; ok {
		return p + n.Local, ""
	}
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(n.Space)) // a strings.Builder takes everything
	return n.Local, ` xmlns="` + b.String() + `"`
}

// raw writes markup of ours.
func (d *document) raw(s string) { d.b = append(d.b, s...) }

// text writes what is no markup.
func (d *document) text(s string) { _ = xml.EscapeText(d, []byte(s)) }

// Write appends.
func (d *document) Write(p []byte) (int, error) {
	d.b = append(d.b, p...)
	return len(p), nil
}

func (d *document) element(name, text string) {
	d.raw("<" + name + ">")
	d.text(text)
	d.raw("</" + name + ">")
}

func (d *document) empty(n xml.Name) {
	name, namespace := tag(n)
	d.raw("<" + name + namespace + "/>")
}

func (d *document) href(path string) { d.element("D:href", escape(path)) }

// send writes the document as the answer.
func (d *document) send(w http.ResponseWriter, status int) error {
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(d.b)
	return nil
}

// refuse answers with a precondition that does not hold (RFC 4918 §16), and what is wrong in words.
func refuse(w http.ResponseWriter, status int, space, precondition, why string) error {
	d := newDocument("D:error")
	d.empty(xml.Name{Space: space, Local: precondition})
	d.element("D:responsedescription", why)
	d.raw("</D:error>\n")
	return d.send(w, status)
}
