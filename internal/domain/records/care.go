package records

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/base/scope"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// careWays say how somebody comes to have a patient in care: a resource of the type refers to them at the parameter, is in none of the
// states, and names patients at the other parameter.
//
//nolint:gochecknoglobals // constant table
var careWays = []struct {
	typ, carer, patients string
	state                string   // the element that ends it
	ended                []string // its values
}{
	{"Patient", "general-practitioner", "", "active", []string{"false"}},
	{"CareTeam", "participant", "patient", "status", []string{"inactive", "entered-in-error", "proposed"}},
	{"Encounter", "participant", "patient", "status", []string{"cancelled", "entered-in-error"}},
	{"Group", "managing-entity", "member", "active", []string{"false"}},
}

// maxPanel is the most resources by which somebody may have patients in care.
const maxPanel = 50_000

// panels keeps sets that were read from the cache's bytes, so that they are not made anew at each request.
type panels struct {
	mu   sync.RWMutex
	kept map[string]*access.Set // by the head of the panel, and the ids beside it
}

// panelTag stands for the patients in the care of somebody, named as references name them.
func panelTag(carer string) cache.Tag { return cache.TagOf("panel", carer) }

// inCare are the patients in the care of the principal in ctx, and those for whom it broke the glass. They are kept until a resource
// is written by which that may change.
func (s *Service) inCare(ctx context.Context) (*access.Set, error) {
	sc, _ := scope.From(ctx)
	var ids []byte // what panel gives
	if person := sc.Principal.Person; person != "" {
		var err error
		if ids, err = s.panel(ctx, person); err != nil {
			return nil, err
		}
	}
	var opened []string
	if s.opened != nil {
		var err error
		if opened, err = s.opened(ctx); err != nil {
			return nil, err
		}
	}
	return s.panels.of(ids, opened), nil
}

// of is the set of the patients of a panel and of others.
func (p *panels) of(ids []byte, others []string) *access.Set {
	var buf [256]byte
	key := append(buf[:0], ids[:min(len(ids), panelHead)]...)
	for _, id := range others {
		key = append(append(key, id...), 0)
	}
	p.mu.RLock()
	found := p.kept[string(key)]
	p.mu.RUnlock()
	if found != nil {
		return found
	}
	list := slices.Clone(others)
	if len(ids) > panelHead {
		list = append(list, strings.Split(string(ids[panelHead:len(ids)-1]), "\x00")...)
	}
	found = access.NewSet(list)
	p.mu.Lock()
	defer p.mu.Unlock()
	const most = 1_000
	if p.kept == nil || len(p.kept) >= most {
		p.kept = map[string]*access.Set{}
	}
	p.kept[string(key)] = found
	return found
}

// panelHead is how many bytes of a panel tell it from all others.
const panelHead = 16

