package records

import (
	"context"
	"math/bits"
	"slices"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// referenceCheck refuses changes of a group that would leave a reference to nothing, where the tenant asks for that: a
// resource that refers to one which is not there, and the deletion of one that others refer to by what a search
// parameter finds. What the same group writes counts. References to other servers are not looked at.
type referenceCheck struct {
	s        *Service
	tx       db.Tx
	registry *search.Registry
	cs       []*Change
	slots    []*slot
	errs     []error

	here      map[string]*slot        // by "Type/id": what the group touches
	there     map[string]*Version     // what it does not touch: as it is stored, nil if it is not
	refers    map[*Change][]reference // what the new content refers to
	referrers map[*Change][]string    // what is stored and refers to what is deleted
	refused   map[*Change]bool        // by this check
	ways      []way
}

// reference is what a resource refers to, and where.
type reference struct {
	key          string // "Type/id"
	line, column int
}

// checkReferences sets errs[i] for the changes that it refuses: Unprocessable for a reference to nothing, Conflict for a
// deletion.
func (s *Service) checkReferences(ctx context.Context, tx db.Tx, cs []*Change, slots []*slot, errs []error) error {
	if !slices.ContainsFunc(cs, func(c *Change) bool { return c.resolves }) {
		return nil
	}
	g := &referenceCheck{
		s: s, tx: tx, registry: cs[0].registry, cs: cs, slots: slots, errs: errs,
		here: make(map[string]*slot, len(cs)), there: map[string]*Version{}, refers: map[*Change][]reference{}, referrers: map[*Change][]string{},
		refused: map[*Change]bool{},
	}
	for i, c := range cs {
		g.here[c.Type+"/"+c.ID] = slots[i]
	}
	for again := true; again; {
		if err := g.learn(ctx); err != nil {
			return err
		}
		// A refusal may be the reason for others.
		again = g.pass(true)
		again = g.pass(false) || again
	}
	return nil
}

// pending says that a change is what its resource will be, as things stand.
func (g *referenceCheck) pending(i int) bool {
	return g.errs[i] == nil && !g.cs[i].NoOp && g.slots[i].last == g.cs[i]
}

// learn reads what is stored about the changes that it has not read about yet.
func (g *referenceCheck) learn(ctx context.Context) error {
	var unknown []string
	for i, c := range g.cs {
		if c.Op == OpDelete {
			if _, ok := g.referrers[c]; !ok && g.pending(i) {
				if err := g.findReferrers(ctx, c); err != nil {
					return err
				}
			}
			continue
		}
		if _, ok := g.refers[c]; ok || g.errs[i] != nil {
			continue
		}
		g.refers[c] = g.references(c)
		for _, ref := range g.refers[c] {
			if _, known := g.there[ref.key]; !known && g.here[ref.key] == nil {
				g.there[ref.key] = nil
				unknown = append(unknown, ref.key)
			}
		}
	}
	return g.lookUp(ctx, unknown)
}

func (g *referenceCheck) references(c *Change) []reference {
	refs := []reference{}
	search.References(c.doc, c.Type, func(n jsontape.Node, ref fhir.Ref) {
		if ref.Kind == fhir.Remote {
			ref = fhir.ParseReference(c.doc.Text(n), g.registry.Base())
		}
		if ref.Kind != fhir.Local {
			return
		}
		line, column := c.doc.Position(n)
		refs = append(refs, reference{ref.TypeID(), line, column})
	})
	return refs
}

// lookUp finds out which resources are stored, and keeps those from being deleted until the transaction ends.
func (g *referenceCheck) lookUp(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	types, ids := make([]int32, len(keys)), make([][]byte, len(keys))
	for i, key := range keys {
		typ, id, _ := cutReference(key)
		types[i], ids[i] = g.s.number(typ), encodeID(id)
	}
	return g.tx.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body"}, Keys: []db.Column{db.Col("type", types), db.Col("id", ids)}, ForUpdate: true,
	}, func(i int, r db.Row) error {
		if opAt(r, 3) == OpDelete {
			return nil
		}
		typ, id, _ := cutReference(keys[i])
		v, err := g.s.scanVersion(ctx, r, typ, id)
		g.there[keys[i]] = v
		return err
	})
}

// way is how resources of a type may refer to others.
type way struct {
	typ   string
	param *search.Param
}

// allWays are the ways to refer to anything.
func (g *referenceCheck) allWays() []way {
	if g.ways == nil {
		for _, from := range g.s.definitions.ResourceTypes() {
			for _, p := range g.registry.Params(from) {
				if p.Type == search.Reference {
					g.ways = append(g.ways, way{from, p})
				}
			}
		}
	}
	return g.ways
}

