package records

import (
	"net/url"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/id"
)

// target is what a URL below the base names, in an HTTP request's path or in Bundle.entry.request.url.
type target struct {
	typ, id   string
	version   string // [type]/[id]/_history/[vid]
	history   bool
	search    bool   // a path that ends in _search
	members   string // [compartment]/[id]/[members]: a type, or * for all
	operation string // without the $
	metadata  bool
	query     string // what follows the ?, still escaped
}

// readTarget reads a URL that is relative to the base, or absolute and below it.
//
// Errors: Invalid when it isn't below the base or has a shape that nothing answers to, NotFound for an unknown type.
func (s *Service) readTarget(ref, base string) (t target, err error) {
	path, query, _ := strings.Cut(ref, "?")
	if rest, ok := cutBase(path, base); ok {
		path = rest
	} else if strings.Contains(path, "://") || strings.HasPrefix(path, "urn:") {
		return t, fault.Invalid("the URL is not below this server's base: give it relative to the base, such as Patient/1")
	}
	t.query = query
	path = strings.Trim(path, "/")
	var parts []string
	if path != "" {
		parts = strings.Split(path, "/")
	}
	for i, p := range parts {
		if parts[i], err = url.PathUnescape(p); err != nil {
			return t, fault.Invalid("the URL is not escaped as it should be")
		}
	}
	if len(parts) > 0 {
		switch {
		case parts[0] == "metadata" && len(parts) == 1:
			t.metadata = true
			return t, nil
		case strings.HasPrefix(parts[0], "_"), strings.HasPrefix(parts[0], "$"):
		default:
			t.typ, parts = parts[0], parts[1:]
			if err := s.checkType(t.typ); err != nil {
				return t, err
			}
			if len(parts) > 0 && !strings.HasPrefix(parts[0], "_") && !strings.HasPrefix(parts[0], "$") {
				t.id, parts = parts[0], parts[1:]
				if !id.Valid(t.id) {
					return t, errID()
				}
			}
		}
	}
	switch {
	case len(parts) == 0:
	case len(parts) == 1 && parts[0] == "_history":
		t.history = true
	case len(parts) == 2 && parts[0] == "_history" && t.id != "":
		t.version = parts[1]
	case len(parts) == 1 && parts[0] == "_search" && t.id == "":
		t.search = true
	case len(parts) == 1 && strings.HasPrefix(parts[0], "$"):
		t.operation = parts[0][1:]
	case len(parts) == 1 && t.id != "" && (parts[0] == "*" || s.definitions.IsResource(parts[0])):
		t.members = parts[0]
	default:
		return t, fault.Invalid("no interaction has a URL of this shape")
	}
	return t, nil
}

// cutBase takes the base off an absolute URL. The scheme does not count (FHIR R4 http.html#root).
func cutBase(u, base string) (string, bool) {
	rest, ok := strings.CutPrefix(withoutScheme(u), withoutScheme(base))
	if !ok || base == "" || len(rest) == len(u) || rest != "" && rest[0] != '/' && rest[0] != '?' {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}

func withoutScheme(u string) string {
	if _, rest, ok := strings.Cut(u, "://"); ok {
		return rest
	}
	return u
}

func (s *Service) checkType(typ string) error {
	if s.definitions.IsResource(typ) {
		return nil
	}
	return fault.NotFound("there is no resource type %q in FHIR R4; types are written like Patient or MedicationRequest", printable(typ))
}

// errNoID says what is wrong with an id of a path.
func errNoID(text string) error {
	if strings.HasPrefix(text, "$") {
		return fault.NotFound("there is no operation %s here; the capability statement lists those that there are", printable(text))
	}
	return errID()
}

func errID() error { return fault.Invalid("a resource id has 1 to 64 letters, digits, '-' and '.'") }
