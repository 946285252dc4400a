package records

import (
	"context"
	"strings"

	"ward/internal/backend/cache"
	"ward/internal/base/scope"
	"ward/internal/format/fhir/search"
)

// registry is the search parameters of the tenant in ctx: the standard's and its own.
func (s *Service) registry(ctx context.Context) (*search.Registry, error) {
	return s.parameters.registry(ctx)
}

// standardOf is the standard's parameters on a tenant's own server, whose absolute URLs name local resources.
func (s *Service) standardOf(tenant scope.Tenant) *search.Registry {
	if s.baseURL == "" {
		return s.standard
	}
	return s.standard.At(strings.TrimSuffix(s.baseURL, "/") + "/t/" + tenant.Slug + "/fhir")
}

// number is how a type is stored.
func (s *Service) number(typ string) int32 { return int32(s.definitions.TypeNumber(typ)) }

// cutReference takes "Type/id" apart.
func cutReference(ref string) (typ, id string, ok bool) {
	typ, id, ok = strings.Cut(ref, "/")
	return typ, id, ok && id != "" && !strings.Contains(id, "/")
}

// cacheTags names what the answer to a search depends on, when that is one patient's chart; nil means that the
// answer is not to be kept.
func (s *Service) cacheTags(ctx context.Context, req Request) []cache.Tag {
	if len(req.Types) != 1 || req.CompartmentType != "" || len(req.Include)+len(req.RevInclude) > 0 || len(req.Ignored) > 0 {
		return nil
	}
	typ := req.Types[0]
	var tags []cache.Tag
	own := false // a parameter of the tenant's own, which may be redefined
	for _, c := range req.Clauses {
		switch c.Kind {
		case search.KindID, search.KindUpdated:
			continue
		case search.KindValue:
		default:
			return nil
		}
		own = own || c.Param != nil && s.standard.Param(typ, c.Code) == nil
		if p := c.ParamFor(typ); p == nil || p.Type != search.Reference || !s.parameters.ready(ctx, p) {
			continue
		}
		ranges, _ := c.Ranges(typ)
		if len(ranges) == 1 && ranges[0].Chart {
			tags = append(tags, compartmentTag(uint64(chartKey(ranges[0])))) //nolint:gosec // a hash's bits
		}
	}
	if own && len(tags) > 0 {
		tags = append(tags, parametersTag())
	}
	return tags
}
