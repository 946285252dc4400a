package records

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/format/fhir"
)

// The order in which the entries of a transaction are processed (FHIR R4 http.html#trules).
const (
	stepDelete = iota
	stepPost
	stepPut
	stepGet
)

// transaction is a bundle on its way into the database. Everything that needs no lock is done before the database
// transaction begins: reading, finding what conditions name, replacing links, validating, extracting index entries. What
// was found is looked up again inside; where that differs, the entries are prepared anew.
type transaction struct {
	s       *Service
	bundle  *bundle
	steps   []step
	base    string
	prefer  preference
	keepIDs bool // an import: POSTs keep the ids that they bring

	criteria []criterion
	links    links
}

// step is what one entry does.
type step struct {
	entry *bundleEntry
	order int
	in    interaction

	criteria int    // index of what finds its resource, -1 for none
	match    int64  // If-Match
	absent   bool   // If-None-Match: *
	id       string // of the resource, once known
	existing bool   // a conditional create that found its resource
	twin     *step  // an earlier conditional create with the same criteria, which makes the resource of both

	change    *Change
	unchanged bool // an import that brings what is stored already
	answer    answer
}

// criterion is a search that names a resource: in a conditional interaction, or in a conditional reference.
type criterion struct {
	typ, query string
	reference  bool // exactly one must match, which may be one that this transaction makes
	at         int  // the first entry that uses it
	found      []*Version
	recorded   bool // in the audit log
}

// transact carries out a transaction: all of it or nothing.
//
// Errors: those of its entries, each naming the entry; nothing has been written then.
func (s *Service) transact(ctx context.Context, b *bundle, base string, prefer preference) (*transaction, error) {
	t := &transaction{s: s, bundle: b, base: base, prefer: prefer}
	if err := t.plan(); err != nil {
		return nil, err
	}
	if err := t.require(ctx); err != nil {
		return nil, err
	}
	return t, t.run(ctx)
}

