package records

import (
	"bytes"
	"context"
	"net/http"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// metaLists are the parts of a resource's meta that $meta reads, $meta-add adds to and $meta-delete takes from.
//
//nolint:gochecknoglobals // constant table
var metaLists = [...]string{"profile", "security", "tag"}

// maxDistinct is the most different profiles, security labels or tags that $meta lists for a type or the system.
const maxDistinct = 1000

// metaOperation is $meta (FHIR R4 resource-operation-meta.html): the meta of a resource, or the profiles, security labels
// and tags in use in a type or the system.
func (s *Service) metaOperation(ctx context.Context, in *interaction) (answer, error) {
	if _, err := s.arguments(in); err != nil {
		return answer{}, err
	}
	if in.id == "" {
		return s.metaInUse(ctx, in)
	}
	json, err := s.stored(ctx, in)
	if err != nil {
		return answer{}, err
	}
	return metaAnswer(json)
}

func metaAnswer(json []byte) (answer, error) {
	var doc jsontape.Doc
	if err := doc.Parse(json); err != nil {
		return answer{}, fault.Internal("a stored resource does not parse").With(err)
	}
	return returnMeta(doc.Raw(doc.Get(doc.Root(), "meta"))), nil
}

func returnMeta(meta []byte) answer {
	if len(meta) == 0 {
		meta = []byte("{}")
	}
	out := append([]byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":`), meta...)
	return answer{status: http.StatusOK, body: append(out, "}]}"...)}
}

// metaSet gathers the entries of the three lists, each once, in the order in which they came.
type metaSet struct {
	lists [len(metaLists)][][]byte
	known map[string]bool
}

func newMetaSet() *metaSet { return &metaSet{known: map[string]bool{}} }

// identityOf is what makes two entries of a list the same: a profile's text, a coding's system and code.
func identityOf(list int, doc *jsontape.Doc, n jsontape.Node) string {
	if doc.Kind(n) != jsontape.Object {
		return metaLists[list] + " " + doc.Text(n)
	}
	return metaLists[list] + " " + doc.Text(doc.Get(n, "system")) + "|" + doc.Text(doc.Get(n, "code"))
}

// add takes the entries of a meta.
func (m *metaSet) add(doc *jsontape.Doc, meta jsontape.Node) {
	for i, name := range metaLists {
		list := doc.Get(meta, name)
		for n := doc.First(list); n != jsontape.Invalid; n = doc.Next(n) {
			key := identityOf(i, doc, n)
			if !m.known[key] {
				m.known[key] = true
				m.lists[i] = append(m.lists[i], bytes.Clone(doc.Raw(n)))
			}
		}
	}
}

// without gives the entries of a meta that the set does not have.
func (m *metaSet) without(doc *jsontape.Doc, meta jsontape.Node) *metaSet {
	kept := newMetaSet()
	for i, name := range metaLists {
		list := doc.Get(meta, name)
		for n := doc.First(list); n != jsontape.Invalid; n = doc.Next(n) {
			if key := identityOf(i, doc, n); !m.known[key] && !kept.known[key] {
				kept.known[key] = true
				kept.lists[i] = append(kept.lists[i], bytes.Clone(doc.Raw(n)))
			}
		}
	}
	return kept
}

// appendMeta writes a meta with the set's lists and all else of the meta given.
func (m *metaSet) appendMeta(dst []byte, doc *jsontape.Doc, meta jsontape.Node) []byte {
	dst = append(dst, '{')
	first := true
	comma := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
	}
	for n := doc.First(meta); n != jsontape.Invalid; n = doc.Next(n) {
		switch string(doc.Key(n)) {
		case "profile", "security", "tag":
		default:
			comma()
			dst = append(dst, doc.RawMember(n)...)
		}
	}
	for i, name := range metaLists {
		if len(m.lists[i]) == 0 {
			continue
		}
		comma()
		dst = append(append(append(dst, '"'), name...), `":[`...)
		dst = append(append(dst, bytes.Join(m.lists[i], []byte(","))...), ']')
	}
	return append(dst, '}')
}

// metaChange is $meta-add and $meta-delete. Each makes a new version, as any change does: history stays append-only.
func (s *Service) metaChange(ctx context.Context, in *interaction) (answer, error) {
	args, err := s.arguments(in, "meta")
	if err != nil {
		return answer{}, err
	}
	given := args.value("meta")
	if args.doc == nil || args.doc.Kind(given) != jsontape.Object {
		return answer{}, fault.Invalid(`$%s takes Parameters with a parameter "meta" that has a valueMeta`, in.operation)
	}
	if err := mayAtAll(access.Of(ctx), in.typ, access.Update); err != nil {
		return answer{}, err
	}
	asked := newMetaSet()
	asked.add(args.doc, given)
	match, err := readIfMatch(in.ifMatch)
	if err != nil {
		return answer{}, err
	}
	for attempt := 1; ; attempt++ {
		c, unchanged, err := s.prepareMeta(ctx, in, asked)
		if err != nil {
			return answer{}, err
		}
		if unchanged != nil {
			return metaAnswer(unchanged)
		}
		if match != 0 && match != anyVersion {
			c.IfMatch = match
		}
		err = s.commit(ctx, c)
		switch {
		case err == nil:
			a, err := metaAnswer(c.Version.JSON)
			a.version = nil
			return a, err
		case match != 0 || !fault.Is(err, fault.CodePrecondition):
			return answer{}, err
		case attempt == patchAttempts:
			return answer{}, fault.Conflict("the resource is being changed by others all the time: try again")
		}
	}
}

// prepareMeta prepares the resource with its meta changed; where nothing changes it gives the stored content instead.
func (s *Service) prepareMeta(ctx context.Context, in *interaction, asked *metaSet) (c *Change, unchanged []byte, err error) {
	var current *Version
	err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		if current, err = s.read(ctx, q, in.typ, in.id); err == nil {
			err = s.visible(ctx, current, access.Read, access.Search, access.Update)
		}
		return err
	})
	if err == nil && current.Deleted() {
		err = gone(in.typ)
	}
	if err != nil {
		return nil, nil, err
	}
	var doc jsontape.Doc
	if err := doc.Parse(current.JSON); err != nil {
		return nil, nil, fault.Internal("a stored resource does not parse").With(err)
	}
	meta := doc.Get(doc.Root(), "meta")
	merged := newMetaSet()
	if in.operation == "meta-delete" {
		merged = asked.without(&doc, meta)
	} else {
		merged.add(&doc, meta)
		for i := range asked.lists {
			for _, raw := range asked.lists[i] {
				merged.addRaw(i, raw)
			}
		}
	}
	changed := merged.appendMeta(nil, &doc, meta)
	if before := newMetaSet(); true {
		before.add(&doc, meta)
		if bytes.Equal(before.appendMeta(nil, &doc, meta), changed) {
			return nil, current.JSON, nil
		}
	}
	json := append(make([]byte, 0, len(current.JSON)+len(changed)), current.JSON[:doc.Offset(meta)]...)
	json = append(append(json, changed...), current.JSON[doc.End(meta):]...)
	if c, err = s.prepare(ctx, in.typ, in.id, OpUpdate, json); err != nil {
		return nil, nil, err
	}
	c.IfMatch = current.Number
	return c, nil, nil
}

