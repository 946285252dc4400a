package records

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
	"ward/internal/kernel/access"
)

// maxHistoric bounds how many versions one page of a history looks at: a page may then hold less than was asked for, and go on.
const maxHistoric = 20_000

// historySeen is a page of the versions that the principal may see: of resources that it sees as they are now, the versions that it would
// see by themselves. A deletion is seen with what was deleted.
func (s *Service) historySeen(ctx context.Context, q db.Querier, h historyQuery) (page historyPage, err error) {
	j := &historyJudge{s: s, rights: access.Of(ctx), action: access.Search, standing: map[int64]bool{}}
	if h.id != "" {
		j.action = access.Read
	}
	if h.typ != "" {
		if err := mayAtAll(j.rights, h.typ, j.action); err != nil {
			return page, err
		}
		if j.rights.ClearsAll() && j.rights.MayAll(h.typ, j.action) {
			return s.history(ctx, q, h)
		}
	}
	if j.rights.Role() == access.System {
		return s.history(ctx, q, h)
	}
	if j.registry, err = s.registry(ctx); err != nil {
		return page, err
	}
	if h.id != "" {
		current, err := s.read(ctx, q, h.typ, h.id)
		if err == nil {
			err = s.standing(ctx, q, current, access.Read)
		}
		if err != nil {
			return page, err
		}
	}
	// How many versions there are is told only where all of them were judged.
	page.total = -1
	ask := h
	whole := h.id != "" && h.before == 0 && h.since.IsZero() && h.from.IsZero()
	if whole && h.count == 0 {
		ask.count = 200 // nothing is asked for but the total
	}
	for examined, total := 0, int64(0); ; {
		part, err := s.history(ctx, q, ask)
		if err != nil {
			return page, err
		}
		seen, err := j.judge(ctx, q, part.versions)
		if err != nil {
			return page, err
		}
		page.versions = append(page.versions, seen...)
		examined += len(part.versions)
		total += int64(len(seen))
		if whole && part.next == 0 {
			page.total = total
		}
		switch {
		case whole && h.count == 0 && part.next != 0 && examined < maxHistoric: // on, to count them all
		case len(page.versions) > h.count || len(page.versions) == h.count && part.next != 0:
			page.versions = page.versions[:h.count]
			if h.count > 0 {
				page.next = page.versions[h.count-1].Seq
			}
			return page, nil
		case part.next == 0:
			return page, nil
		case examined >= maxHistoric:
			page.next = part.next
			return page, nil
		}
		ask.before, ask.count = part.next, max(h.count, 200)
	}
}

// historyJudge decides which versions are seen.
type historyJudge struct {
	s        *Service
	rights   *access.Rights
	registry *search.Registry
	action   access.Action
	standing map[int64]bool // by rid: whether the resource is seen as it is now
}

func (j *historyJudge) judge(ctx context.Context, q db.Querier, versions []*Version) (seen []*Version, err error) {
	if err := j.learn(ctx, q, versions); err != nil {
		return nil, err
	}
	for _, v := range versions {
		if !j.standing[v.RID] {
			continue
		}
		ok := v.Deleted()
		if !ok {
			if ok, err = j.s.sees(j.registry, j.rights, v, j.action); err != nil {
				return nil, err
			}
		}
		if ok {
			seen = append(seen, v)
		}
	}
	return seen, nil
}

// learn finds out which of the resources are seen as they are now.
func (j *historyJudge) learn(ctx context.Context, q db.Querier, versions []*Version) error {
	var (
		rids  []int64
		named []*Version
	)
	for _, v := range versions {
		if _, known := j.standing[v.RID]; !known {
			j.standing[v.RID] = false
			if len(j.rights.May(v.Type, j.action)) > 0 {
				rids, named = append(rids, v.RID), append(named, v)
			}
		}
	}
	if len(rids) == 0 {
		return nil
	}
	current := make([]*Version, len(rids))
	err := q.Lookup(ctx, db.Lookup{
		Table: "records_resource", Want: []string{"rid", "version", "seq", "op", "body"}, Keys: []db.Column{db.Col("rid", rids)},
	}, func(i int, r db.Row) (err error) {
		current[i], err = j.s.scanVersion(ctx, r, named[i].Type, named[i].ID)
		return err
	})
	if err != nil {
		return err
	}
	for i, v := range current {
		if v == nil {
			continue
		}
		err := j.s.standing(ctx, q, v, j.action)
		if err != nil && !fault.Is(err, fault.CodeNotFound) {
			return err
		}
		j.standing[rids[i]] = err == nil
	}
	return nil
}

// standing errs with NotFound unless a resource is seen as it is now, or as it was when it was deleted.
func (s *Service) standing(ctx context.Context, q db.Querier, v *Version, a access.Action) error {
	r := access.Of(ctx)
	if !v.Deleted() || r.MayAll(v.Type, a) && r.ClearsAll() {
		return s.visible(ctx, v, a)
	}
	var last *Version
	err := q.Query(ctx, versionsDown, func(row db.Row) error {
		old, err := s.scanVersion(ctx, row, v.Type, v.ID)
		if err == nil && !old.Deleted() {
			last, err = old, db.Stop
		}
		return err
	}, v.RID, maxDistinct)
	if err != nil {
		return err
	}
	if last == nil {
		return notFound(v.Type)
	}
	return s.visible(ctx, last, a)
}
