// Package resilience puts one [Policy] around every call that leaves the process: to a cache server, a blob store, a payer,
// a webhook. A policy is, from the outside in:
//
//	bulkhead (how many calls at once) → retry (backoff, jitter) → breaker → time limit of one attempt → the call
//
// What it promises:
//   - A dependency that is down costs its callers microseconds, not timeouts: after Failures of the last Window attempts
//     failed the breaker opens and answers Unavailable with RetryAfter, and lets one attempt through after OpenFor.
//   - A dependency that is slow holds at most Concurrency callers; others get Exhausted after MaxWait.
//   - An answer that says the caller is wrong (Invalid, NotFound, Conflict, ...) is neither retried nor counted as failure.
//   - The caller's own end of patience (its context) is not counted as the dependency's failure.
//
// A call that must not be made twice says so with Attempts: 1. The call must respect its context: a time limit cancels
// the context and waits for the call to return.
package resilience
