package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"ward/internal/kernel/module"
)

// RouteTable prints routes for people, by pattern.
func RouteTable(routes []module.Route) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tPATTERN\tTARGET\tLANE\tPERMISSION\tOBJECTIVE\tBODY\tSUMMARY")
	for _, r := range sorted(routes) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Method, r.Pattern, r.Target, r.Lane, permission(r), objective(r), Size(bodyLimit(r)), r.Summary)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

// RouteJSON is the routes for programs.
func RouteJSON(routes []module.Route) ([]byte, error) {
	type route struct {
		Method        string  `json:"method"`
		Pattern       string  `json:"pattern"`
		Target        string  `json:"target"`
		Lane          string  `json:"lane"`
		Permission    string  `json:"permission,omitempty"`
		Public        bool    `json:"public"`
		Percentile    float64 `json:"objectivePercentile"`
		LatencyMillis int64   `json:"objectiveMilliseconds"`
		BodyLimit     int64   `json:"bodyLimitBytes"`
		Summary       string  `json:"summary"`
	}
	out := make([]route, 0, len(routes))
	for _, r := range sorted(routes) {
		out = append(out, route{
			r.Method, r.Pattern, r.Target.String(), r.Lane.String(), r.Permission, r.Public, r.Objective.Percentile,
			r.Objective.Latency.Milliseconds(), bodyLimit(r), r.Summary,
		})
	}
	return json.MarshalIndent(out, "", "  ")
}

func sorted(routes []module.Route) []module.Route {
	return slices.SortedFunc(slices.Values(routes), func(a, b module.Route) int {
		return cmp.Or(strings.Compare(a.Pattern, b.Pattern), strings.Compare(a.Method, b.Method))
	})
}

func permission(r module.Route) string {
	if r.Public {
		return "(public)"
	}
	return r.Permission
}

func objective(r module.Route) string {
	return fmt.Sprintf("p%g < %v", r.Objective.Percentile*100, r.Objective.Latency)
}

func bodyLimit(r module.Route) int64 {
	return cmp.Or(r.BodyLimit, module.DefaultBodyLimit)
}
