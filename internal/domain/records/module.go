package records

import (
	"embed"
	"io/fs"
	"net/http"
	"time"

	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations is the SQL of the records' tables, for the tenants' databases.
func Migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}

// bundleLimit is the largest body of a batch or transaction, in bytes.
const bundleLimit = 64 << 20

// Module is what the records bring to the product.
func (s *Service) Module() module.Module {
	m := module.Module{
		Name:       "records",
		Migrations: Migrations(),
		Runners: []module.Runner{
			{Name: "records-reindex", Target: module.Worker, Run: s.parameters.reindex},
			{Name: "records-parameters", Target: module.All, Run: s.parameters.refresh},
		},
	}
	for _, i := range s.interactions() {
		m.Routes = append(m.Routes, i.routes()...)
	}
	for _, o := range operations() {
		m.Routes = append(m.Routes, s.operationRoutes(o)...)
	}
	return m
}

// offered is an interaction as it is offered over HTTP. Routes and the capability statement come from it.
type offered struct {
	code       string // of the interaction in a capability statement (valueset-type-restful-interaction); empty for none
	method     string
	path       string // below the base
	permission string // empty for a public one
	lane       module.Lane
	limit      int64
	latency    time.Duration
	summary    string
	handle     func(w http.ResponseWriter, r *http.Request) error
}

// interactions lists every interaction that is offered.
func (s *Service) interactions() []offered {
	const (
		read, write, remove = access.RecordsRead, access.RecordsWrite, access.RecordsDelete
		people              = module.Interactive
	)
	quick, fair, slow := 250*time.Millisecond, time.Second, 5*time.Second
	return []offered{
		{"capabilities", "GET", "/metadata", "", people, 0, fair, "Capability statement", s.handleMetadata},

		{"read", "GET", "/{type}/{id}", read, people, 0, quick, "Read a resource", s.handleRead},
		{"vread", "GET", "/{type}/{id}/_history/{vid}", read, people, 0, quick, "Read a version of a resource", s.handlePerform},
		{"history-instance", "GET", "/{type}/{id}/_history", read, people, 0, fair, "History of a resource", s.handleHistory},
		{"history-type", "GET", "/{type}/_history", read, people, 0, fair, "History of a type", s.handleHistory},
		{"history-system", "GET", "/_history", read, people, 0, fair, "History of all resources", s.handleHistory},

		{"create", "POST", "/{type}", write, people, 0, quick, "Create a resource, also conditionally", s.handleWrite},
		{"update", "PUT", "/{type}/{id}", write, people, 0, quick, "Update a resource, or create it under this id", s.handleWrite},
		{"", "PUT", "/{type}", write, people, 0, fair, "Update the resource that matches", s.handleWrite},
		{"patch", "PATCH", "/{type}/{id}", write, people, 0, quick, "Patch a resource (JSON Patch, FHIRPath Patch)", s.handlePatch},
		{"", "PATCH", "/{type}", write, people, 0, fair, "Patch the resource that matches", s.handlePatch},
		{"delete", "DELETE", "/{type}/{id}", remove, people, 0, quick, "Delete a resource", s.handleDelete},
		{"", "DELETE", "/{type}", remove, people, 0, fair, "Delete the resource that matches", s.handleDelete},

		{"search-type", "GET", "/{type}", read, people, 0, fair, "Search a type", s.handleSearch},
		{"", "POST", "/{type}/_search", read, people, 1 << 20, fair, "Search a type by a form", s.handleSearchForm},
		{"search-system", "GET", "", read, people, 0, fair, "Search all types", s.handleSearch},
		{"", "POST", "/_search", read, people, 1 << 20, fair, "Search all types by a form", s.handleSearchForm},
		{"", "GET", "/{type}/{id}/{members}", read, people, 0, fair, "Search a compartment", s.handleSearch},
		{"", "POST", "/{type}/{id}/{members}/_search", read, people, 1 << 20, fair, "Search a compartment by a form", s.handleSearchForm},

		{"transaction", "POST", "", access.RecordsBatch, people, bundleLimit, slow, "Batch or transaction", s.handleBundle},
	}
}

// routes are an interaction's routes: collections answer with and without a slash at the end.
func (o offered) routes() []module.Route {
	r := module.Route{
		Method: o.method, Pattern: module.FHIRPrefix + o.path, Target: module.API, Lane: o.lane, Permission: o.permission, Public: o.permission == "",
		BodyLimit: o.limit, Objective: module.Objective{Percentile: 0.95, Latency: o.latency}, Summary: o.summary, Handler: o.handle,
	}
	if o.path != "" && o.path != "/{type}" {
		return []module.Route{r}
	}
	slash := r
	slash.Pattern += "/{$}"
	return []module.Route{r, slash}
}

// operationRoutes are the routes of an operation, at each level and for each type that it has.
func (s *Service) operationRoutes(o operation) []module.Route {
	types := []string{"/{type}"}
	if o.types != nil {
		types = types[:0]
		for _, typ := range o.types {
			types = append(types, "/"+typ)
		}
	}
	var paths []string
	if o.system {
		paths = append(paths, "")
	}
	for _, typ := range types {
		if o.typeLevel {
			paths = append(paths, typ)
		}
		if o.instance {
			paths = append(paths, typ+"/{id}")
		}
	}
	var list []module.Route
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if method == http.MethodGet && !o.get || method == http.MethodPost && !o.post {
				continue
			}
			r := module.Route{
				Method: method, Pattern: module.FHIRPrefix + path + "/$" + o.code, Target: module.API, Lane: module.Interactive,
				Permission: access.RecordsRead, Objective: module.Objective{Percentile: 0.95, Latency: time.Second},
				Summary: "Operation $" + o.code, Handler: s.handleOperation(o.code, path),
			}
			if o.writes {
				r.Permission = access.RecordsWrite
			}
			if o.code == "everything" {
				r.Objective.Latency = 5 * time.Second
				if len(path) > 0 && path[len(path)-1] != '}' {
					r.Lane = module.Background
				}
			}
			list = append(list, r)
		}
	}
	return list
}
