// Package audit is the record of everything that happens to a tenant's data: append-only, hash-chained, signed. It owns the tables audit_event,
// audit_index and audit_link of each tenant and of the system, audit_former of each tenant, and the blobs under audit/checkpoint.
//
//	write:  transaction: data + RecordIn → audit_event, audit_index      ─┐ commit
//	read:   Record → memory ── every half second ──→ the same tables      ├→ audit_link: digests of both, signed ── hourly ──→ checkpoint (blob)
//
// Promises:
//   - A write's event is in the log if and only if its transaction committed. A read's is within a second, and when the process stops cleanly; who reads
//     while the log is further behind waits, and is refused when it can't be written.
//   - Nothing in it is a patient's data: ids, words of ours, and commitments of what a client sent. Events are sealed under the tenant's key, and end with it.
//   - After a move, and after an import into another Ward ([Log.Inherit]), all of it proves as before.
//   - What is altered, removed, swapped, added or cut off afterwards shows in [Log.Verify]. docs/security.md lists what an attacker can try and the two
//     windows that are left: half a second before a row's link, and an hour before a checkpoint.
//   - Writers don't wait for each other: each process links in a lane of its own, after the commit. On SQLite there is one process and one lane.
//   - [Log.Security] never fails and never fills the disk: repeats are counted.
//
// Order is that of recording, which differs from that of the events by at most a second. A process that dies between a commit and its link leaves rows that the next
// checkpoint links as adopted. Rows are never deleted: how long they are kept is how long the tenant is.
package audit
