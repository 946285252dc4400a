// Package argon hashes passwords with argon2id, each in the form that PHC gives it: $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
//
// [Default] is OWASP's minimum: 19 MiB and two passes, some 25 ms of a core. A hash carries its parameters, so that they can be raised:
// [Hash.Stale] says that one was made with less.
//
// # Where it is computed
//
// A hash takes a core for its time and 19 MiB, which would be garbage in the heap that serves charts: five hashes a second would make the
// collector run as often. So [Pool] has it computed by a process of its own ([Serve] is its loop): another heap, and on Linux, for the work
// that nobody waits for, the scheduling policy SCHED_IDLE: it runs where the charts leave a core idle and gives way the
// moment they want it, which a goroutine can't. The processes are started when they are needed and end after a minute without work; they end
// with their parent, whose pipe they read. Where none can be started the work is done in this process.
//
// Sign-ins go first: at most [Options.Workers] hashes are computed at once, and those that nobody waits for only while no sign-in is.
package argon
