package app

import "ward/internal/kernel/module"

// started says what a target starts. Everything is built in every process; ops is on in each.
//
//	what                        web  api  worker
//	routes of module.Web         ×
//	routes of module.API              ×
//	runners of module.Web/API    ×    ×
//	runners of module.Worker                ×
//	consumers                               ×
//	outbox relay                            ×
//
// A process that stores an event while its worker is elsewhere leaves it in the outbox, from where the worker's relay takes it.
type started struct {
	runners              []module.Runner
	consumers, publishes bool
}

func start(targets module.Target, modules []module.Module) started {
	s := started{consumers: targets&module.Worker != 0, publishes: targets&module.Worker != 0}
	for _, m := range modules {
		for _, r := range m.Runners {
			if r.Target&targets&^module.Ops != 0 {
				s.runners = append(s.runners, r)
			}
		}
	}
	return s
}
