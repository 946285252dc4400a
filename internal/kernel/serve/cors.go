package serve

import (
	"context"
	"net/http"

	"ward/internal/base/scope"
)

// Origins says which other sites' pages may call a tenant's API from a browser.
type Origins interface {
	// AllowOrigin says whether pages of the origin may, for the tenant of ctx's scope.
	AllowOrigin(ctx context.Context, origin string) (bool, error)
}

// The methods and headers of browsers' requests across origins. Cookies never come with them: nothing here allows credentials.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Request-Id"
	corsExposed = "Content-Location, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Request-Id"
	corsMaxAge  = "600" // seconds
)

// cors answers a browser's question whether it may (Fetch standard, CORS protocol), and marks answers that a page of the asking
// origin may read. done says that the request is answered.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (done bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || s.deps.Origins == nil || !speaks(r.URL.Path, "fhir") && !speaks(r.URL.Path, "oauth2") {
		return false
	}
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	h := w.Header()
	h.Add("Vary", "Origin")
	allowed := s.allows(r, origin)
	if allowed {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", corsExposed)
	}
	if !preflight {
		return false
	}
	if allowed {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", corsMaxAge)
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

func (s *Server) allows(r *http.Request, origin string) bool {
	if len(origin) > 300 {
		return false
	}
	tenant, err := s.deps.Tenants.Find(r.Context(), slugOf(r.URL.Path))
	if err != nil {
		return false
	}
	ok, err := s.deps.Origins.AllowOrigin(scope.With(r.Context(), scope.Scope{Tenant: tenant}), origin)
	return err == nil && ok
}

// slugOf is the tenant's slug in a path of the form /t/{tenant}/...
func slugOf(path string) string {
	path = path[len("/t/"):]
	for i := range len(path) {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return path
}
