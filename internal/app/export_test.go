package app

import "ward/internal/kernel/serve"

// AskWho has somebody else than the Verifier say who asks, from the next Start on: for benchmarks that compare with a server that checks nothing. No
// configuration can.
func (a *App) AskWho(t serve.Tokens) { a.asked = t }
