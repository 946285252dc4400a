package module_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"ward/internal/kernel/module"
)

func good() module.Route {
	return module.Route{
		Method: "GET", Pattern: "/t/{tenant}/fhir/{type}/{id}", Target: module.API, Lane: module.Interactive, Permission: "records.read",
		Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: "Reads a resource",
		Handler: func(http.ResponseWriter, *http.Request) error { return nil },
	}
}

func TestCheck_AcceptsAWholeModule(t *testing.T) {
	t.Parallel()
	m := module.Module{
		Name: "records", Routes: []module.Route{good()},
		Runners: []module.Runner{{Name: "reindex", Target: module.Worker, Run: func(context.Context) error { return nil }}},
	}
	if err := module.Check([]module.Module{m}); err != nil {
		t.Error(err)
	}
}

func TestCheck_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*module.Route){
		"needs a method":          func(r *module.Route) { r.Method = "" },
		"must begin with /":       func(r *module.Route) { r.Pattern = "t" },
		"needs one target":        func(r *module.Route) { r.Target = module.Web | module.API },
		"needs a lane":            func(r *module.Route) { r.Lane = 0 },
		"needs a permission":      func(r *module.Route) { r.Permission = "" },
		"public and demands":      func(r *module.Route) { r.Public = true },
		"with a percentile":       func(r *module.Route) { r.Objective.Percentile = 95 },
		"with a latency":          func(r *module.Route) { r.Objective.Latency = 0 },
		"needs a summary":         func(r *module.Route) { r.Summary = "" },
		"needs a handler":         func(r *module.Route) { r.Handler = nil },
		"body limit is negative":  func(r *module.Route) { r.BodyLimit = -1 },
		"the timeout is negative": func(r *module.Route) { r.Timeout = -1 },
	} {
		r := good()
		change(&r)
		err := module.Check([]module.Module{{Name: "records", Routes: []module.Route{r}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	err := module.Check([]module.Module{
		{Name: "records", Routes: []module.Route{good()}},
		{Name: "records", Routes: []module.Route{good()}, Runners: []module.Runner{{Name: "x"}}, Consumers: []module.Consumer{{}}},
		{Name: "Not-A-Name"},
	})
	for _, want := range []string{"there twice", "already a route of records", "runner \"x\" needs", "consumer \"\" needs", "must be lower-case"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestParseTargets(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]module.Target{
		"all": module.All, "web": module.Web | module.Ops, "web, worker": module.Web | module.Worker | module.Ops, "web,api,worker": module.All,
	} {
		if got, err := module.ParseTargets(in); err != nil || got != want {
			t.Errorf("%q: %v %v", in, got, err)
		}
	}
	if _, err := module.ParseTargets("web,front"); err == nil || !strings.Contains(err.Error(), `"front" is no target`) {
		t.Error(err)
	}
	if got := (module.Web | module.Ops).String(); got != "web,ops" {
		t.Error(got)
	}
}

func TestRoute_Prefixes(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string][2]bool{
		"/t/{tenant}/fhir":         {true, true},
		"/t/{tenant}/fhir/Patient": {true, true},
		"/t/{tenant}/fhirx":        {true, false},
		"/t/{tenant}/calendar":     {true, false},
		"/admin/tenants":           {false, false},
	} {
		r := module.Route{Pattern: pattern}
		if r.OfTenant() != want[0] || r.OfFHIR() != want[1] {
			t.Errorf("%s: %v %v", pattern, r.OfTenant(), r.OfFHIR())
		}
	}
}
