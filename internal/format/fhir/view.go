package fhir

import (
	"strings"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// Summary is the value of _summary (search.html#summary).
type Summary uint8

// The values of _summary.
const (
	SummaryFalse Summary = iota // everything
	SummaryTrue                 // the elements that the definitions mark as summary
	SummaryText                 // text, id, meta and mandatory top-level elements
	SummaryData                 // all but text
	SummaryCount                // no resources, only how many there are
)

// View is how much of a resource a client wants to see, and how it is printed. The zero View is all of it, compact.
type View struct {
	Summary  Summary
	Elements []string // of _elements: names of top-level elements, also as "Patient.name"; nil means all
	Pretty   bool     // a line for each member
}

const (
	subsettedSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	subsettedCode   = "SUBSETTED"
	subsettedTag    = `{"system":"` + subsettedSystem + `","code":"` + subsettedCode + `"}`
)

// ParseView reads the parameters _summary, _elements and _pretty; "" means absent. Errors are fault.Invalid.
func ParseView(summary, elements, pretty string) (View, error) {
	var v View
	switch summary {
	case "", "false":
	case "true":
		v.Summary = SummaryTrue
	case "text":
		v.Summary = SummaryText
	case "data":
		v.Summary = SummaryData
	case "count":
		v.Summary = SummaryCount
	default:
		return View{}, fault.Invalid("_summary must be true, text, data, count or false")
	}
	switch pretty {
	case "", "false":
	case "true":
		v.Pretty = true
	default:
		return View{}, fault.Invalid("_pretty must be true or false")
	}
	if elements == "" {
		return v, nil
	}
	if v.Summary == SummaryTrue || v.Summary == SummaryText || v.Summary == SummaryData {
		return View{}, fault.Invalid("_elements and _summary can't be combined")
	}
	for name := range strings.SplitSeq(elements, ",") {
		if name = strings.TrimSuffix(strings.TrimSpace(name), "[x]"); name != "" {
			v.Elements = append(v.Elements, name)
		}
	}
	return v, nil
}

// Whole says whether the view leaves nothing of a resource out.
func (v View) Whole() bool {
	return len(v.Elements) == 0 && (v.Summary == SummaryFalse || v.Summary == SummaryCount)
}

// Unknown gives the first of Elements that the resource type doesn't have, "" when it has them all. Names with another
// type before the point are not about this one.
func (v View) Unknown(resourceType string) string {
	t := spec.R4().Type(resourceType)
	if t == nil {
		return ""
	}
	for _, asked := range v.Elements {
		name := asked
		if of, rest, ok := strings.Cut(asked, "."); ok {
			if of != resourceType {
				continue
			}
			name = rest
		}
		if t.Named(name) == nil && t.Field([]byte(name)) == nil {
			return asked
		}
	}
	return ""
}

// Append appends what the view shows of a resource inside a document. A resource of which something may be missing has the
// tag SUBSETTED. Mandatory elements and modifiers are shown whether asked for or not.
func (v View) Append(dst []byte, doc *jsontape.Doc, resource jsontape.Node) []byte {
	if v.Pretty {
		whole := v
		whole.Pretty = false
		if whole.Whole() {
			return jsontape.AppendIndent(dst, doc.Raw(resource))
		}
		return jsontape.AppendIndent(dst, whole.Append(nil, doc, resource))
	}
	t := spec.R4().Resource(doc.Bytes(doc.Get(resource, "resourceType")))
	if v.Whole() || t == nil {
		if doc.Compact() {
			return append(dst, doc.Raw(resource)...)
		}
		return jsontape.AppendCompact(dst, doc.Raw(resource))
	}
	p := &picker{doc: doc, view: v, top: t}
	dst, _ = p.resource(dst, resource, t)
	return dst
}

// AppendBytes is Append for a resource's bytes, which must be valid JSON; compact ones stay as they are when the view is whole.
func (v View) AppendBytes(dst, resource []byte) []byte {
	if v.Whole() {
		if v.Pretty {
			return jsontape.AppendIndent(dst, resource)
		}
		return append(dst, resource...)
	}
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	if doc.Parse(resource) != nil {
		return append(dst, resource...)
	}
	return v.Append(dst, doc, doc.Root())
}

// picker copies the elements of one resource that a view shows.
type picker struct {
	doc    *jsontape.Doc
	view   View
	top    *spec.Type
	nested bool // inside another resource: no tag there
}

// resource appends the object of a resource, with the tag when it is the outermost.
func (p *picker) resource(dst []byte, n jsontape.Node, t *spec.Type) (out []byte, some bool) {
	tag := !p.nested
	p.nested = true
	d := p.doc
	hasMeta := d.Kind(d.Get(n, "meta")) == jsontape.Object
	idNode := d.Get(n, "id")
	dst = append(dst, '{')
	mark := len(dst)
	for m := d.First(n); m >= 0; m = d.Next(m) {
		key := d.Key(m)
		switch {
		case string(key) == "resourceType":
			dst = p.copy(sep(dst, mark), d.KeyOffset(m), d.End(m))
		case tag && string(key) == "meta":
			if hasMeta {
				dst = p.meta(append(sep(dst, mark), `"meta":`...), m)
			}
		default:
			dst = p.member(dst, mark, m, t, tag)
		}
		if tag && !hasMeta && (m == idNode || idNode < 0 && string(key) == "resourceType") {
			dst = append(dst, `,"meta":{"tag":[`+subsettedTag+`]}`...)
		}
	}
	return append(dst, '}'), len(dst) > mark
}

// member appends a member of an object of type t if the view shows it. top says that the object is the outermost resource.
func (p *picker) member(dst []byte, mark int, m jsontape.Node, t *spec.Type, top bool) []byte {
	key := p.doc.Key(m)
	e := t.Element(key)
	if e == nil || !p.shows(e, key, top) {
		return dst
	}
	deep := p.view.Summary == SummaryTrue && key[0] != '_'
	if deep {
		if f := t.Field(key); f != nil && f.Primitive == spec.NotPrimitive && f.Type.Name != "Extension" {
			start := len(dst)
			dst = sep(dst, mark)
			at := p.doc.KeyOffset(m)
			dst = p.copy(dst, at, p.doc.Offset(m))
			dst, some := p.values(dst, m, f.Type)
			if !some {
				return dst[:start]
			}
			return dst
		}
	}
	return p.copy(sep(dst, mark), p.doc.KeyOffset(m), p.doc.End(m))
}

func (p *picker) shows(e *spec.Element, key []byte, top bool) bool {
	if e.Min > 0 || e.Modifier {
		return true
	}
	switch p.view.Summary {
	case SummaryTrue:
		return e.Summary
	case SummaryText:
		return e.Name == "id" || e.Name == "meta" || e.Name == "text"
	case SummaryData:
		return e.Name != "text"
	case SummaryFalse, SummaryCount:
	}
	if !top || e.Name == "id" || e.Name == "meta" {
		return true
	}
	for _, asked := range p.view.Elements {
		if of, name, ok := strings.Cut(asked, "."); ok {
			if of != p.top.Name {
				continue
			}
			asked = name
		}
		if asked == e.Name || asked == string(key) {
			return true
		}
	}
	return false
}

// values appends an object or an array of objects of type t, each with what the summary shows. some is false when nothing
// is left of them.
func (p *picker) values(dst []byte, n jsontape.Node, t *spec.Type) (out []byte, some bool) {
	d := p.doc
	switch d.Kind(n) {
	case jsontape.Array:
		dst = append(dst, '[')
		mark := len(dst)
		for c := d.First(n); c >= 0; c = d.Next(c) {
			start := len(dst)
			var some bool
			if dst, some = p.values(sep(dst, mark), c, t); !some {
				dst = dst[:start]
			}
		}
		return append(dst, ']'), len(dst) > mark
	case jsontape.Object:
		if t.Kind == spec.ResourceKind {
			if own := spec.R4().Resource(d.Bytes(d.Get(n, "resourceType"))); own != nil {
				return p.resource(dst, n, own)
			}
			return p.copy(dst, d.Offset(n), d.End(n)), true
		}
		dst = append(dst, '{')
		mark := len(dst)
		for m := d.First(n); m >= 0; m = d.Next(m) {
			dst = p.member(dst, mark, m, t, false)
		}
		return append(dst, '}'), len(dst) > mark
	case jsontape.None, jsontape.Null, jsontape.False, jsontape.True, jsontape.Number, jsontape.String:
	}
	return p.copy(dst, d.Offset(n), d.End(n)), true
}

// meta appends the resource's meta with the tag.
func (p *picker) meta(dst []byte, meta jsontape.Node) []byte {
	d := p.doc
	tags := d.Get(meta, "tag")
	if d.Kind(tags) != jsontape.Array {
		dst = p.copy(dst, d.Offset(meta), d.End(meta)-1)
		if d.Len(meta) > 0 {
			dst = append(dst, ',')
		}
		return append(dst, `"tag":[`+subsettedTag+`]}`...)
	}
	for t := d.First(tags); t >= 0; t = d.Next(t) {
		if string(d.Bytes(d.Get(t, "code"))) == subsettedCode && string(d.Bytes(d.Get(t, "system"))) == subsettedSystem {
			return p.copy(dst, d.Offset(meta), d.End(meta))
		}
	}
	dst = p.copy(dst, d.Offset(meta), d.End(tags)-1)
	if d.Len(tags) > 0 {
		dst = append(dst, ',')
	}
	return p.copy(append(dst, subsettedTag...), d.End(tags)-1, d.End(meta))
}

func (p *picker) copy(dst []byte, from, to int) []byte {
	if p.doc.Compact() {
		return append(dst, p.doc.Src()[from:to]...)
	}
	return jsontape.AppendCompact(dst, p.doc.Src()[from:to])
}

// sep appends a comma unless nothing has been written since mark.
func sep(dst []byte, mark int) []byte {
	if len(dst) > mark {
		return append(dst, ',')
	}
	return dst
}
