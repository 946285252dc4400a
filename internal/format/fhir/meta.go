package fhir

import (
	"time"

	"ward/internal/format/jsontape"
)

// Stamp appends the resource that doc holds with the id, meta.versionId and meta.lastUpdated that the server gives it.
// They replace the client's in place; where the client wrote none, they are inserted: id after resourceType, meta after id,
// versionId and lastUpdated first in meta. Whitespace between tokens is dropped; all else stays byte for byte.
// The document must be an object.
func Stamp(dst []byte, doc *jsontape.Doc, id, versionID string, updated time.Time) []byte {
	return StampNode(dst, doc, doc.Root(), id, versionID, updated)
}

// StampNode is Stamp for a resource inside a document, such as an entry of a bundle.
func StampNode(dst []byte, doc *jsontape.Doc, resource jsontape.Node, id, versionID string, updated time.Time) []byte {
	s := stamper{doc: doc, at: doc.Offset(resource), id: id, versionID: versionID, updated: updated}
	resourceType, idNode, meta := jsontape.Invalid, jsontape.Invalid, jsontape.Invalid
	for m := doc.First(resource); m >= 0; m = doc.Next(m) {
		switch string(doc.Key(m)) {
		case "resourceType":
			resourceType = m
		case "id":
			idNode = m
		case "meta":
			meta = m
		}
	}
	anchor := idNode
	if idNode < 0 {
		anchor = resourceType
	}
	switch {
	case anchor < 0: // no resourceType: not a resource, but let it be stamped
		dst = s.copy(dst, doc.Offset(resource)+1)
		dst = append(s.appendID(dst), ',')
		if meta < 0 {
			dst = append(s.appendMeta(dst), ',')
		}
		if doc.Len(resource) == 0 {
			dst = dst[:len(dst)-1]
		}
	case meta >= 0 && doc.Offset(meta) < doc.Offset(anchor):
		dst = s.stampMeta(dst, meta)
		meta = jsontape.Invalid
		dst = s.stampID(dst, idNode, anchor)
	default:
		dst = s.stampID(dst, idNode, anchor)
		if meta < 0 {
			dst = s.appendMeta(append(dst, ','))
		}
	}
	if meta >= 0 {
		dst = s.stampMeta(dst, meta)
	}
	return s.copy(dst, doc.End(resource))
}

// stamper copies a document from its start to its end with changes between.
type stamper struct {
	doc           *jsontape.Doc
	at            int // copied so far
	id, versionID string
	updated       time.Time
}

func (s *stamper) copy(dst []byte, to int) []byte {
	span := s.doc.Src()[s.at:to]
	s.at = to
	if s.doc.Compact() {
		return append(dst, span...)
	}
	return jsontape.AppendCompact(dst, span)
}

// stampID copies to the end of the id, replacing it, or to the end of the anchor and adds one.
func (s *stamper) stampID(dst []byte, id, anchor jsontape.Node) []byte {
	if id < 0 {
		return s.appendID(append(s.copy(dst, s.doc.End(anchor)), ','))
	}
	dst = s.copy(dst, s.doc.Offset(id))
	s.at = s.doc.End(id)
	return jsontape.AppendQuoted(dst, s.id)
}

// stampMeta copies to the end of meta, replacing or adding the version and the time.
func (s *stamper) stampMeta(dst []byte, meta jsontape.Node) []byte {
	d := s.doc
	if d.Kind(meta) != jsontape.Object || d.Len(meta) == 0 {
		dst = s.copy(dst, d.Offset(meta))
		s.at = d.End(meta)
		dst = append(s.appendVersion(append(dst, '{')), ',')
		return append(s.appendUpdated(dst), '}')
	}
	dst = s.copy(dst, d.Offset(meta)+1)
	if d.Get(meta, "versionId") < 0 {
		dst = append(s.appendVersion(dst), ',')
	}
	if d.Get(meta, "lastUpdated") < 0 {
		dst = append(s.appendUpdated(dst), ',')
	}
	for m := d.First(meta); m >= 0; m = d.Next(m) {
		switch string(d.Key(m)) {
		case "versionId":
			dst = s.copy(dst, d.Offset(m))
			dst = jsontape.AppendQuoted(dst, s.versionID)
			s.at = d.End(m)
		case "lastUpdated":
			dst = s.copy(dst, d.Offset(m))
			dst = append(AppendInstant(append(dst, '"'), s.updated), '"')
			s.at = d.End(m)
		}
	}
	return s.copy(dst, d.End(meta))
}

func (s *stamper) appendID(dst []byte) []byte {
	return jsontape.AppendQuoted(append(dst, `"id":`...), s.id)
}

func (s *stamper) appendMeta(dst []byte) []byte {
	dst = s.appendVersion(append(dst, `"meta":{`...))
	return append(s.appendUpdated(append(dst, ',')), '}')
}

func (s *stamper) appendVersion(dst []byte) []byte {
	return jsontape.AppendQuoted(append(dst, `"versionId":`...), s.versionID)
}

func (s *stamper) appendUpdated(dst []byte) []byte {
	return append(AppendInstant(append(dst, `"lastUpdated":"`...), s.updated), '"')
}
