package validate

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// scope is the resource in which "#id" is looked up: the one that holds contained resources.
type scope struct {
	contained []containedResource
	inside    int            // index of the contained resource being checked, -1 outside of them
	byID      map[string]int // only when there are many
}

type containedResource struct {
	node     jsontape.Node
	id       jsontape.Node
	referred bool // somebody refers to it, or it refers to its container
}

// manyContained is from how many contained resources on they are found by a map.
const manyContained = 32

// independent checks a resource that is not contained, with a scope of its own.
func (r *run) independent(n jsontape.Node, t *spec.Type) {
	outer := r.scope
	r.scope = scope{inside: -1}
	list := r.doc.Get(n, "contained")
	if list >= 0 && r.doc.Kind(list) == jsontape.Array && t.Field([]byte("contained")) != nil {
		r.openScope(list)
	}
	r.object(n, t)
	r.unreferred()
	r.scope = outer
}

func (r *run) openScope(list jsontape.Node) {
	count := r.doc.Len(list)
	r.scope.contained = make([]containedResource, 0, count)
	if count >= manyContained {
		r.scope.byID = make(map[string]int, count)
	}
	for c := r.doc.First(list); c >= 0; c = r.doc.Next(c) {
		id := r.doc.Get(c, "id")
		if r.scope.byID != nil && id >= 0 {
			if _, ok := r.scope.byID[string(r.doc.Bytes(id))]; !ok {
				r.scope.byID[r.doc.Text(id)] = len(r.scope.contained)
			}
		}
		r.scope.contained = append(r.scope.contained, containedResource{node: c, id: id})
	}
}

// find is the index of the contained resource with that id, -1 when there is none.
func (s *scope) find(doc *jsontape.Doc, id []byte) int {
	if s.byID != nil {
		if i, ok := s.byID[string(id)]; ok {
			return i
		}
		return -1
	}
	for i := range s.contained {
		if have := s.contained[i].id; have >= 0 && bytes.Equal(doc.Bytes(have), id) {
			return i
		}
	}
	return -1
}

// refer notes that the contained resource is referred to, and says whether it is there.
func (s *scope) refer(doc *jsontape.Doc, id []byte) bool {
	i := s.find(doc, id)
	if i < 0 {
		return false
	}
	s.contained[i].referred = true
	return true
}

// contained checks a contained resource.
func (r *run) contained(n jsontape.Node, t *spec.Type, index int) {
	doc := r.doc
	id := doc.Get(n, "id")
	switch {
	case id < 0:
		r.report(n, kindRequired, "a contained resource must have an id, by which the resource refers to it")
	case doc.Kind(id) == jsontape.String && r.scope.find(doc, doc.Bytes(id)) != index:
		r.report(id, kindValue, "two contained resources must not have the same id")
	}
	if nested := doc.Get(n, "contained"); nested >= 0 {
		r.reportMember(nested, kindInvariant, "dom-2: a contained resource must not contain resources; contain them all in the outermost one")
		return
	}
	if meta := doc.Get(n, "meta"); meta >= 0 {
		for _, name := range [...]string{"versionId", "lastUpdated"} {
			if m := doc.Get(meta, name); m >= 0 {
				r.reportMember(m, kindInvariant, "dom-4: a contained resource must not have meta."+name)
			}
		}
		if m := doc.Get(meta, "security"); m >= 0 {
			r.reportMember(m, kindInvariant, "dom-5: a contained resource must not have a security label of its own")
		}
	}
	r.unlabelled(n)
	r.scope.inside = index
	r.object(n, t)
	r.scope.inside = -1
}

// unlabelled reports security labels of resources inside a contained Bundle or Parameters: dom-5 is about them too, and who looks for labels
// where they may be does not look there.
func (r *run) unlabelled(n jsontape.Node) {
	for m := r.doc.First(n); m >= 0; m = r.doc.Next(m) {
		switch r.doc.Kind(m) { //nolint:exhaustive // the others hold nothing
		case jsontape.Object:
			if r.doc.Kind(n) == jsontape.Object && string(r.doc.Key(m)) == "resource" {
				if security := r.doc.Get(r.doc.Get(m, "meta"), "security"); security >= 0 {
					r.report(security, kindInvariant, "dom-5: a resource inside a contained resource must not have a security label of its own")
				}
			}
			r.unlabelled(m)
		case jsontape.Array:
			r.unlabelled(m)
		}
	}
}

