package records

import (
	"bytes"
	"context"
	"runtime"
	"strconv"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/jsontape"
)

// importChunk is how many resources an import writes in one transaction.
const importChunk = 1000

// ImportReport counts what became of the resources of an import.
type ImportReport struct {
	Created, Updated, Unchanged int
	Refused                     []Refusal
}

// Refusal says why a resource was not imported.
type Refusal struct {
	Index int    // of the entry or resource in what was given, from 0
	Type  string // empty when not known
	Err   error  // a fault
}

// Add counts another report in.
func (r *ImportReport) Add(other ImportReport) {
	r.Created += other.Created
	r.Updated += other.Updated
	r.Unchanged += other.Unchanged
	r.Refused = append(r.Refused, other.Refused...)
}

// ImportBundle takes the resources of one Bundle: a transaction or batch is carried out as a whole, but what it POSTs keeps
// the id of its urn:uuid or its own, so that an import may be repeated and changes nothing the second time; of other
// bundles each resource is taken by itself.
//
// Errors: those of the transaction, of which nothing is written then; Invalid when it is no Bundle.
func (s *Service) ImportBundle(ctx context.Context, json []byte) (report ImportReport, err error) {
	defer fault.Op(&err, "records.ImportBundle")
	if ctx, err = s.enter(ctx); err != nil {
		return report, err
	}
	var doc jsontape.Doc
	if err := s.parseResource(&doc, json); err != nil {
		return report, err
	}
	root := doc.Root()
	if typ := doc.Text(doc.Get(root, "resourceType")); typ != "Bundle" {
		return report, fault.Invalid("this is a %s, not a Bundle", printable(typ))
	}
	switch doc.Text(doc.Get(root, "type")) {
	case "transaction", "batch":
		return s.importTransaction(ctx, json)
	}
	var resources [][]byte
	list := doc.Get(root, "entry")
	for n := doc.First(list); n != jsontape.Invalid; n = doc.Next(n) {
		if r := doc.Get(n, "resource"); doc.Kind(r) == jsontape.Object {
			resources = append(resources, doc.Raw(r))
		}
	}
	return s.ImportResources(ctx, resources)
}

func (s *Service) importTransaction(ctx context.Context, json []byte) (report ImportReport, err error) {
	b, err := s.readBundle(json)
	if err != nil {
		return report, err
	}
	t := &transaction{s: s, bundle: b, keepIDs: true, base: "urn:ward:import"}
	if err := t.plan(); err != nil {
		return report, err
	}
	if err := t.require(ctx); err != nil {
		return report, err
	}
	if err := t.run(ctx); err != nil {
		return report, err
	}
	for i := range t.steps {
		st := &t.steps[i]
		switch {
		case st.order == stepGet:
		case st.existing || st.unchanged:
			report.Unchanged++
		case st.change != nil:
			report.count(st.change)
		}
	}
	return report, nil
}

func (r *ImportReport) count(c *Change) {
	switch {
	case c.NoOp:
		r.Unchanged++
	case c.Created:
		r.Created++
	default:
		r.Updated++
	}
}

// ImportResources stores resources under the ids that they have, or new ones, many in one transaction. What is there
// already with the same content stays as it is. A resource that is refused does not keep others from being stored.
//
// Errors: only those of the database; what is wrong with a resource is in the report.
func (s *Service) ImportResources(ctx context.Context, resources [][]byte) (report ImportReport, err error) {
	defer fault.Op(&err, "records.ImportResources")
	if ctx, err = s.enter(ctx); err != nil {
		return report, err
	}
	for start := 0; start < len(resources); start += importChunk {
		chunk := resources[start:min(start+importChunk, len(resources))]
		part, err := s.importChunk(ctx, chunk, start)
		report.Add(part)
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

func (s *Service) importChunk(ctx context.Context, resources [][]byte, start int) (report ImportReport, err error) {
	prepared := make([]*Change, len(resources))
	errs := make([]error, len(resources))
	parallel(len(resources), runtime.GOMAXPROCS(0), func(i int) {
		prepared[i], errs[i] = s.prepareImport(ctx, resources[i])
	})
	if err := ctx.Err(); err != nil {
		return report, fault.New(fault.CodeCanceled, "the import was stopped").With(err)
	}
	cs := make([]*Change, 0, len(prepared))
	index := make([]int, 0, len(prepared))
	for i, c := range prepared {
		if errs[i] != nil {
			report.Refused = append(report.Refused, Refusal{Index: start + i, Type: statedType(resources[i]), Err: errs[i]})
			continue
		}
		cs, index = append(cs, c), append(index, start+i)
	}
	var (
		made      []*Change
		refused   []Refusal
		unchanged int
	)
	err = s.write(ctx, func(ctx context.Context, tx db.Tx) ([]*Change, error) {
		made, refused = made[:0], refused[:0]
		same, err := s.unchanged(ctx, tx, cs)
		if err != nil {
			return nil, err
		}
		unchanged = len(same)
		at := make([]int, 0, len(cs))
		for i, c := range cs {
			if !same[c] {
				made, at = append(made, c), append(at, index[i])
			}
		}
		errs, err := s.apply(ctx, tx, made)
		if err != nil {
			return nil, err
		}
		for i, e := range errs {
			if e != nil {
				refused = append(refused, Refusal{Index: at[i], Type: made[i].Type, Err: e})
			}
		}
		kept := made[:0:0]
		for i, c := range made {
			if errs[i] == nil {
				kept = append(kept, c)
			}
		}
		made = kept
		return made, nil
	})
	if err != nil {
		return report, err
	}
	report.Unchanged += unchanged
	report.Refused = append(report.Refused, refused...)
	for _, c := range made {
		report.count(c)
	}
	return report, nil
}

func (s *Service) prepareImport(ctx context.Context, json []byte) (*Change, error) {
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	if err := s.parseResource(doc, json); err != nil {
		return nil, err
	}
	typ, stated := doc.Text(doc.Get(doc.Root(), "resourceType")), doc.Text(doc.Get(doc.Root(), "id"))
	if stated == "" {
		return s.prepare(ctx, typ, "", OpCreate, json)
	}
	return s.prepare(ctx, typ, stated, OpUpdate, json)
}

func statedType(json []byte) string {
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	typ, err := fhir.Parse(doc, json)
	if err != nil {
		return ""
	}
	return printable(typ)
}

// unchanged finds the changes that would store what is stored already.
func (s *Service) unchanged(ctx context.Context, q db.Querier, cs []*Change) (map[*Change]bool, error) {
	var (
		types []int32
		keys  [][]byte
		named []*Change
	)
	for _, c := range cs {
		if c.fresh || c.Op == OpDelete {
			continue
		}
		named = append(named, c)
		types, keys = append(types, s.number(c.Type)), append(keys, encodeID(c.ID))
	}
	if len(named) == 0 {
		return nil, nil //nolint:nilnil // none
	}
	same := map[*Change]bool{}
	err := q.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body"},
		Keys: []db.Column{db.Col("type", types), db.Col("id", keys)},
	}, func(i int, r db.Row) error {
		v, err := s.scanVersion(ctx, r, named[i].Type, named[i].ID)
		if err == nil && !v.Deleted() && bytes.Equal(v.JSON, stampAs(named[i], v)) {
			same[named[i]] = true
		}
		return err
	})
	return same, err
}

// stampAs is what a change's content would be as the version given.
func stampAs(c *Change, v *Version) []byte {
	return fhir.Stamp(make([]byte, 0, len(v.JSON)), c.doc, v.ID, strconv.FormatInt(v.Number, 10), v.Updated())
}
