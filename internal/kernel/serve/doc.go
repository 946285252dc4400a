// Package serve answers HTTP: it takes the modules' routes and gives each request its way in.
//
// The way: request id and trace → path guard → tenant from the path → who is asking → permission → lane → body limit →
// handler → compression → metrics and log. Everything that can fail before the handler fails with the same kind of answer as
// the handler's own faults: an OperationOutcome under /t/{tenant}/fhir, a problem document (RFC 9457) elsewhere.
//
// It promises that no route but a Public one runs without a good token of the tenant in the path; that a handler runs
// at most for its route's timeout and reads at most its body limit; that a panic answers 500 and harms no other request; and that
// [Server.Drain] lets every request in flight finish. Health, readiness and metrics are on a listener of their own.
//
// It adds about 3 µs to a request (see BenchmarkChain): one wrapper per request, no buffering unless it compresses.
package serve
