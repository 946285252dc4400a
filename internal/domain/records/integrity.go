package records

import (
	"context"
	"encoding/binary"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

// checkReferences refuses changes that would leave a reference to nothing, where the tenant asks for that: a resource
// that refers to one which is not there, and a deletion of one that others refer to. What the same group writes counts.
func (s *Service) checkReferences(ctx context.Context, tx db.Tx, cs []*Change, slots []*slot, errs []error) error {
	settings, err := s.settings(ctx)
	if err != nil || !settings.ReferentialIntegrity {
		return err
	}
	here := make(map[string]bool, len(cs)) // after the group: there, or deleted
	for i, c := range cs {
		if errs[i] == nil && slots[i].current != nil {
			here[c.Type+"/"+c.ID] = !slots[i].current.Deleted()
		}
	}
	for i, c := range cs {
		if errs[i] != nil || c.NoOp || slots[i].last != c {
			continue
		}
		if c.Op == OpDelete {
			errs[i], err = s.referredTo(ctx, tx, c, here)
		} else {
			errs[i], err = s.dangling(ctx, tx, c, here)
		}
		if err != nil {
			return err
		}
		if errs[i] != nil {
			slots[i].undo()
			for j := range cs {
				if slots[j] == slots[i] && errs[j] == nil {
					errs[j] = fault.Conflict("another write to the same resource came at the same time: try again")
				}
			}
		}
	}
	return nil
}

// undo takes the slot's last change back: it is refused after all.
func (sl *slot) undo() {
	sl.current, sl.last, sl.replaced = sl.found, nil, nil
}

// dangling errs with Unprocessable when c refers to what is not there.
func (s *Service) dangling(ctx context.Context, tx db.Tx, c *Change, here map[string]bool) (refused, err error) {
	var (
		types   []int32
		ids     [][]byte
		details []fault.Detail
		lines   []fault.Detail
		pending = map[string]int{}
	)
	search.References(c.doc, c.Type, func(n jsontape.Node, ref fhir.Ref) {
		if ref.Kind != fhir.Local {
			return
		}
		key := ref.TypeID()
		there, known := here[key]
		line, column := c.doc.Position(n)
		problem := fault.Detail{
			Severity: "error", Kind: "not-found", Line: line, Column: column,
			Message: "refers to " + key + ", which is not here; this tenant demands that references resolve",
		}
		if known && !there {
			details = append(details, problem)
		}
		if _, asked := pending[key]; known || asked {
			return
		}
		pending[key] = len(ids)
		lines = append(lines, problem)
		types, ids = append(types, s.number(ref.Type)), append(ids, encodeID(ref.ID))
	})
	if len(ids) > 0 {
		found := make([]bool, len(ids))
		err := tx.Lookup(ctx, db.Lookup{
			Table: "records_resource", Want: []string{"op"}, Keys: []db.Column{db.Col("type", types), db.Col("id", ids)},
		}, func(i int, r db.Row) error {
			found[i] = Op(r.Int64(0)) != OpDelete
			return nil
		})
		if err != nil {
			return nil, err
		}
		for i, ok := range found {
			if !ok {
				details = append(details, lines[i])
			}
		}
	}
	if len(details) == 0 {
		return nil, nil
	}
	return fault.New(fault.CodeUnprocessable, "the resource refers to what is not here").Detail(details...), nil
}

// referredTo errs with Conflict when a resource that stays refers to the one that c deletes.
func (s *Service) referredTo(ctx context.Context, tx db.Tx, c *Change, here map[string]bool) (refused, err error) {
	registry, err := s.registry(ctx)
	if err != nil {
		return nil, err
	}
	self := c.Type + "/" + c.ID
	key := binary.BigEndian.AppendUint64(nil, search.RefHash(self))
	var (
		postings []posting
		chart    []int32
	)
	for _, typ := range s.definitions.ResourceTypes() {
		for _, p := range registry.Params(typ) {
			if p.Type != search.Reference {
				continue
			}
			for _, atom := range p.Atoms(typ) {
				if atom.Chart && c.Type == "Patient" {
					chart = append(chart, s.number(typ))
				} else {
					postings = append(postings, posting{int32(atom.ID), key}) //nolint:gosec // a hash's bits
				}
			}
		}
	}
	col := &collector{most: 1_000, scan: 1}
	if err := col.equal(ctx, tx, postings); err != nil {
		return nil, err
	}
	for _, number := range chart {
		if err := col.charts(ctx, tx, number, []int64{int64(search.RefHash(self))}, 0); err != nil { //nolint:gosec // a hash's bits
			return nil, err
		}
	}
	for _, rid := range col.rids {
		other := ""
		err := tx.Query(ctx, `SELECT type, id, op FROM records_resource WHERE rid = $1`, func(r db.Row) error {
			if Op(r.Int64(2)) != OpDelete {
				other = s.definitions.TypeName(int16(r.Int64(0))) + "/" + decodeID(r.Bytes(1)) //nolint:gosec // a type's number
			}
			return nil
		}, rid)
		if err != nil {
			return nil, err
		}
		if there, known := here[other]; other != "" && other != self && (!known || there) {
			return fault.Conflict("%s refers to this %s, which can therefore not be deleted; this tenant demands that references resolve", other, c.Type), nil
		}
	}
	return nil, nil
}
