package records

import (
	"context"

	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// Change is one write to one resource, prepared outside of any transaction and applied inside one.
type Change struct {
	Type, ID     string
	Op           Op
	JSON         []byte // the client's bytes, compacted; nil for a deletion
	IfMatch      int64  // the version that must be current; 0 asks for none, anyVersion for some
	MustNotExist bool   // If-None-Match: *

	// What came of it, set by apply.
	Version *Version // the version made, or the current one when nothing was to be done
	Prior   *Version // the version before; nil if there was none
	Created bool     // there was no resource, or a deleted one
	NoOp    bool     // a deletion of what was not there

	resolves bool  // the tenant demands that references resolve
	most     int64 // resources that the tenant may have; 0: any number
	fresh    bool  // the id is new: nothing can be stored under it
	registry *search.Registry
	doc      *jsontape.Doc
	values   indexed
	doer     doer
	patients []uint64       // whose charts the change touches: before and after it
	rights   *access.Rights // of who makes it
	judged   bool           // its content may be created
	joint    bool           // another domain makes it, which keeps the resource
}

// Values of Change.IfMatch that are no version's number.
const (
	anyVersion = -1 // If-Match: *
	noVersion  = -2 // an ETag that no version has
)

// indexed is what the indexes hold of one version of one resource.
type indexed struct {
	postings []search.Posting
	chart    search.ChartEntry
}

// prepare parses and validates a resource's new content and computes its index entries. An empty typ takes any
// resource type; an empty resourceID is given a new UUIDv7. For OpDelete, json is nil.
//
// Errors: Invalid with the place of a syntax error; Unprocessable or Invalid with every problem of the content.
func (s *Service) prepare(ctx context.Context, typ, resourceID string, op Op, json []byte) (*Change, error) {
	registry, err := s.registry(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := s.settings(ctx) // not inside the transaction: it may read another database
	if err != nil {
		return nil, err
	}
	return s.prepareIn(ctx, registry, settings, typ, resourceID, op, json)
}

// prepareIn is prepare with what it would read of the tenant.
func (s *Service) prepareIn(ctx context.Context, registry *search.Registry, settings Settings, typ, resourceID string, op Op, json []byte) (*Change, error) {
	c := &Change{Type: typ, ID: resourceID, Op: op, doer: doerIn(ctx)}
	if resourceID == "" {
		c.ID, c.fresh = id.New(), true
	} else if !id.Valid(resourceID) {
		return nil, fault.Invalid("a resource id has 1 to 64 letters, digits, '-' and '.'")
	}
	c.registry, c.resolves, c.most, c.rights = registry, settings.ReferentialIntegrity, settings.MostResources, access.Of(ctx)
	if op == OpDelete {
		return c, s.permit(c)
	}
	if typ != "" {
		if err := mayAtAll(c.rights, typ, access.Update, access.Create); err != nil {
			return nil, err
		}
	}
	doc := new(jsontape.Doc)
	if err := s.parseResource(doc, json); err != nil {
		return nil, err
	}
	if problems := s.validate(ctx, doc); len(problems) > 0 {
		return nil, fault.Invalid("the resource is not valid FHIR R4").Detail(problems...)
	}
	stated := doc.Text(doc.Get(doc.Root(), "resourceType"))
	if typ == "" {
		c.Type = stated
	} else if typ != stated {
		return nil, fault.Invalid("the body is a %s, the URL says %s", printable(stated), typ)
	}
	c.JSON, c.doc = json, doc
	if !doc.Compact() {
		c.JSON = jsontape.AppendCompact(make([]byte, 0, len(json)), json)
		if err := doc.Parse(c.JSON); err != nil {
			return nil, fault.Internal("re-read a compacted resource").With(err)
		}
	}
	if c.Type == "SearchParameter" {
		if err := s.parameters.check(ctx, c); err != nil {
			return nil, err
		}
	}
	c.values = extract(registry, c.Type, c.ID, doc)
	return c, s.permit(c)
}

// extract computes what the indexes hold of doc.
func extract(registry *search.Registry, typ, resourceID string, doc *jsontape.Doc) indexed {
	var (
		values indexed
		keys   search.Arena
	)
	values.postings, values.chart = registry.Index(&keys, nil, doc, typ)
	if typ == "Patient" {
		values.chart.Patients = []uint64{search.RefHash("Patient/" + resourceID)}
	}
	return values
}

// printable bounds what an error repeats of a client's input.
func printable(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	if s == "" {
		return "resource without resourceType"
	}
	return s
}