// addRaw takes one entry as it is written.
func (m *metaSet) addRaw(list int, raw []byte) {
	var doc jsontape.Doc
	if doc.Parse(raw) != nil {
		return
	}
	if key := identityOf(list, &doc, doc.Root()); !m.known[key] {
		m.known[key] = true
		m.lists[list] = append(m.lists[list], bytes.Clone(raw))
	}
}

// nextKey leaps along an atom's postings from value to value.
const nextKey = `SELECT key, rid FROM records_index WHERE atom = $1 AND key > $2 ORDER BY key, rid LIMIT 1`

// metaInUse finds the profiles, labels and tags in use: one resource for each value of their indexes shows how it is written.
func (s *Service) metaInUse(ctx context.Context, in *interaction) (answer, error) {
	registry, err := s.registry(ctx)
	if err != nil {
		return answer{}, err
	}
	rights := access.Of(ctx)
	if err := mayAtAny(rights, access.Search); err != nil {
		return answer{}, err
	}
	if in.typ != "" && !rights.MayAll(in.typ, access.Search) {
		return answer{}, fault.Denied("you may not ask for what is in use in all of %s: you don't see all", in.typ)
	}
	set := newMetaSet()
	var doc jsontape.Doc
	err = s.reading(ctx, in, func(ctx context.Context, q db.Querier) error {
		types := []string{in.typ}
		if in.typ == "" {
			if types, err = s.typesInUse(ctx, q); err != nil {
				return err
			}
		}
		for _, typ := range types {
			for _, code := range []string{"_profile", "_security", "_tag"} {
				param := registry.Param(typ, code)
				if param == nil || !rights.MayAll(typ, access.Search) {
					continue
				}
				for _, atom := range param.Atoms(typ) {
					rids, err := s.oneOfEach(ctx, q, int64(int32(atom.ID))) //nolint:gosec // a hash's bits, as stored
					if err != nil {
						return err
					}
					versions, err := s.byRID(ctx, q, rids, typ)
					if err != nil {
						return err
					}
					for _, v := range versions {
						if v == nil || v.Deleted() || doc.Parse(v.JSON) != nil {
							continue
						}
						if ok, err := s.sees(registry, rights, v, access.Search); err != nil || !ok {
							continue // a label that is not seen is not named
						}
						set.add(&doc, doc.Get(doc.Root(), "meta"))
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return returnMeta(set.appendMeta(nil, &jsontape.Doc{}, jsontape.Invalid)), nil
}

// oneOfEach gives a resource for each value of an atom.
func (s *Service) oneOfEach(ctx context.Context, q db.Querier, atom int64) (rids []int64, err error) {
	last := []byte{}
	for len(rids) <= maxDistinct {
		found := false
		err := q.Query(ctx, nextKey, func(r db.Row) error {
			found = true
			last = bytes.Clone(r.Bytes(0))
			rids = append(rids, r.Int64(1))
			return nil
		}, atom, last)
		if err != nil || !found {
			return rids, err
		}
	}
	return nil, fault.TooCostly("more than %d different values are in use: ask for the meta of one resource", maxDistinct)
}

// typesInUse are the types of which there are resources.
func (s *Service) typesInUse(ctx context.Context, q db.Querier) (types []string, err error) {
	err = q.Query(ctx, typesInUse, func(r db.Row) error {
		types = append(types, s.definitions.TypeName(int16(r.Int64(0)))) //nolint:gosec // stored from an int16
		return nil
	})
	return types, err
}
