package records

import (
	"context"
	"slices"
	"strings"
	"sync"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// What a principal may not see is not there for it: every way to a resource asks here, or has asked for in its plan by
// engine.reach. The rights are those that ctx carries; enter resolves them once, at the beginning of a request, because who is in
// somebody's care is read from the database.

// rightsOf are the rights that ctx carries, resolved.
func (s *Service) rightsOf(ctx context.Context) (*access.Rights, error) {
	r := access.Of(ctx)
	if !r.ByCare() {
		return r, nil
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return nil, err
	}
	if !settings.CareOnly {
		return r.CaringForAll(), nil
	}
	patients, err := s.inCare(ctx)
	if err != nil {
		return nil, err
	}
	return s.caring.of(r, patients), nil
}

// enter is ctx with resolved rights. Every way into the records begins with it, before any transaction.
func (s *Service) enter(ctx context.Context) (context.Context, error) {
	r := access.Of(ctx)
	if !r.ByCare() {
		return ctx, nil
	}
	r, err := s.rightsOf(ctx)
	if err != nil {
		return ctx, err
	}
	sc, _ := scope.From(ctx)
	sc.Principal.Rights = r
	return scope.With(ctx, sc), nil
}

// caring keeps rights that were resolved for a panel.
type caring struct {
	mu   sync.RWMutex
	kept map[string]*access.Rights
}

func (c *caring) of(r *access.Rights, patients *access.Set) *access.Rights {
	key := r.Fingerprint() + patients.Print()
	c.mu.RLock()
	found := c.kept[key]
	c.mu.RUnlock()
	if found != nil {
		return found
	}
	found = r.Caring(patients)
	c.mu.Lock()
	defer c.mu.Unlock()
	const most = 10_000
	if c.kept == nil || len(c.kept) >= most {
		c.kept = map[string]*access.Rights{}
	}
	c.kept[key] = found
	return found
}

// mayAtAll errs with Denied when an action is not allowed on any resource of a type. That depends on nothing that is stored.
func mayAtAll(r *access.Rights, typ string, actions ...access.Action) error {
	for _, a := range actions {
		if len(r.May(typ, a)) > 0 {
			return nil
		}
	}
	return fault.Denied("you may not %s a %s: neither the role %s nor the scopes granted allow it", actions[0], typ, roleName(r))
}

// mayAtAny errs with Denied when an action is allowed on no type at all.
func mayAtAny(r *access.Rights, a access.Action) error {
	if r.Any(a) {
		return nil
	}
	return fault.Denied("you may not %s anything: neither the role %s nor the scopes granted allow it", a, roleName(r))
}

func roleName(r *access.Rights) string {
	if r.Role() == "" {
		return "(none)"
	}
	return r.Role()
}

// sees says whether any of the actions is allowed on a version as it is. A deletion is seen by who may see the whole type.
func (s *Service) sees(registry *search.Registry, r *access.Rights, v *Version, actions ...access.Action) (bool, error) {
	if !r.ClearsAll() {
		labels, err := access.LabelsOf(v.JSON)
		if err != nil || !r.Clears(labels) {
			return false, wrapParse(err)
		}
	}
	for _, a := range actions {
		if r.MayAll(v.Type, a) {
			return true, nil
		}
	}
	if v.Deleted() {
		return false, nil
	}
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	parsed := false
	for _, a := range actions {
		grants := r.May(v.Type, a)
		if len(grants) == 0 {
			continue
		}
		if !parsed {
			if err := doc.Parse(v.JSON); err != nil {
				return false, wrapParse(err)
			}
			parsed = true
		}
		for _, g := range grants {
			if s.among(registry, g.Among, v.Type, v.ID, doc, false) && s.meetsFilter(registry, g.Filter, v, doc) {
				return true, nil
			}
		}
	}
	return false, nil
}

func wrapParse(err error) error {
	if err == nil {
		return nil
	}
	return fault.Internal("a stored resource does not parse").With(err)
}

// among says whether a resource stands in the compartment of a patient of the set; with all, of no other patient either.
func (s *Service) among(registry *search.Registry, set *access.Set, typ, id string, doc *jsontape.Doc, all bool) bool {
	if set == nil {
		return true
	}
	some, others := false, false
	s.patientsOf(registry, typ, id, doc, func(patient string) {
		if set.Has(patient) {
			some = true
		} else {
			others = true
		}
	})
	return some && (!all || !others)
}

// patientsOf calls each for every patient in whose compartment a resource stands, perhaps more than once.
func (s *Service) patientsOf(registry *search.Registry, typ, id string, doc *jsontape.Doc, each func(patient string)) {
	switch typ {
	case "Patient":
		each(id)
		return
	case "Binary":
		ref := fhir.ParseReference(doc.Text(doc.Get(doc.Get(doc.Root(), "securityContext"), "reference")), registry.Base())
		if ref.Kind == fhir.Local && ref.Type == "Patient" {
			each(ref.ID)
		}
		return
	}
	for _, p := range s.links[typ] {
		registry.References(p, doc, typ, func(ref string) {
			if patient, ok := strings.CutPrefix(ref, "Patient/"); ok {
				each(patient)
			}
		})
	}
}

// newLinks finds the parameters by which types are linked to patients. They are the standard's, whatever a tenant adds.
func newLinks(standard *search.Registry, types []string) map[string][]*search.Param {
	links := map[string][]*search.Param{}
	for _, typ := range types {
		for _, code := range access.Links(typ) {
			if p := standard.Param(typ, code); p != nil {
				links[typ] = append(links[typ], p)
			}
		}
	}
	return links
}

// filter compiles the criteria of a grant. ok is false for criteria that are not understood or look beyond the resource: a grant
// with such criteria grants nothing.
func (s *Service) filter(registry *search.Registry, typ, criteria string) (clauses []*search.Clause, ok bool) {
	pairs, err := splitCriteria(criteria)
	if err != nil {
		return nil, false
	}
	query, err := search.Parse(registry, typ, pairs, search.Options{Now: s.clock.Now()})
	if err != nil || len(query.Clauses) == 0 || len(query.Clauses) != len(pairs) {
		return nil, false
	}
	for _, c := range query.Clauses {
		switch c.Kind {
		case search.KindValue, search.KindID:
		default:
			return nil, false
		}
	}
	return query.Clauses, true
}

func (s *Service) meetsFilter(registry *search.Registry, criteria string, v *Version, doc *jsontape.Doc) bool {
	if criteria == "" {
		return true
	}
	clauses, ok := s.filter(registry, v.Type, criteria)
	if !ok {
		return false
	}
	return !slices.ContainsFunc(clauses, func(c *search.Clause) bool {
		if c.Kind == search.KindID {
			return slices.Contains(c.IDs, v.ID) == c.Not
		}
		return !c.Match(doc, v.Type)
	})
}

// visible errs with NotFound, as if the resource were not there, unless one of the actions is allowed on it.
func (s *Service) visible(ctx context.Context, v *Version, actions ...access.Action) error {
	r := access.Of(ctx)
	registry, err := s.registry(ctx)
	if err != nil {
		return err
	}
	ok, err := s.sees(registry, r, v, actions...)
	if err == nil && !ok {
		s.hidden(ctx, v.Type)
		err = notFound(v.Type)
	}
	return err
}