// unreferred reports contained resources that nobody refers to (dom-3).
func (r *run) unreferred() {
	for i, c := range r.scope.contained {
		if !c.referred && c.id >= 0 {
			r.push("contained", i)
			r.report(c.node, kindInvariant, "dom-3: a contained resource must be referred to from the resource that contains it, or refer to it")
			r.pop()
		}
	}
}

// reference checks a Reference after its elements: the literal reference, and that its type may stand here.
func (r *run) reference(n jsontape.Node, f *spec.Field) {
	doc := r.doc
	literal, declared := doc.Get(n, "reference"), doc.Get(n, "type")
	var target *spec.Type
	if literal >= 0 && doc.Kind(literal) == jsontape.String {
		text := doc.Bytes(literal)
		if len(text) > 0 && text[0] == '#' {
			target = r.local(literal, text[1:])
		} else {
			target = r.targetOf(text)
		}
		if target != nil && !allowed(f.Ref.Targets, target.Name) {
			r.push("reference", -1)
			r.report(literal, kindValue, f.Name+" must refer to "+oneOf(f.Ref.Targets)+", not to "+target.Name)
			r.pop()
		}
	}
	if declared < 0 || doc.Kind(declared) != jsontape.String {
		return
	}
	t := r.v.defs.Resource(doc.Bytes(declared))
	switch {
	case t == nil: // a logical model's URL
	case target != nil && t != target:
		r.push("type", -1)
		r.report(declared, kindValue, "type must be "+target.Name+", as the reference says")
		r.pop()
	case target == nil && !allowed(f.Ref.Targets, t.Name):
		r.push("type", -1)
		r.report(declared, kindValue, f.Name+" must refer to "+oneOf(f.Ref.Targets)+", not to "+t.Name)
		r.pop()
	}
}

// local is the type of the contained resource with that id, or of the container when the id is empty.
func (r *run) local(n jsontape.Node, id []byte) *spec.Type {
	if len(id) == 0 {
		if r.scope.inside >= 0 {
			r.scope.contained[r.scope.inside].referred = true
		}
		return nil
	}
	i := r.scope.find(r.doc, id)
	if i < 0 {
		r.push("reference", -1)
		r.report(n, kindValue, "ref-1: no contained resource has this id")
		r.pop()
		return nil
	}
	r.scope.contained[i].referred = true
	return r.v.defs.Resource(r.doc.Bytes(r.doc.Get(r.scope.contained[i].node, "resourceType")))
}

// targetOf is the resource type that a literal reference names: "Patient/1", "Patient/1/_history/2", "Patient?identifier=x", or a
// URL that ends like one of the first two. nil when it names none.
func (r *run) targetOf(ref []byte) *spec.Type {
	if i := bytes.IndexByte(ref, '?'); i >= 0 {
		ref = ref[:i]
		if bytes.IndexByte(ref, '/') < 0 {
			return r.v.defs.Resource(ref)
		}
		return nil
	}
	last := bytes.LastIndexByte(ref, '/')
	if last < 0 {
		return nil
	}
	head := ref[:last]
	const history = "/_history"
	if len(head) > len(history) && string(head[len(head)-len(history):]) == history {
		head = head[:len(head)-len(history)]
		if last = bytes.LastIndexByte(head, '/'); last < 0 {
			return nil
		}
		head = head[:last]
	}
	return r.v.defs.Resource(head[bytes.LastIndexByte(head, '/')+1:])
}

func allowed(targets []string, name string) bool {
	return targets == nil || slices.Contains(targets, name)
}

func oneOf(names []string) string {
	if len(names) > maxListed {
		return "one of " + strconv.Itoa(len(names)) + " types"
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
