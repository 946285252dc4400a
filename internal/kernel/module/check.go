package module

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// TenantPrefix begins the pattern of every route that runs in a tenant's scope.
const TenantPrefix = "/t/{tenant}/"

// FHIRPrefix begins the pattern of every route whose errors are OperationOutcomes.
const FHIRPrefix = "/t/{tenant}/fhir"

// OfTenant says whether the route runs in the scope of the tenant that its path names.
func (r Route) OfTenant() bool {
	return strings.HasPrefix(r.Pattern, TenantPrefix)
}

// OfFHIR says whether the route speaks FHIR.
func (r Route) OfFHIR() bool {
	return r.Pattern == FHIRPrefix || strings.HasPrefix(r.Pattern, FHIRPrefix+"/")
}

// Check says what is wrong with the modules, all of it, or nil.
func Check(modules []Module) error {
	var errs []error
	names := map[string]bool{}
	routes := map[string]string{}
	runners := map[string]string{}
	nameRule := regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	for _, m := range modules {
		if !nameRule.MatchString(m.Name) {
			errs = append(errs, fmt.Errorf("module %q: the name must be lower-case letters and digits", m.Name))
		}
		if names[m.Name] {
			errs = append(errs, fmt.Errorf("module %q is there twice", m.Name))
		}
		names[m.Name] = true
		for _, r := range m.Routes {
			key := r.Method + " " + r.Pattern
			for _, problem := range r.problems() {
				errs = append(errs, fmt.Errorf("module %s: route %s: %s", m.Name, key, problem))
			}
			if other, taken := routes[key]; taken {
				errs = append(errs, fmt.Errorf("module %s: route %s is already a route of %s", m.Name, key, other))
			}
			routes[key] = m.Name
		}
		for _, r := range m.Runners {
			if r.Name == "" || r.Run == nil || r.Target&All == 0 {
				errs = append(errs, fmt.Errorf("module %s: runner %q needs a name, a target and Run", m.Name, r.Name))
			}
			if other, taken := runners[r.Name]; taken {
				errs = append(errs, fmt.Errorf("module %s: runner %q is already a runner of %s", m.Name, r.Name, other))
			}
			runners[r.Name] = m.Name
		}
		for _, c := range m.Consumers {
			if c.Name == "" || c.Subject == "" || c.Handle == nil {
				errs = append(errs, fmt.Errorf("module %s: consumer %q needs a name, a subject and Handle", m.Name, c.Name))
			}
		}
	}
	return errors.Join(errs...)
}

func (r Route) problems() []string {
	var p []string
	add := func(bad bool, text string) {
		if bad {
			p = append(p, text)
		}
	}
	add(r.Method == "" || r.Method != strings.ToUpper(r.Method), "needs a method in capitals")
	add(!strings.HasPrefix(r.Pattern, "/"), "the pattern must begin with /")
	add(r.Target != Web && r.Target != API && r.Target != Ops, "needs one target: Web, API or Ops")
	add(r.Lane < Urgent || r.Lane > Background, "needs a lane")
	add(r.Public && r.Permission != "", "is public and demands a permission: choose one")
	add(!r.Public && r.Permission == "", "needs a permission, or Public")
	add(r.Basic && (r.Public || !r.OfTenant()), "takes passwords and is public, or no tenant's")
	add(r.Objective.Percentile <= 0 || r.Objective.Percentile >= 1, "needs an objective with a percentile between 0 and 1, such as 0.95")
	add(r.Objective.Latency <= 0, "needs an objective with a latency")
	add(r.BodyLimit < 0, "the body limit is negative")
	add(r.Timeout < 0, "the timeout is negative")
	add(r.Summary == "", "needs a summary")
	add(r.Handler == nil, "needs a handler")
	return p
}
