package records

import (
	"context"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

const (
	// reindexBatch is how many resources one transaction of the re-indexing reads. It is small, so that other writes
	// never wait long.
	reindexBatch = 200
	// reindexGrace is how long the indexing of a new parameter waits where several processes write: until all of them
	// know it and what they began before is committed. From then on whatever is written is indexed by its writer.
	reindexGrace = 10 * time.Second
	// refreshEvery is how often a process looks for parameters that were added through another.
	refreshEvery = 2 * time.Second
	// sweepEvery is how often the runner asks every tenant for work. Where one process does everything it hears of work
	// at once, and the sweep is for what an earlier process left.
	sweepEvery       = 10 * time.Minute
	sweepEveryShared = time.Minute
)

// reindexLock lets one process at a time index a tenant's parameters.
const reindexLock = "records/reindex"

// shared tells whether other processes may write to the same database.
func (p *parameters) shared() bool { return p.s.db.Dialect().Name != "sqlite" }

// refresh is a runner of every process: it reads the parameters of the tenants in use anew, in case another process
// changed them.
func (p *parameters) refresh(ctx context.Context) error {
	for {
		if err := p.pause(ctx, refreshEvery); err != nil || !p.shared() {
			<-ctx.Done()
			return nil //nolint:nilerr // the end of the process
		}
		p.mu.RLock()
		tenants := make([]scope.Tenant, 0, len(p.tenants))
		for _, t := range p.tenants {
			tenants = append(tenants, t.tenant)
		}
		p.mu.RUnlock()
		for _, tenant := range tenants {
			if err := p.reload(scope.WithTenant(ctx, tenant), tenant); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// reload reads a tenant's parameters, and replaces the registry in use only where something has changed.
func (p *parameters) reload(ctx context.Context, tenant scope.Tenant) error {
	var stamp string
	err := p.s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, `SELECT url, state FROM records_parameter ORDER BY url`, func(r db.Row) error {
			stamp += r.Text(0) + " " + r.Text(1) + "\n"
			return nil
		})
	})
	if err != nil {
		return err
	}
	p.mu.RLock()
	t := p.tenants[tenant.ID]
	p.mu.RUnlock()
	if t != nil && t.stamp == stamp {
		return nil
	}
	_, err = p.load(ctx, tenant)
	return err
}

// pause waits, or ends with the context.
func (p *parameters) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reindex is the runner that builds and clears the indexes of parameters. It goes on where it, or another process, was
// stopped.
func (p *parameters) reindex(ctx context.Context) error {
	every := sweepEvery
	if p.shared() {
		every = sweepEveryShared
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := p.sweep(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case tenant := <-p.work:
			if err := p.indexTenant(scope.WithTenant(ctx, tenant), tenant); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ticker.C:
		}
	}
}

// sweep works on every tenant once.
func (p *parameters) sweep(ctx context.Context) error {
	if p.s.tenants == nil {
		return nil
	}
	tenants, err := p.s.tenants(ctx)
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		if err := p.indexTenant(scope.WithTenant(ctx, tenant), tenant); err != nil {
			return err
		}
	}
	return nil
}

