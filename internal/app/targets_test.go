package app

import (
	"slices"
	"testing"

	"ward/internal/kernel/module"
)

func TestRunners_ByTarget(t *testing.T) {
	t.Parallel()
	modules := []module.Module{
		{Runners: []module.Runner{{Name: "relay", Target: module.All}, {Name: "reindex", Target: module.Worker}}},
		{Runners: []module.Runner{{Name: "pages", Target: module.Web}, {Name: "answers", Target: module.Web | module.API}}},
	}
	for targets, want := range map[module.Target][]string{
		module.All:                 {"relay", "reindex", "pages", "answers"},
		module.Ops | module.API:    {"relay", "answers"},
		module.Ops | module.Web:    {"relay", "pages", "answers"},
		module.Ops | module.Worker: {"relay", "reindex"},
		module.Ops:                 nil,
	} {
		var got []string
		for _, r := range runners(targets, modules) {
			got = append(got, r.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v starts %v, want %v", targets, got, want)
		}
	}
}
