// Package bus carries messages between Ward's processes, on NATS: a server inside this process (bus/embedded) or a cluster's URL, with
// the same client code.
//
// There are two kinds of messages.
//
//   - Kept ones go through a JetStream stream: [Bus.Publish] returns when the server has them on disk (on a majority of Replicas), a message
//     id makes a repeated publish one message within the stream's Dedupe window, and each durable consumer ([Bus.Consume]) gets every message
//     of its subject at least once. A handler that fails is called again after the consumer's Backoff; after the last
//     attempt, or when the process died in it, the message goes to Dead, and only when Dead has it is it let go.
//   - Broadcasts ([Bus.Broadcast], [Bus.Listen]) reach whoever listens now, at most once, in the sender's order.
//
// JetStream is never the system of record: it forgets what is older than a stream's MaxAge. Subjects carry a tenant's number, never
// a name or anything of a patient's.
//
// While the server can't be reached everything that must reach it fails at once with Unavailable, nothing is buffered, the client
// reconnects by itself, and consumers go on where they were. A process starts without the server, too.
package bus
