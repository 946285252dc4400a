package records

import (
	"context"
	"slices"
	"sync"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

// The states of a parameter that a tenant added. One that is being indexed is searched by reading resources, so that
// its answers are complete from the start; one that is dropped is no longer known, only its index is still being cleared.
const (
	parameterIndexing = "indexing"
	parameterReady    = "ready"
	parameterDropping = "dropping"
)

// parameters are the search parameters that tenants added by creating SearchParameter resources with status active. New
// writes are indexed by a parameter at once; what was there before, by the runner in reindex.go.
type parameters struct {
	s    *Service
	work chan scope.Tenant // tenants whose indexes have to be worked on
	// grace is how long the indexing of a new parameter waits where several processes write; see reindexGrace.
	grace time.Duration

	mu      sync.RWMutex
	tenants map[int32]*tenantParameters
}

// tenantParameters is one tenant's registry, immutable.
type tenantParameters struct {
	registry *search.Registry
	pending  map[*search.Param]bool // their index is not complete
	tenant   scope.Tenant
	stamp    string // of the rows that it was made from
}

func newParameters(s *Service) *parameters {
	return &parameters{s: s, work: make(chan scope.Tenant, 64), grace: reindexGrace, tenants: map[int32]*tenantParameters{}}
}

// registry is the parameters of the standard and of the tenant in ctx. Its first call for a tenant reads them.
func (p *parameters) registry(ctx context.Context) (*search.Registry, error) {
	t, err := p.of(ctx)
	if err != nil {
		return nil, err
	}
	return t.registry, nil
}

// ready tells whether the index of a parameter is complete. It does no reading.
func (p *parameters) ready(ctx context.Context, param *search.Param) bool {
	sc, _ := scope.From(ctx)
	p.mu.RLock()
	t := p.tenants[sc.Tenant.ID]
	p.mu.RUnlock()
	return t == nil || len(t.pending) == 0 || !t.pending[param]
}

func (p *parameters) of(ctx context.Context) (*tenantParameters, error) {
	sc, ok := scope.From(ctx)
	if !ok || sc.Tenant.ID == 0 {
		return nil, fault.Internal("records need a tenant's scope")
	}
	p.mu.RLock()
	t := p.tenants[sc.Tenant.ID]
	p.mu.RUnlock()
	if t != nil {
		return t, nil
	}
	return p.load(ctx, sc.Tenant)
}

// load reads a tenant's parameters and compiles them.
func (p *parameters) load(ctx context.Context, tenant scope.Tenant) (*tenantParameters, error) {
	var rows []parameterRow
	err := p.s.db.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		rows, err = readParameters(ctx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	t := &tenantParameters{registry: p.s.standardOf(tenant), tenant: tenant}
	var own []*search.Param
	for _, row := range rows {
		t.stamp += row.url + " " + row.state + "\n"
		if row.state != parameterReady {
			p.wake(tenant) // a process that stopped may have left it half done
		}
		if row.state == parameterDropping {
			continue
		}
		param, err := p.compile(row.body)
		if err != nil { // it compiled when it was written: another version of Ward wrote it
			p.s.log.WarnContext(ctx, "a tenant's search parameter is not understood and not used", "url", row.url, "error", err.Error())
			continue
		}
		own = append(own, param)
		if row.state == parameterIndexing {
			if t.pending == nil {
				t.pending = map[*search.Param]bool{}
			}
			t.pending[param] = true
		}
	}
	if len(own) > 0 {
		t.registry = t.registry.With(own...)
	}
	p.mu.Lock()
	p.tenants[tenant.ID] = t
	p.mu.Unlock()
	return t, nil
}

// parameterRow is a row of records_parameter.
type parameterRow struct {
	url, id     string
	body        []byte
	state       string
	position    int64 // the rid up to which resources are indexed
	done, total int64 // resources
}

const selectParameters = `SELECT url, id, body, state, position, done, total FROM records_parameter ORDER BY url`

func readParameters(ctx context.Context, q db.Querier) (rows []parameterRow, err error) {
	err = q.Query(ctx, selectParameters, func(r db.Row) error {
		rows = append(rows, parameterRow{
			url: r.Text(0), id: r.Text(1), body: slices.Clone(r.Bytes(2)), state: r.Text(3),
			position: r.Int64(4), done: r.Int64(5), total: r.Int64(6),
		})
		return nil
	})
	return rows, err
}

// compile reads and compiles a SearchParameter resource.
func (p *parameters) compile(json []byte) (*search.Param, error) {
	var doc jsontape.Doc
	if err := doc.Parse(json); err != nil {
		return nil, fault.Internal("a stored resource does not parse").With(err)
	}
	def, err := search.ParseDefinition(&doc)
	if err != nil {
		return nil, err
	}
	return p.s.standard.Compile(def)
}

// inUse tells whether a SearchParameter is to be searched by: it is active, and no copy of a standard one.
func (p *parameters) inUse(doc *jsontape.Doc) bool {
	return doc.Text(doc.Get(doc.Root(), "status")) == "active" &&
		p.s.definitions.SearchParameter(doc.Text(doc.Get(doc.Root(), "url"))) == nil
}

// check refuses an active SearchParameter that can't be searched by.
//
// Errors: Unprocessable with the reason and the element.
func (p *parameters) check(ctx context.Context, c *Change) error {
	if !p.inUse(c.doc) {
		return nil
	}
	def, err := search.ParseDefinition(c.doc)
	if err != nil {
		return err
	}
	registry, err := p.registry(ctx)
	if err != nil {
		return err
	}
	if _, err = registry.Compile(def); err == nil {
		return nil
	}
	f, ok := fault.Of(err)
	if !ok {
		return err
	}
	return f.Detail(fault.Detail{
		Severity: "information", Kind: "informational", Message: "a search parameter with status draft is stored and not used",
	})
}

// bases are the concrete types behind a parameter's base.
func (p *parameters) bases(base []string) (types []string) {
	for _, typ := range base {
		if typ == "Resource" || typ == "DomainResource" {
			return p.s.definitions.ResourceTypes()
		}
		types = append(types, typ)
	}
	return types
}

// applied records, in the transaction that writes SearchParameter resources, what is to be indexed or cleared.
func (p *parameters) applied(ctx context.Context, tx db.Tx, cs []*Change) error {
	for _, c := range cs {
		if c.Type != "SearchParameter" || c.NoOp {
			continue
		}
		if err := p.record(ctx, tx, c); err != nil {
			return err
		}
	}
	return nil
}

func (p *parameters) record(ctx context.Context, tx db.Tx, c *Change) error {
	rows, err := readParameters(ctx, tx)
	if err != nil {
		return err
	}
	var url string
	used := c.Op != OpDelete && p.inUse(c.doc)
	if used {
		url = c.doc.Text(c.doc.Get(c.doc.Root(), "url"))
	}
	for _, row := range rows {
		switch {
		case row.state == parameterDropping:
		case row.id == c.ID && used && row.url == url && sameDefinition(row.body, c.Version.JSON):
			_, err := tx.Exec(ctx, `UPDATE records_parameter SET body = $2 WHERE url = $1`, url, c.Version.JSON)
			return err
		case row.id == c.ID:
			// What the old definition indexed is cleared under a name of its own, that no canonical URL has.
			if _, err := tx.Exec(ctx, `UPDATE records_parameter SET url = $2, state = $3, position = 0 WHERE url = $1`,
				row.url, row.url+" "+c.Version.ETag(), parameterDropping); err != nil {
				return err
			}
		case used && row.url == url:
			return fault.Conflict("another SearchParameter, with the id %s, has this url already", row.id)
		}
	}
	if !used {
		return nil
	}
	_, err = tx.Insert(ctx, "records_parameter",
		db.Col("url", []string{url}), db.Col("id", []string{c.ID}), db.Col("body", [][]byte{c.Version.JSON}),
		db.Col("state", []string{parameterIndexing}), db.Col("position", []int64{0}), db.Col("done", []int64{0}), db.Col("total", []int64{-1}))
	return err
}

// sameDefinition tells whether two versions of a SearchParameter index the same.
func sameDefinition(a, b []byte) bool {
	var old, now jsontape.Doc
	if old.Parse(a) != nil || now.Parse(b) != nil {
		return false
	}
	x, err := search.ParseDefinition(&old)
	if err != nil {
		return false
	}
	y, err := search.ParseDefinition(&now)
	return err == nil && x.Code == y.Code && x.Type == y.Type && x.Expression == y.Expression && slices.Equal(x.Base, y.Base) &&
		slices.Equal(x.Target, y.Target) && slices.Equal(x.Components, y.Components)
}

// announce makes this process use the tenant's parameters as a change left them.
func (p *parameters) announce(ctx context.Context, cs []*Change) {
	if !slices.ContainsFunc(cs, func(c *Change) bool { return c.Type == "SearchParameter" && !c.NoOp }) {
		return
	}
	sc, ok := scope.From(ctx)
	if !ok {
		return
	}
	if _, err := p.load(context.WithoutCancel(ctx), sc.Tenant); err != nil {
		p.s.log.ErrorContext(ctx, "a tenant's search parameters could not be read anew", "error", err.Error())
		p.mu.Lock()
		delete(p.tenants, sc.Tenant.ID) // the next request reads them
		p.mu.Unlock()
	}
	p.wake(sc.Tenant)
}

// current is the tenant's registry if it has been read; it does no reading.
func (p *parameters) current(ctx context.Context) *search.Registry {
	sc, _ := scope.From(ctx)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if t := p.tenants[sc.Tenant.ID]; t != nil {
		return t.registry
	}
	return nil
}

// wake tells the runner that there is work; when its list is full the sweep finds it.
func (p *parameters) wake(tenant scope.Tenant) {
	select {
	case p.work <- tenant:
	default:
	}
}
