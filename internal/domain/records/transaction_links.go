package records

import (
	"bytes"
	"strings"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// links says what the references between the entries of a transaction turn into (FHIR R4 http.html#trules).
type links struct {
	byURL      map[string]identity // fullUrl
	byCriteria map[string]string   // conditional reference, "Patient?identifier=1", to "Patient/7"
}

// identity is where an entry's resource lives on this server.
type identity struct {
	typ, id string
	created bool // its version is 1
}

func (i identity) String() string { return i.typ + "/" + i.id }

// edit replaces the bytes of one string value, quotes included.
type edit struct {
	from, to int
	text     []byte
}

// linkWalk goes through one entry's resource along the definitions.
type linkWalk struct {
	definitions *spec.Definitions
	doc         *jsontape.Doc
	root        string // what relative references of the entry are relative to: its fullUrl without type and id
	reference   func(text string, n jsontape.Node)
	uri         func(text string, n jsontape.Node)
	narrative   func(n jsontape.Node)
}

func (w *linkWalk) resource(n jsontape.Node) {
	if t := w.definitions.Resource(w.doc.Bytes(w.doc.Get(n, "resourceType"))); t != nil {
		w.object(n, t)
	}
}

func (w *linkWalk) object(n jsontape.Node, t *spec.Type) {
	d := w.doc
	if d.Kind(n) != jsontape.Object {
		return
	}
	for m := d.First(n); m != jsontape.Invalid; m = d.Next(m) {
		key := d.Key(m)
		f := t.Field(key)
		if f == nil {
			if len(key) > 1 && key[0] == '_' {
				w.each(m, w.definitions.Type("Element"), nil)
			}
			continue
		}
		w.each(m, f.Type, f)
	}
}

// each visits a value or the elements of an array. A nil field is that of a primitive's extension object.
func (w *linkWalk) each(n jsontape.Node, t *spec.Type, f *spec.Field) {
	d := w.doc
	switch d.Kind(n) { //nolint:exhaustive // other kinds hold no link
	case jsontape.Array:
		for e := d.First(n); e != jsontape.Invalid; e = d.Next(e) {
			w.each(e, t, f)
		}
	case jsontape.Object:
		switch {
		case t == nil:
		case t.Kind == spec.ResourceKind:
			w.resource(n)
		default:
			w.object(n, t)
		}
	case jsontape.String:
		if f == nil {
			return
		}
		switch f.Primitive { //nolint:exhaustive // only these link
		case spec.String:
			if f.Element.Path == "Reference.reference" {
				w.reference(d.Text(n), n)
			}
		case spec.URI, spec.URL: // what a link turns into, Patient/1, is no valid oid or uuid
			w.uri(d.Text(n), n)
		case spec.XHTML:
			w.narrative(n)
		}
	}
}

// conditional tells whether a reference is a search that finds what it refers to, "Patient?identifier=1".
func (s *Service) conditional(reference string) bool {
	typ, _, ok := strings.Cut(reference, "?")
	return ok && s.definitions.IsResource(typ)
}

// criteriaIn lists the conditional references of an entry.
func (s *Service) criteriaIn(doc *jsontape.Doc, n jsontape.Node, each func(criteria string)) {
	if !bytes.ContainsRune(doc.Raw(n), '?') {
		return
	}
	w := linkWalk{
		definitions: s.definitions, doc: doc,
		reference: func(text string, _ jsontape.Node) {
			if s.conditional(text) {
				each(text)
			}
		},
		uri:       func(string, jsontape.Node) {},
		narrative: func(jsontape.Node) {},
	}
	w.resource(n)
}

// relink gives the entry's resource with every link to another entry replaced, and tells whether any was.
func (s *Service) relink(doc *jsontape.Doc, e *bundleEntry, l *links) (json []byte, changed bool) {
	var edits []edit
	replace := func(n jsontape.Node, text string) {
		edits = append(edits, edit{doc.Offset(n), doc.End(n), jsontape.AppendQuoted(nil, text)})
	}
	w := linkWalk{definitions: s.definitions, doc: doc, root: serverRoot(e.fullURL)}
	w.reference = func(text string, n jsontape.Node) {
		if to, ok := l.resolve(text, w.root); ok {
			replace(n, to)
		}
	}
	w.uri = func(text string, n jsontape.Node) {
		if to, ok := l.byURL[text]; ok {
			replace(n, to.String())
		}
	}
	w.narrative = func(n jsontape.Node) {
		if to, ok := l.inNarrative(doc.Text(n)); ok {
			replace(n, to)
		}
	}
	w.resource(e.node)
	if len(edits) == 0 {
		return e.resource, false
	}
	start := doc.Offset(e.node)
	out := make([]byte, 0, len(e.resource)+16*len(edits))
	from := 0
	for _, ed := range edits {
		out = append(append(out, e.resource[from:ed.from-start]...), ed.text...)
		from = ed.to - start
	}
	return append(out, e.resource[from:]...), true
}

// resolve gives what a reference turns into. A relative one is looked up below the root that the entry's own fullUrl
// has (FHIR R4 bundle.html#references).
func (l *links) resolve(text, root string) (string, bool) {
	if text == "" || text[0] == '#' {
		return "", false
	}
	if to, ok := l.byCriteria[text]; ok {
		return to, true
	}
	full := text
	if root != "" && !strings.Contains(text, ":") {
		full = root + text
	}
	if to, ok := l.byURL[full]; ok {
		return to.String(), true
	}
	if full, version, ok := strings.Cut(full, "/_history/"); ok {
		if to, ok := l.byURL[full]; ok {
			if to.created {
				version = "1"
			}
			return to.String() + "/_history/" + version, true
		}
	}
	// A contained resource's or an anchor's fragment stays behind the link to its resource.
	if full, fragment, ok := strings.Cut(full, "#"); ok {
		if to, ok := l.byURL[full]; ok {
			return to.String() + "#" + fragment, true
		}
	}
	return "", false
}

// inNarrative replaces the targets of <a href=""> and <img src="">.
func (l *links) inNarrative(div string) (string, bool) {
	var out strings.Builder
	rest, changed := div, false
	for {
		i := strings.IndexByte(rest, '=')
		if i < 0 || i+1 >= len(rest) {
			break
		}
		quote := rest[i+1]
		name := rest[:i]
		if (quote != '"' && quote != '\'') || (!strings.HasSuffix(name, "href") && !strings.HasSuffix(name, "src")) {
			out.WriteString(rest[:i+1])
			rest = rest[i+1:]
			continue
		}
		end := strings.IndexByte(rest[i+2:], quote)
		if end < 0 {
			break
		}
		link := rest[i+2 : i+2+end]
		out.WriteString(rest[:i+2])
		if to, ok := l.byURL[link]; ok {
			out.WriteString(to.String())
			changed = true
		} else {
			out.WriteString(link)
		}
		rest = rest[i+2+end:]
	}
	if !changed {
		return "", false
	}
	out.WriteString(rest)
	return out.String(), true
}

// serverRoot is a RESTful fullUrl without its type and id, with the slash: "http://example.org/fhir/". It is empty
// for a urn.
func serverRoot(fullURL string) string {
	if !strings.HasPrefix(fullURL, "http://") && !strings.HasPrefix(fullURL, "https://") {
		return ""
	}
	i := strings.LastIndexByte(fullURL, '/')
	if i <= 0 {
		return ""
	}
	i = strings.LastIndexByte(fullURL[:i], '/')
	if i <= len("https://") {
		return ""
	}
	return fullURL[:i+1]
}
