package module

import (
	"strings"

	"ward/internal/base/fault"
)

//nolint:gochecknoglobals // constant table
var targetNames = []struct {
	target Target
	name   string
}{{Web, "web"}, {API, "api"}, {Worker, "worker"}, {Ops, "ops"}}

// String is the targets' names joined by commas; "all" when all are in.
func (t Target) String() string {
	if t&All == All {
		return "all"
	}
	var names []string
	for _, n := range targetNames {
		if t&n.target != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

// ParseTargets reads "all" or names joined by commas, such as "web,api". Ops is always among them.
// It returns fault.Invalid for a name that is none.
func ParseTargets(s string) (Target, error) {
	targets := Ops
	for name := range strings.SplitSeq(s, ",") {
		switch strings.TrimSpace(name) {
		case "all":
			targets |= All
		case "web":
			targets |= Web
		case "api":
			targets |= API
		case "worker":
			targets |= Worker
		default:
			return 0, fault.Invalid("%q is no target: write all, or some of web, api and worker joined by commas", strings.TrimSpace(name))
		}
	}
	return targets, nil
}
