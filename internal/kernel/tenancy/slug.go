package tenancy

import (
	"slices"

	"ward/internal/base/fault"
)

// CheckSlug returns fault.Invalid unless the slug can name a tenant in a path: 3 to 40 of a-z, 0-9 and -, beginning with a
// letter, ending with a letter or digit, no two - in a row, and none of the names that the paths need.
func CheckSlug(slug string) error {
	if len(slug) < 3 || len(slug) > 40 {
		return fault.Invalid("a tenant's slug has 3 to 40 characters, this one has %d", len(slug))
	}
	for i := range len(slug) {
		c := slug[i]
		letter, digit, dash := c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-'
		switch {
		case !letter && !digit && !dash:
			return fault.Invalid("a tenant's slug is made of a-z, 0-9 and -: character %d is another", i+1)
		case i == 0 && !letter:
			return fault.Invalid("a tenant's slug begins with a letter")
		case dash && (i == len(slug)-1 || slug[i-1] == '-'):
			return fault.Invalid("in a tenant's slug each - stands between letters or digits")
		}
	}
	if slices.Contains(reserved, slug) {
		return fault.Invalid("the slug %s is reserved: choose another", slug)
	}
	return nil
}

//nolint:gochecknoglobals // constant table
var reserved = []string{
	"admin", "api", "assets", "fhir", "health", "healthz", "metrics", "oauth2", "public", "readyz", "root", "static", "system", "tenant", "tenants", "ward", "well-known", "www",
}
