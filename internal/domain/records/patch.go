package records

import (
	"bytes"
	"context"
	"encoding/base64"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	fhirpatch "ward/internal/format/fhir/patch"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// patchAttempts is how often a patch without If-Match is made anew because somebody else changed the resource meanwhile.
const patchAttempts = 8

// patch changes a part of a resource by a JSON Patch (RFC 6902) or by the Parameters of a FHIRPath Patch
// (FHIR R4 http.html#patch, fhirpatch.html).
func (s *Service) patch(ctx context.Context, in *interaction) (answer, error) {
	match, _, err := in.conditions()
	if err != nil {
		return answer{}, err
	}
	for attempt := 1; ; attempt++ {
		current, err := s.patchTarget(ctx, in)
		if err != nil {
			return answer{}, err
		}
		c, err := s.preparePatch(ctx, in, current, match)
		if err != nil {
			return answer{}, err
		}
		err = s.commit(ctx, c)
		switch {
		case err == nil:
			return written(c), s.hushed(ctx, in, c)
		case match != 0 || !fault.Is(err, fault.CodePrecondition):
			return answer{}, err
		case attempt == patchAttempts:
			return answer{}, fault.Conflict("the resource is being changed by others all the time: try again, or send If-Match")
		}
	}
}

// patchTarget reads the resource that a patch is for, which a conditional one finds by its criteria. It may be deleted.
func (s *Service) patchTarget(ctx context.Context, in *interaction) (current *Version, err error) {
	if err := mayAtAll(access.Of(ctx), in.typ, access.Update); err != nil {
		return nil, err
	}
	if in.id == "" && in.query == "" {
		return nil, fault.Invalid("a patch names its resource, PATCH [base]/%s/[id], or says how to find it, PATCH [base]/%s?[criteria]", in.typ, in.typ)
	}
	if in.id == "" {
		if err := s.requireFilter(ctx, in.typ, in.query); err != nil {
			return nil, err
		}
	}
	err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		current, err = s.patchTargetIn(ctx, q, &in.target)
		return err
	})
	return current, err
}

func (s *Service) patchTargetIn(ctx context.Context, q db.Querier, t *target) (*Version, error) {
	if t.id != "" {
		v, err := s.read(ctx, q, t.typ, t.id)
		if err == nil {
			err = s.visible(ctx, v, access.Read, access.Search, access.Update)
		}
		return v, err
	}
	found, err := s.match(ctx, q, t.typ, t.query)
	if err == nil {
		err = s.recordLookup(ctx, t.typ, t.query, found)
	}
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fault.NotFound("the criteria match no %s", t.typ)
	case len(found) > 1:
		return nil, oneAtMost(found)
	}
	return found[0], nil
}

// preparePatch applies the patch to the current version. The change asks for just that version.
func (s *Service) preparePatch(ctx context.Context, in *interaction, current *Version, match int64) (*Change, error) {
	switch {
	case current.Deleted():
		return nil, gone(in.typ)
	case match > 0 && match != current.Number, match == noVersion:
		return nil, fault.Precondition("If-Match asks for another version than the current one, which is %d", current.Number)
	}
	patched, err := s.patched(in, current.JSON)
	if err != nil {
		return nil, err
	}
	if patched, err = withoutStaleNarrative(current.JSON, patched); err != nil {
		return nil, err
	}
	c, err := s.prepare(ctx, in.typ, current.ID, OpPatch, patched)
	if err != nil {
		return nil, err
	}
	if err := sameID(c, current.ID); err != nil {
		return nil, fault.Unprocessable("a patch can't change or remove a resource's id")
	}
	c.IfMatch = current.Number
	return c, nil
}

// hushed keeps the whole resource from who may change it and not read it.
func (s *Service) hushed(ctx context.Context, in *interaction, c *Change) error {
	ok, err := s.sees(c.registry, access.Of(ctx), c.Version, access.Read, access.Search)
	if err == nil && !ok {
		in.prefer.returns = returnMinimal
	}
	return err
}

func (s *Service) patched(in *interaction, json []byte) ([]byte, error) {
	if in.typ == "Binary" {
		return nil, fault.MethodNotAllowed("a Binary can't be patched (FHIR R4 binary.html#rest): send it whole by PUT")
	}
	if in.bodyFormat == fhir.JSONPatchBody {
		return fhirpatch.JSONPatch(json, in.body)
	}
	return fhirpatch.FHIRPathPatch(json, in.body)
}

// withoutStaleNarrative drops a narrative that was generated from the data before the patch and was not patched itself:
// it may contradict the data now (FHIR R4 http.html#patch demands that a narrative be safe after a patch).
func withoutStaleNarrative(before, after []byte) ([]byte, error) {
	if !bytes.Contains(after, []byte(`"div"`)) {
		return after, nil
	}
	var old, patched jsontape.Doc
	if err := old.Parse(before); err != nil {
		return nil, fault.Internal("a stored resource does not parse").With(err)
	}
	if err := patched.Parse(after); err != nil {
		return nil, fault.Unprocessable("the patch does not leave a JSON document").With(err)
	}
	text := patched.Get(patched.Root(), "text")
	if text == jsontape.Invalid || !bytes.Equal(old.Raw(old.Get(old.Root(), "text")), patched.Raw(text)) {
		return after, nil
	}
	switch patched.Text(patched.Get(text, "status")) {
	case "generated", "extensions":
	default:
		return after, nil
	}
	from, to := patched.KeyOffset(text), patched.End(text)
	if next := patched.Next(text); next != jsontape.Invalid {
		to = patched.KeyOffset(next)
	} else if i := bytes.LastIndexByte(after[:from], ','); i > 0 {
		from = i
	}
	return append(append(make([]byte, 0, len(after)), after[:from]...), after[to:]...), nil
}

// entryPatch reads the patch that an entry of a bundle carries: Parameters are a FHIRPath Patch, a Binary with the
// content type of a JSON Patch has it in its data (FHIR R4 http.html#patch).
func (s *Service) entryPatch(doc *jsontape.Doc, e *bundleEntry, in *interaction) error {
	switch doc.Text(doc.Get(e.node, "resourceType")) {
	case "Parameters":
		in.body, in.bodyFormat = e.resource, fhir.ResourceBody
		return nil
	case "Binary":
		if doc.Text(doc.Get(e.node, "contentType")) != typeJSONPatch {
			return fault.Unsupported("a Binary that patches has contentType %s", typeJSONPatch)
		}
		data, err := base64.StdEncoding.DecodeString(doc.Text(doc.Get(e.node, "data")))
		if err != nil {
			return fault.Invalid("Binary.data is not base64")
		}
		in.body, in.bodyFormat = data, fhir.JSONPatchBody
		return nil
	}
	return fault.Invalid("a PATCH carries Parameters (FHIRPath Patch), or a Binary with contentType %s (JSON Patch)", typeJSONPatch)
}
