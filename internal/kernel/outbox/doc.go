// Package outbox carries facts from a transaction to those who want to know them. It owns the tables outbox_event, outbox_dead and outbox_seen of each
// tenant, and the stream WARD_EVENTS of the bus.
//
//	transaction: data + Enqueue → outbox_event ── relay ──→ JetStream ──→ consumer's Handle
//	                                  ↑                                       │ fails for good
//	                                  └────────────── Replay ── outbox_dead ←─┘
//
// Promises:
//   - An event is published if and only if its transaction committed. A crash anywhere publishes it again at worst: rows are deleted
//     after the stream has them on disk.
//   - Every consumer handles every event of its subject at least once, from when the consumer was first known. One that must not do its work twice
//     calls [Outbox.First] in the transaction that does the work.
//   - An event whose handling failed at every attempt (Config.Backoff), or killed its process each time, is in outbox_dead: listed by [Outbox.Dead],
//     handed to its consumer again by [Outbox.Replay].
//   - Events of a subject that no consumer wants are not written at all; [Outbox.Wants] says so before anything is prepared. Every process builds
//     every module, so all agree on who wants what.
//   - Order is not promised: consumers work on several events at once. An event names what changed; the consumer reads what is.
//
// What an event carries is sealed under its tenant's key, in the tables and on its way.
//
// # Relay
//
// Every process relays what it enqueued. A tenant is looked at when something was enqueued for it, again and again until nothing is left, and not
// while it is idle: the cost follows the events, not the tenants. What a process left that died is found by a sweep over all tenants, which is slow
// on purpose (Config.SweepRate): when the process starts, and again only where other processes write to the same database. On
// PostgreSQL rows are taken FOR UPDATE SKIP LOCKED, so that relays share work; on SQLite the process is alone.
//
// Events of one subject that wait together travel in one message of the stream, so that a burst costs one sync of the disk. When some of them
// fail, those alone are published again, each by itself and for that consumer only, before the message is confirmed.
//
// # Failures
//
// While the bus is away events wait in their tables and the relay tries again with a growing pause. While a tenant's database is away its events
// wait in the stream. JetStream keeps a week at most: what must never be lost is a row with a state of its domain's, which the event only wakes.
package outbox
