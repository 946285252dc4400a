package app

import "ward/internal/kernel/module"

// runners are what the targets start in the background. Everything is built in every process; ops is on in each.
//
//	what                                        web  api  worker
//	routes of module.Web                         ×
//	routes of module.API                              ×
//	runners of module.Web, module.API            ×    ×
//	runners of module.Worker, event consumers              ×
//	runners of module.All, the outbox's relay    ×    ×    ×
func runners(targets module.Target, modules []module.Module) []module.Runner {
	var out []module.Runner
	for _, m := range modules {
		for _, r := range m.Runners {
			if r.Target&targets&^module.Ops != 0 {
				out = append(out, r)
			}
		}
	}
	return out
}