// panel reads whom a person cares for, from the cache if that still stands: a hash, and the ids in order, each with a zero byte after it.
func (s *Service) panel(ctx context.Context, person string) ([]byte, error) {
	key := []byte("panel " + person)
	if ids, ok := s.answers.kept(ctx, key); ok {
		return ids, nil
	}
	system := scope.WithTenant(ctx, tenantIn(ctx)) // whom they care for is not for them to be allowed to see
	if _, err := s.registry(system); err != nil {
		return nil, err
	}
	carers := []string{person}
	for {
		tags := make([]cache.Tag, len(carers))
		for i, carer := range carers {
			tags[i] = panelTag(carer)
		}
		lease, err := s.answers.cache.Begin(ctx, tags...)
		if err != nil {
			return nil, err
		}
		var (
			roles []string
			ids   []byte
		)
		err = s.db.Read(system, func(ctx context.Context, q db.Querier) (err error) {
			e, err := s.engine(ctx, q, Request{Query: &search.Query{}})
			if err != nil {
				return err
			}
			if roles, err = e.rolesOf(ctx, person); err == nil && sameRoles(carers, person, roles) {
				ids, err = e.caredFor(ctx, carers)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if sameRoles(carers, person, roles) {
			lease.Store(key, ids)
			return ids, nil
		}
		carers = append([]string{person}, roles...)
	}
}

func tenantIn(ctx context.Context) scope.Tenant {
	sc, _ := scope.From(ctx)
	return sc.Tenant
}

func sameRoles(carers []string, person string, roles []string) bool {
	return slices.Equal(carers, append([]string{person}, roles...))
}

// rolesOf are the PractitionerRoles in which a person works.
func (e *engine) rolesOf(ctx context.Context, person string) (roles []string, err error) {
	found, err := e.referring(ctx, "PractitionerRole", "practitioner", []string{person})
	for _, c := range found {
		roles = append(roles, "PractitionerRole/"+c.ID)
	}
	slices.Sort(roles)
	return roles, err
}

func (e *engine) referring(ctx context.Context, typ, code string, targets []string) ([]candidate, error) {
	p := e.s.standard.Param(typ, code)
	if p == nil {
		return nil, nil
	}
	set := make(map[string]bool, len(targets))
	for _, t := range targets {
		set[t] = true
	}
	return e.first(ctx, typ, []condition{e.refCondition(ctx, typ, []*search.Param{p}, set)}, maxPanel)
}

// caredFor are the ids of the patients in care, in order.
func (e *engine) caredFor(ctx context.Context, carers []string) ([]byte, error) {
	var (
		patients []string
		doc      jsontape.Doc
	)
	for _, way := range careWays {
		found, err := e.referring(ctx, way.typ, way.carer, carers)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			if err := doc.Parse(c.JSON); err != nil {
				return nil, wrapParse(err)
			}
			if n := doc.Get(doc.Root(), way.state); n != jsontape.Invalid && slices.Contains(way.ended, string(doc.Raw(n))) ||
				slices.Contains(way.ended, doc.Text(n)) {
				continue
			}
			switch way.typ {
			case "Patient":
				patients = append(patients, c.ID)
			case "Group":
				patients = append(patients, members(&doc, e.registry.Base())...)
			default:
				e.registry.References(e.s.standard.Param(way.typ, way.patients), &doc, way.typ, func(ref string) {
					if id, ok := strings.CutPrefix(ref, "Patient/"); ok {
						patients = append(patients, id)
					}
				})
			}
		}
	}
	slices.Sort(patients)
	ids := make([]byte, panelHead)
	for _, id := range slices.Compact(patients) {
		ids = append(append(ids, id...), 0)
	}
	sum := sha256.Sum256(ids)
	copy(ids[:panelHead], sum[:])
	return ids, nil
}

// members are the patients who are in a group now.
func members(doc *jsontape.Doc, base string) (ids []string) {
	list := doc.Get(doc.Root(), "member")
	for m := doc.First(list); m != jsontape.Invalid; m = doc.Next(m) {
		ref := fhir.ParseReference(doc.Text(doc.Get(doc.Get(m, "entity"), "reference")), base)
		if ref.Kind == fhir.Local && ref.Type == "Patient" && string(doc.Raw(doc.Get(m, "inactive"))) != "true" {
			ids = append(ids, ref.ID)
		}
	}
	return ids
}

// carersOf calls each for everybody whose patients in care a version may decide on.
func carersOf(typ string, json []byte, base string, each func(carer string)) {
	switch typ {
	case "Patient", "CareTeam", "Encounter", "Group", "PractitionerRole":
	default:
		return
	}
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	if doc.Parse(json) != nil {
		return
	}
	search.References(doc, typ, func(n jsontape.Node, ref fhir.Ref) {
		if ref.Kind == fhir.Remote {
			ref = fhir.ParseReference(doc.Text(n), base)
		}
		switch ref.Type {
		case "Practitioner", "PractitionerRole":
			each(ref.TypeID())
		}
	})
}

// panelTags are those of everybody whose patients in care a change may have decided on.
func (s *Service) panelTags(c *Change) (tags []cache.Tag) {
	if c.NoOp || c.registry == nil {
		return nil
	}
	for _, v := range []*Version{c.Prior, c.Version} {
		if v != nil && !v.Deleted() {
			carersOf(c.Type, v.JSON, c.registry.Base(), func(carer string) {
				if tag := panelTag(carer); !slices.Contains(tags, tag) {
					tags = append(tags, tag)
				}
			})
		}
	}
	return tags
}