func (t *transaction) run(ctx context.Context) error {
	s := t.s
	if _, err := s.registry(ctx); err != nil { // as in perform
		return err
	}
	for i := range t.criteria {
		if err := s.requireFilter(ctx, t.criteria[i].typ, t.criteria[i].query); err != nil {
			return inEntry(t.criteria[i].at, err)
		}
	}
	if len(t.criteria) > 0 {
		err := s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
			_, err := t.find(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := t.assign(ctx); err != nil {
		return err
	}
	if err := t.prepare(ctx); err != nil {
		return err
	}
	if !t.writes() {
		if err := t.conclude(ctx); err != nil {
			return err
		}
		return s.db.Snapshot(ctx, t.reads)
	}
	err := s.write(ctx, func(ctx context.Context, tx db.Tx) ([]*Change, error) {
		if err := t.confirm(ctx, tx); err != nil {
			return nil, err
		}
		if err := t.patches(ctx, tx); err != nil {
			return nil, err
		}
		if t.keepIDs {
			if err := t.skipUnchanged(ctx, tx); err != nil {
				return nil, err
			}
		}
		made := t.changes()
		errs, err := s.apply(ctx, tx, made)
		if err != nil {
			return nil, err
		}
		if err := t.refused(made, errs); err != nil {
			return nil, err
		}
		return made, t.reads(ctx, tx)
	})
	if err != nil {
		return err
	}
	return t.conclude(ctx)
}

// plan reads each entry's request.
func (t *transaction) plan() error {
	t.steps = make([]step, len(t.bundle.entries))
	byCriteria := map[string]int{}
	seen := make(map[string]int, len(t.bundle.entries))
	for i := range t.bundle.entries {
		e := &t.bundle.entries[i]
		st := &t.steps[i]
		*st = step{entry: e, criteria: -1}
		if err := t.planEntry(st, e); err != nil {
			return inEntry(i, err)
		}
		if e.fullURL != "" && st.order != stepGet {
			if other, twice := seen[e.fullURL]; twice {
				return inEntry(i, fault.Invalid("its fullUrl is that of %s: each entry needs one of its own", entryPath(other)))
			}
			seen[e.fullURL] = i
		}
		query := ""
		switch {
		case st.order == stepPost:
			query = e.ifNoneExist
		case st.order != stepGet && st.in.id == "":
			query = st.in.query
		}
		if query != "" {
			st.criteria = t.criterion(byCriteria, st.in.typ, query, i, false)
		}
		if st.order == stepPost || st.order == stepPut && e.method == http.MethodPut {
			t.s.criteriaIn(t.bundle.doc, e.node, func(reference string) {
				typ, query, _ := strings.Cut(reference, "?")
				t.criterion(byCriteria, typ, query, i, true)
			})
		}
	}
	return nil
}

func (t *transaction) criterion(known map[string]int, typ, query string, at int, reference bool) int {
	key := typ + "?" + query
	if reference {
		key = "ref:" + key
	}
	n, ok := known[key]
	if !ok {
		n = len(t.criteria)
		known[key] = n
		t.criteria = append(t.criteria, criterion{typ: typ, query: query, reference: reference, at: at})
	}
	return n
}

func (t *transaction) planEntry(st *step, e *bundleEntry) (err error) {
	in := &st.in
	if *in, err = t.s.entryInteraction(t.bundle.doc, e, t.base, t.prefer); err != nil {
		return err
	}
	if st.match, st.absent, err = conditionsOf(in); err != nil {
		return err
	}
	switch in.method {
	case http.MethodDelete:
		st.order = stepDelete
		if !in.simple() || in.typ == "" || in.operation != "" {
			return fault.Invalid("a DELETE in a transaction has a URL like Patient/1 or Patient?identifier=x")
		}
		if in.id == "" && in.query == "" {
			return errDeleteAll(in.typ)
		}
	case http.MethodPost:
		st.order = stepPost
		switch {
		case in.operation != "" && readOnly(in.operation), in.search:
			st.order = stepGet
		case !in.simple() || in.operation != "" || in.typ == "" || in.id != "":
			return fault.Invalid("a POST in a transaction has a resource type as its URL, like Patient")
		}
	case http.MethodPut, http.MethodPatch:
		st.order = stepPut
		if !in.simple() || in.typ == "" || in.operation != "" {
			return fault.Invalid("a %s in a transaction has a URL like Patient/1 or Patient?identifier=x", in.method)
		}
		if in.id == "" && in.query == "" {
			return fault.Invalid("a %s in a transaction names its resource, %s/[id], or says how to find it, %s?[criteria]", in.method, in.typ, in.typ)
		}
	default:
		st.order = stepGet
	}
	if st.order == stepPost || st.order == stepPut && in.method == http.MethodPut {
		if stated := t.bundle.doc.Text(t.bundle.doc.Get(e.node, "resourceType")); stated != in.typ {
			return fault.Invalid("the resource is a %s, the URL says %s", printable(stated), in.typ)
		}
	}
	return nil
}

// conditionsOf is in.conditions for writes; reads have conditions of their own.
func conditionsOf(in *interaction) (int64, bool, error) {
	if in.method == http.MethodGet || in.method == http.MethodHead {
		return 0, false, nil
	}
	return in.conditions()
}

// find looks up all criteria and tells whether the answers are the same as before.
func (t *transaction) find(ctx context.Context, q db.Querier) (same bool, err error) {
	same = true
	for i := range t.criteria {
		c := &t.criteria[i]
		found, err := t.s.match(ctx, q, c.typ, c.query)
		if err != nil {
			return false, inEntry(c.at, err)
		}
		if !c.recorded {
			if err := t.s.recordLookup(ctx, c.typ, c.query, found); err != nil {
				return false, err
			}
			c.recorded = true
		}
		if !sameVersions(c.found, found) {
			same = false
		}
		c.found = found
	}
	return same, nil
}

// confirm looks up all criteria again, now that nobody else can make or change what they match by a conditional write.
// Where something else is found than before, the entries are prepared for that.
func (t *transaction) confirm(ctx context.Context, tx db.Tx) error {
	if len(t.criteria) == 0 {
		return nil
	}
	types := make([]string, 0, len(t.criteria))
	for _, c := range t.criteria {
		if !c.reference {
			types = append(types, c.typ)
		}
	}
	slices.Sort(types) // always in the same order, so that two transactions can't wait for each other
	for _, typ := range slices.Compact(types) {
		if err := tx.Lock(ctx, lockName(typ)); err != nil {
			return err
		}
	}
	same, err := t.find(ctx, tx)
	if err != nil || same {
		return err
	}
	if err := t.assign(ctx); err != nil {
		return err
	}
	return t.prepare(ctx)
}

// assign gives each entry's resource its id and learns what links turn into.
func (t *transaction) assign(ctx context.Context) error {
	t.links = links{byURL: make(map[string]identity, len(t.steps)), byCriteria: map[string]string{}}
	taken := make(map[string]int, len(t.steps))
	making := make(map[int]*step, len(t.criteria)) // by criteria that find nothing
	for i := range t.steps {
		st := &t.steps[i]
		if st.order == stepGet {
			continue
		}
		if err := t.assignOne(st); err != nil {
			return inEntry(i, err)
		}
		if err := t.pair(st, making); err != nil {
			return inEntry(i, err)
		}
		if st.id == "" { // a deletion that finds nothing
			continue
		}
		who := identity{typ: st.in.typ, id: st.id, created: st.order == stepPost && !st.existing}
		if !st.existing {
			if other, twice := taken[who.String()]; twice {
				return inEntry(i, fault.Invalid("it is for the same resource as %s: a resource can appear in a transaction once", entryPath(other)))
			}
			taken[who.String()] = i
		}
		if st.entry.fullURL != "" && st.order != stepDelete {
			t.links.byURL[st.entry.fullURL] = who
		}
	}
	for i := range t.criteria {
		if c := &t.criteria[i]; c.reference {
			to, err := t.referTo(ctx, c, taken)
			if err != nil {
				return inEntry(c.at, err)
			}
			t.links.byCriteria[c.typ+"?"+c.query] = to
		}
	}
	return nil
}

// pair notes which entry makes the resource that criteria do not find. A second conditional create with the same criteria
// is then one with the first; a conditional update would write the same resource twice.
func (t *transaction) pair(st *step, making map[int]*step) error {
	st.twin = nil
	if st.criteria < 0 || st.existing || st.order == stepDelete || len(t.criteria[st.criteria].found) > 0 {
		return nil
	}
	first := making[st.criteria]
	switch {
	case first == nil:
		making[st.criteria] = st
	case first.order == stepPost && st.order == stepPost:
		st.twin, st.existing, st.id = first, true, first.id
	default:
		return fault.Invalid("it is for the same resource as %s: a resource can appear in a transaction once", first.entry.at())
	}
	return nil
}

func (t *transaction) assignOne(st *step) error {
	doc, e := t.bundle.doc, st.entry
	stated := doc.Text(doc.Get(e.node, "id"))
	var found []*Version
	if st.criteria >= 0 {
		found = t.criteria[st.criteria].found
		if err := oneAtMost(found); err != nil {
			return err
		}
	}
	st.existing = false
	switch {
	case st.in.id != "":
		st.id = st.in.id
		if e.method == http.MethodPut && stated != st.id {
			return fault.Invalid("the resource's id must be the one in the URL of its request")
		}
	case len(found) == 1:
		st.id = found[0].ID
		st.existing = st.order == stepPost
		if e.method == http.MethodPut && stated != "" && stated != st.id && !strings.HasPrefix(stated, "urn:") {
			return fault.Invalid("the resource's id is not that of the resource which the criteria find")
		}
	case st.order == stepDelete:
		st.id = ""
	case e.method == http.MethodPatch:
		return fault.NotFound("the criteria match no %s", st.in.typ)
	case st.order == stepPut && stated != "":
		if !id.Valid(stated) {
			return errID()
		}
		st.id = stated
	case t.keepIDs:
		st.id = keptID(e.fullURL, stated)
	case st.id == "" || st.change == nil || !st.change.fresh:
		st.id = id.New() // kept when the entries are prepared a second time
	}
	return nil
}

// keptID is the id that an imported resource brings: that of its urn:uuid, its own, else a new one.
func keptID(fullURL, stated string) string {
	if uuid, ok := strings.CutPrefix(fullURL, "urn:uuid:"); ok && id.IsUUID(uuid) {
		return uuid
	}
	if id.Valid(stated) {
		return stated
	}
	return id.New()
}

// refused turns what apply refused into the transaction's error.
func (t *transaction) refused(made []*Change, errs []error) error {
	for i, err := range errs {
		if err == nil {
			continue
		}
		for n := range t.steps {
			if t.steps[n].change == made[i] {
				return inEntry(n, err)
			}
		}
		return err
	}
	return nil
}

func (t *transaction) writes() bool {
	return slices.ContainsFunc(t.steps, func(st step) bool {
		return st.order != stepGet && (st.change != nil || st.entry.method == http.MethodPatch)
	})
}

// changes are the prepared changes in the order in which they are to be made.
func (t *transaction) changes() []*Change {
	made := make([]*Change, 0, len(t.steps))
	for order := stepDelete; order <= stepPut; order++ {
		for i := range t.steps {
			if st := &t.steps[i]; st.order == order && st.change != nil && !st.unchanged {
				made = append(made, st.change)
			}
		}
	}
	return made
}

// skipUnchanged leaves out what an import brings a second time.
func (t *transaction) skipUnchanged(ctx context.Context, tx db.Tx) error {
	cs := make([]*Change, 0, len(t.steps))
	for i := range t.steps {
		if t.steps[i].change != nil {
			cs = append(cs, t.steps[i].change)
		}
	}
	same, err := t.s.unchanged(ctx, tx, cs)
	for i := range t.steps {
		t.steps[i].unchanged = same[t.steps[i].change]
	}
	return err
}

// reads carries out what shows and does not write: the GETs, which see what the transaction has done, and the creates that found their resource.
func (t *transaction) reads(ctx context.Context, q db.Querier) error {
	for i := range t.steps {
		st := &t.steps[i]
		st.in.inside = q
		var err error
		switch {
		case st.order == stepGet:
			st.answer, err = t.s.perform(ctx, &st.in)
		case st.existing:
			st.answer = existed(t.existing(st))
			err = t.s.recordAnswer(ctx, &st.in, &st.answer)
		}
		if err != nil {
			return inEntry(i, err)
		}
	}
	return nil
}

// existing is the resource that a conditional create found, or that an earlier one with the same criteria made.
func (t *transaction) existing(st *step) *Version {
	if st.twin != nil {
		return st.twin.change.Version
	}
	return t.criteria[st.criteria].found[0]
}

// conclude turns the changes made into answers.
func (t *transaction) conclude(ctx context.Context) error {
	for i := range t.steps {
		st := &t.steps[i]
		switch {
		case st.order == stepGet, st.existing, st.unchanged:
		case st.order == stepDelete:
			st.answer = removed(st.change)
		default:
			st.answer = written(st.change)
			if st.in.method == http.MethodPatch {
				if err := t.s.hushed(ctx, &st.in, st.change); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// inEntry says in which entry of the bundle an error arose.
func inEntry(index int, err error) error {
	at := entryPath(index)
	f, ok := fault.Of(err)
	if !ok {
		return err
	}
	if strings.HasPrefix(f.Message, "Bundle.entry[") {
		return err
	}
	c := *f
	c.Cause = errors.Unwrap(f)
	c.Message = at + ": " + f.Message
	if len(f.Details) == 0 {
		c.Details = []fault.Detail{{Severity: "error", Kind: fhir.IssueType(f.Code), Expression: at, Message: c.Message}}
		return &c
	}
	c.Details = make([]fault.Detail, len(f.Details))
	for i, d := range f.Details {
		if !strings.HasPrefix(d.Expression, "Bundle.entry[") {
			d.Expression = resourcePath(at, d.Expression)
		}
		c.Details[i] = d
	}
	return &c
}

// resourcePath turns a path into an entry's resource into one from the bundle: Patient.name[0] becomes
// Bundle.entry[3].resource.name[0].
func resourcePath(at, expression string) string {
	if expression == "" {
		return at
	}
	if _, rest, ok := strings.Cut(expression, "."); ok {
		return at + ".resource." + rest
	}
	return at + ".resource"
}