// findReferrers gathers what is stored and refers to what c deletes; of many, more than the group can touch.
func (g *referenceCheck) findReferrers(ctx context.Context, c *Change) error {
	self := c.Type + "/" + c.ID
	g.referrers[c] = nil
	var (
		postings []posting
		charts   []int32
		known    = map[postingKey]bool{}
		patient  int64
	)
	m, err := g.s.mask(ctx)
	if err != nil {
		return err
	}
	for _, w := range g.allWays() {
		ranges, _ := w.param.RangesTo(w.typ, self)
		for _, r := range maskRanges(m, ranges) {
			key := postingKey{r.Atom, r.Chart, string(r.Lo)}
			switch {
			case known[key]:
			case r.Chart:
				patient = maskChart(m, chartKey(r))
				charts = append(charts, g.s.number(w.typ))
			default:
				postings = append(postings, postingOf(r))
			}
			known[key] = true
		}
	}
	// Of more than the group touches, one is certainly not among what it deletes.
	col := &collector{most: 1<<bits.Len(uint(4*len(g.cs)+100)) - 1, scan: 1}
	if err := col.equal(ctx, g.tx, postings); err != nil {
		return err
	}
	patients, codes := slices.Repeat([]int64{patient}, len(charts)), make([]int64, len(charts))
	if len(charts) > 0 && !col.full() {
		err := g.tx.Lookup(ctx, db.Lookup{
			Table: "records_chart", Want: []string{"rid"},
			Keys: []db.Column{db.Col("patient", patients), db.Col("type", charts), db.Col("code", codes)}, Most: col.most + 1,
		}, col.take)
		if err != nil {
			return err
		}
	}
	slices.Sort(col.rids)
	rids := slices.Compact(col.rids)
	if len(rids) == 0 {
		return nil
	}
	return g.tx.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"type", "id", "op"}, Keys: []db.Column{db.Col("rid", rids)},
	}, func(_ int, r db.Row) error {
		key := g.s.definitions.TypeName(int16(r.Int64(0))) + "/" + decodeID(r.Bytes(1)) //nolint:gosec // a type's number
		if opAt(r, 2) != OpDelete && key != self {
			g.referrers[c] = append(g.referrers[c], key)
		}
		return nil
	})
}

// pass decides all deletions, or all other changes, and says whether it refused any.
func (g *referenceCheck) pass(deletions bool) (refused bool) {
	var wanted map[string]string // what the group's new contents refer to, and one that does
	if deletions {
		wanted = map[string]string{}
		for i, c := range g.cs {
			if g.pending(i) {
				for _, ref := range g.refers[c] {
					wanted[ref.key] = c.Type + "/" + c.ID
				}
			}
		}
	}
	for i, c := range g.cs {
		var err error
		switch {
		case g.errs[i] != nil, deletions != (c.Op == OpDelete):
		case !deletions:
			err = g.content(c)
		case g.pending(i):
			err = g.deletion(c, wanted)
		}
		if err != nil {
			g.errs[i], g.refused[c] = err, true
			g.replay(g.slots[i])
			refused = true
		}
	}
	return refused
}

// deletion errs with Conflict when something that stays refers to what c deletes.
func (g *referenceCheck) deletion(c *Change, wanted map[string]string) error {
	self := c.Type + "/" + c.ID
	other := wanted[self]
	for _, key := range g.referrers[c] {
		// What the group writes anew is among wanted if it still refers.
		if sl := g.here[key]; other == "" && (sl == nil || sl.last == nil) {
			other = key
		}
	}
	if other == "" || other == self {
		return nil
	}
	if !c.rights.ClearsAll() || !c.rights.MayAll(c.Type, access.Read) {
		return fault.Conflict("something refers to this %s, which can therefore not be deleted; this tenant demands that references resolve", c.Type)
	}
	return fault.Conflict("%s refers to this %s, which can therefore not be deleted; this tenant demands that references resolve", other, c.Type)
}

// content errs with Unprocessable when c refers to what is not there.
func (g *referenceCheck) content(c *Change) error {
	var details []fault.Detail
	for _, ref := range g.refers[c] {
		there, err := g.seen(c, g.there[ref.key])
		if err != nil {
			return err
		}
		if sl := g.here[ref.key]; sl != nil {
			if there, err = g.seen(c, sl.current); err != nil {
				return err
			}
			there = there || sl.found == nil && sl.current != nil && !sl.current.Deleted() // the group makes it
		}
		if !there {
			details = append(details, fault.Detail{
				Severity: "error", Kind: "not-found", Line: ref.line, Column: ref.column,
				Message: "refers to " + ref.key + ", which is not here; this tenant demands that references resolve",
			})
		}
	}
	if details == nil {
		return nil
	}
	return fault.New(fault.CodeUnprocessable, "the resource refers to what is not here").Detail(details...)
}

// seen says whether a resource is there for who makes the change.
func (g *referenceCheck) seen(c *Change, v *Version) (bool, error) {
	if v == nil || v.Deleted() {
		return false, nil
	}
	return g.s.sees(c.registry, c.rights, v, access.Read, access.Search)
}

// replay carries the changes of a resource out again without those that were refused.
func (g *referenceCheck) replay(sl *slot) {
	sl.current, sl.last, sl.replaced = sl.found, nil, nil
	for i, c := range g.cs {
		if g.slots[i] == sl && !g.refused[c] {
			c.Version, c.Prior, c.Created, c.NoOp = nil, nil, false, false
			g.errs[i] = g.s.step(c, sl)
		}
	}
}
