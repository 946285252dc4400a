package validate

import (
	"bytes"

	"ward/internal/format/jsontape"
)

// observation holds obs-7: a value is not given twice, here and in a component of the same code.
func (r *run) observation(n jsontape.Node) {
	doc := r.doc
	list := doc.Get(n, "component")
	if list < 0 {
		return
	}
	value := false
	for m := doc.First(n); m >= 0; m = doc.Next(m) {
		value = value || bytes.HasPrefix(doc.Key(m), []byte("value"))
	}
	if !value {
		return
	}
	const most = 64 // components and codings that are compared; a document that has more is let pass
	coding := doc.Get(doc.Get(n, "code"), "coding")
	if doc.Len(list) > most || doc.Len(coding) > most {
		return
	}
	for c := doc.First(list); c >= 0; c = doc.Next(c) {
		for a := doc.First(doc.Get(doc.Get(c, "code"), "coding")); a >= 0; a = doc.Next(a) {
			for b := doc.First(coding); b >= 0; b = doc.Next(b) {
				if r.sameCoding(a, b) {
					r.report(c, kindInvariant, "obs-7: a component must not have the code of the observation when the observation has a value")
					return
				}
			}
		}
	}
}

// sameCoding says whether two codings have the same system, version, code, display and userSelected.
func (r *run) sameCoding(a, b jsontape.Node) bool {
	for _, name := range [...]string{"code", "system", "version", "display", "userSelected"} {
		if !bytes.Equal(r.doc.Bytes(r.doc.Get(a, name)), r.doc.Bytes(r.doc.Get(b, name))) {
			return false
		}
	}
	return true
}

// bundle holds bdl-1 to bdl-4, bdl-7 and bdl-9 to bdl-12: what each type of bundle has and has not.
func (r *run) bundle(n jsontape.Node) {
	doc := r.doc
	kind := string(doc.Bytes(doc.Get(n, "type")))
	history := kind == "history"
	if total := doc.Get(n, "total"); total >= 0 && kind != "searchset" && !history {
		r.reportMember(total, kindInvariant, "bdl-1: total is only for searchset and history")
	}
	if kind == "document" {
		r.document(n)
	}
	request := history || kind == "batch" || kind == "transaction"
	response := history || kind == "batch-response" || kind == "transaction-response"
	i := 0
	var seen map[string]bool
	if !history {
		seen = make(map[string]bool, doc.Len(doc.Get(n, "entry")))
	}
	for e := doc.First(doc.Get(n, "entry")); e >= 0 && !r.full(); e = doc.Next(e) {
		r.push("entry", i)
		if seen != nil {
			r.distinct(e, seen)
		}
		if m := doc.Get(e, "search"); m >= 0 && kind != "searchset" {
			r.reportMember(m, kindInvariant, "bdl-2: search is only for searchset")
		}
		r.entryPart(e, "request", request, "bdl-3: request is required in batch, transaction and history", "bdl-3: request is only for batch, transaction and history")
		r.entryPart(e, "response", response, "bdl-4: response is required in batch-response, transaction-response and history",
			"bdl-4: response is only for batch-response, transaction-response and history")
		if i == 0 {
			r.firstEntry(e, kind)
		}
		r.pop()
		i++
	}
}

// distinct holds bdl-7: a fullUrl is given once, or with different versions of its resource.
func (r *run) distinct(e jsontape.Node, seen map[string]bool) {
	url := r.doc.Get(e, "fullUrl")
	if url < 0 {
		return
	}
	version := r.doc.Get(r.doc.Get(r.doc.Get(e, "resource"), "meta"), "versionId")
	key := string(r.doc.Bytes(url))
	if version >= 0 {
		key += " " + string(r.doc.Bytes(version))
	}
	if seen[key] {
		r.report(e, kindInvariant, "bdl-7: fullUrl must be unique in a bundle, or its resources have different versions")
	}
	seen[key] = true
}

// document holds bdl-9 and bdl-10.
func (r *run) document(n jsontape.Node) {
	identifier := r.doc.Get(n, "identifier")
	if r.doc.Get(identifier, "system") < 0 || r.doc.Get(identifier, "value") < 0 {
		r.report(n, kindInvariant, "bdl-9: a document must have an identifier with a system and a value")
	}
	if r.doc.Get(n, "timestamp") < 0 {
		r.report(n, kindInvariant, "bdl-10: a document must have a timestamp")
	}
}

func (r *run) entryPart(e jsontape.Node, name string, wanted bool, missing, surplus string) {
	m := r.doc.Get(e, name)
	switch {
	case wanted && m < 0:
		r.report(e, kindInvariant, missing)
	case !wanted && m >= 0:
		r.reportMember(m, kindInvariant, surplus)
	}
}

func (r *run) firstEntry(e jsontape.Node, kind string) {
	first := string(r.doc.Bytes(r.doc.Get(r.doc.Get(e, "resource"), "resourceType")))
	if kind == "document" && first != "Composition" {
		r.report(e, kindInvariant, "bdl-11: the first resource of a document must be a Composition")
	}
	if kind == "message" && first != "MessageHeader" {
		r.report(e, kindInvariant, "bdl-12: the first resource of a message must be a MessageHeader")
	}
}

func (r *run) bundleEntry(n jsontape.Node) {
	if url := r.doc.Get(n, "fullUrl"); url >= 0 && bytes.Contains(r.doc.Bytes(url), []byte("/_history/")) {
		r.report(url, kindInvariant, "bdl-8: fullUrl must not name a version")
	}
}

func (r *run) linkage(n jsontape.Node) {
	if items := r.doc.Get(n, "item"); r.doc.Len(items) == 1 {
		r.report(items, kindInvariant, "lnk-1: a linkage must have at least two items")
	}
}
