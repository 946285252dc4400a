// Package cache keeps answers so that an unchanged chart is not asked for twice. It never answers with something older than
// the last acknowledged write.
//
// There are two kinds of values, because there are two ways to be right.
//
// # Tagged answers, in the process
//
// An answer depends on tags: a patient's compartment, a resource. The reader takes a [Lease] with [Cache.Begin], reads the
// database, and stores the answer with [Lease.Store]. The writer commits, then calls [Cache.Invalidate], then acknowledges.
// Every tag has a generation, a counter; Begin notes the generations, Invalidate raises them, and Get answers only while
// every generation noted still stands. Why an answer that misses an acknowledged write is never served:
//
//   - The write's Invalidate came before Begin: then its commit did too, and the read saw it.
//   - It came after Begin: then the generation that was noted no longer stands, however late the answer is stored.
//
// There is no third case, and no lock is held between a read and a write. A generation lives in one of a fixed number of
// slots, so that nothing is registered, nothing is released and memory is bounded; a shared slot costs a miss at worst.
//
// # Other processes
//
// Each process pings the others over the bus, four times in a [Config.Lease], and each answers with a pong that names its last
// announcement. A process answers from its cache only until (its ping left) + Lease for every peer it knows, its own echo
// included. The peer counted from when the ping arrived, which is later, so it knows a time after which that process
// answers no more. Invalidate announces the tags, and waits until every peer has confirmed or that time has passed. Announcements are
// numbered: who sees a gap, in an announcement or a pong, drops every tagged answer before it goes on. Therefore
//
//   - lost, late and repeated messages cost misses or wait, nothing else;
//   - a peer that crashed or is cut off delays writes by one Lease, once, and makes the others read the database until it is back
//     or [Config.Forget] has passed;
//   - a process that is cut off, and any process while the bus is down, reads the database (Stats.Bypassed) and writes on;
//   - a process that joins or reconnects first waits 1¼ Lease, so that all who can hear it know it, drops what it has, then serves.
//
// What is left: a process that reaches the database but not the bus while others reach both. The others stop answering from their
// caches when its lease runs out, and begin again after Forget; what it writes later than that they see when it is back. Operators see it as a
// process whose bus is down.
//
// A tagged answer never goes to the second tier. Its tokens would have to be raised there by every writer, so that a writer that
// cannot reach Redis would have to stop, or leave others to serve stale values.
//
// # Fixed values, in two tiers
//
// A fixed value's key holds the version of all it depends on, such as a compartment's version, read from the database. It is right for ever
// under that key, so nobody has to be told anything and a second tier that is slow, down, or was emptied or rolled back is only a
// miss. It goes there sealed, under a keyed hash, through a guard (breaker, time limit), and for a limited time.
//
// # Failures
//
// No failure of a peer, of the bus or of the second tier is an error of Get. A context without a scope is one.
package cache