// indexTenant works until all of a tenant's parameters are ready.
func (p *parameters) indexTenant(ctx context.Context, tenant scope.Tenant) error {
	changed := false
	unknown := map[string]bool{}
	for {
		var row *parameterRow
		err := p.s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
			rows, err := readParameters(ctx, q)
			for i := range rows {
				if rows[i].state != parameterReady && !unknown[rows[i].url] {
					row = &rows[i]
					break
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if row == nil {
			if changed {
				_, err = p.load(ctx, tenant)
			}
			return err
		}
		if _, err := p.of(ctx); err != nil {
			return err
		}
		param, err := p.compile(row.body)
		if err != nil { // it compiled when it was written: another version of Ward wrote it, and will index it
			unknown[row.url] = true
			continue
		}
		changed = true
		if err := p.finish(ctx, row, param); err != nil {
			return err
		}
	}
}

// finish finishes one parameter.
func (p *parameters) finish(ctx context.Context, row *parameterRow, param *search.Param) error {
	if row.state == parameterDropping {
		return p.drop(ctx, row, param)
	}
	if p.shared() {
		if err := p.pause(ctx, p.grace); err != nil {
			return err
		}
	}
	if row.total < 0 {
		if err := p.count(ctx, row, param); err != nil {
			return err
		}
	}
	for {
		more, err := p.indexBatch(ctx, row.url)
		if err != nil || !more {
			return err
		}
	}
}

// count finds how many resources are to be read, for the progress.
func (p *parameters) count(ctx context.Context, row *parameterRow, param *search.Param) error {
	var total int64
	err := p.s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
		for _, typ := range p.bases(param.Base) {
			err := q.Query(ctx, `SELECT COUNT(*) FROM records_resource WHERE type = $1 AND rid > $2`, func(r db.Row) error {
				total += r.Int64(0)
				return nil
			}, int64(p.s.number(typ)), row.position)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE records_parameter SET total = done + $2 WHERE url = $1`, row.url, total)
		return err
	})
}

// nextRIDs are the resources that follow in the order in which they were created.
const nextRIDs = `SELECT rid, type FROM records_resource WHERE rid > $1 ORDER BY rid LIMIT $2`

// indexBatch indexes the next resources by a parameter and notes the progress, in one transaction that also locks
// them: a writer that changes one at the same time comes before or after, and indexes what it writes by itself.
func (p *parameters) indexBatch(ctx context.Context, url string) (more bool, err error) {
	err = p.s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		more = false
		if err := tx.Lock(ctx, reindexLock); err != nil {
			return err
		}
		row, err := readParameter(ctx, tx, url)
		if err != nil || row == nil || row.state != parameterIndexing {
			return err
		}
		param, err := p.compile(row.body)
		if err != nil {
			return err
		}
		types := map[int64]string{}
		for _, typ := range p.bases(param.Base) {
			types[int64(p.s.number(typ))] = typ
		}
		var (
			rids  []int64
			names []string
			last  = row.position
			seen  int
		)
		err = tx.Query(ctx, nextRIDs, func(r db.Row) error {
			last = r.Int64(0)
			seen++
			if typ := types[r.Int64(1)]; typ != "" {
				rids, names = append(rids, last), append(names, typ)
			}
			return nil
		}, row.position, reindexBatch)
		if err != nil {
			return err
		}
		if err := p.indexThese(ctx, tx, param, rids, names); err != nil {
			return err
		}
		state := parameterReady
		if seen == reindexBatch {
			state, more = parameterIndexing, true
		}
		_, err = tx.Exec(ctx, `UPDATE records_parameter SET position = $2, done = done + $3, state = $4 WHERE url = $1`,
			url, last, len(rids), state)
		return err
	})
	return more, err
}

func readParameter(ctx context.Context, q db.Querier, url string) (*parameterRow, error) {
	rows, err := readParameters(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].url == url {
			return &rows[i], nil
		}
	}
	return nil, nil //nolint:nilnil // dropped meanwhile
}

// indexThese writes the postings that a parameter makes of resources.
func (p *parameters) indexThese(ctx context.Context, tx db.Tx, param *search.Param, rids []int64, types []string) error {
	if len(rids) == 0 {
		return nil
	}
	sc, _ := scope.From(ctx)
	only := p.s.standardOf(sc.Tenant).With(param)
	ours := map[uint32]bool{}
	for _, typ := range p.bases(param.Base) {
		for _, atom := range param.Atoms(typ) {
			ours[atom.ID] = true
		}
	}
	var (
		rows postingRows
		doc  jsontape.Doc
	)
	err := tx.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"op", "body", "version"}, Keys: []db.Column{db.Col("rid", rids)}, ForUpdate: true,
	}, func(i int, r db.Row) error {
		if r.Int64(0) == int64(OpDelete) {
			return nil
		}
		json, err := p.s.unseal(ctx, rids[i], r.Int64(2), r.Bytes(1))
		if err != nil {
			return err
		}
		if err := doc.Parse(json); err != nil {
			return fault.Internal("a stored resource does not parse").With(err)
		}
		for _, posting := range only.Postings(nil, &doc, types[i]) {
			if ours[posting.Atom] {
				posting.Key = append([]byte(nil), posting.Key...)
				rows.add(posting, rids[i])
			}
		}
		return nil
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	m, err := p.s.mask(ctx)
	if err != nil {
		return err
	}
	_, err = tx.InsertNew(ctx, "records_index", rows.columns(m)...)
	return err
}

// drop clears the postings of a parameter that is no more, but for those that another parameter reads too.
func (p *parameters) drop(ctx context.Context, row *parameterRow, param *search.Param) error {
	registry, err := p.registry(ctx)
	if err != nil {
		return err
	}
	kept := map[uint32]bool{}
	for _, typ := range p.bases(param.Base) {
		for _, other := range registry.Params(typ) {
			for _, atom := range other.Atoms(typ) {
				kept[atom.ID] = true
			}
		}
	}
	for _, typ := range p.bases(param.Base) {
		for _, atom := range param.Atoms(typ) {
			if kept[atom.ID] {
				continue
			}
			for more := true; more; {
				if more, err = p.dropBatch(ctx, int64(int32(atom.ID))); err != nil { //nolint:gosec // a hash's bits, as stored
					return err
				}
			}
		}
	}
	return p.s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM records_parameter WHERE url = $1 AND state = $2`, row.url, parameterDropping)
		return err
	})
}

func (p *parameters) dropBatch(ctx context.Context, atom int64) (more bool, err error) {
	const most = 5000
	err = p.s.db.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		var (
			atoms []int32
			keys  [][]byte
			rids  []int64
		)
		err := tx.Query(ctx, `SELECT key, rid FROM records_index WHERE atom = $1 LIMIT $2`, func(r db.Row) error {
			atoms = append(atoms, int32(atom)) //nolint:gosec // read as an int32
			keys = append(keys, append([]byte(nil), r.Bytes(0)...))
			rids = append(rids, r.Int64(1))
			return nil
		}, atom, most)
		if err != nil || len(rids) == 0 {
			more = false
			return err
		}
		more = len(rids) == most
		_, err = tx.Delete(ctx, "records_index", db.Col("atom", atoms), db.Col("key", keys), db.Col("rid", rids))
		return err
	})
	return more, err
}
