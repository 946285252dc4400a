package app

import "ward/internal/kernel/module"

// modules is the table of contents of the product: what each process is built of, whatever it starts.
func (a *App) modules() []module.Module {
	return []module.Module{
		a.Tenants.Module(),
		a.Tokens.Module(),
	}
}
