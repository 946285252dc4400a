// Package load measures a running Ward from outside, beside the limits of the machine that it runs on.
//
// It owns the workloads of the clinical records (see Workloads), the made-up patients that they work on (see Prepare)
// and the limits that give the figures a meaning on another machine (see LimitHTTP, LimitSync, SQLite, Postgres):
// a figure alone says as much about the machine as about Ward, a ratio does not.
//
// The client shares the machine with the server, so it is light: one connection a worker, requests appended into a
// reused buffer, answers read into another, no parsing beyond the status, the length and the location.
//
// Closed loops: each connection sends its next request when it has the answer to the last. Throughput is honest,
// latencies are those of a server that is as busy as that many clients can make it.
//
// Open loops: requests are due at fixed times whatever the server does. A request that has to wait for a free
// connection counts from the time it was due, so that a stall is seen by all who would have met it (no coordinated
// omission).
//
// All data is made up from a seed: nobody's.
package load
