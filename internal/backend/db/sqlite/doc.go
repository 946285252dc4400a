// Package sqlite is the embedded driver of db: a folder with system.db and one file per tenant, tenants/<id>.db.
//
// # Writing
//
// Each open file has one writer goroutine. It takes the writes that wait into one transaction and commits it once, with one
// fsync (WAL, synchronous=FULL): group commit. The first write of a group runs in the bare transaction, the others in
// a savepoint each, so a write that fails takes nothing with it. Nobody is answered before the commit is durable; when it
// fails, all of the group get the error. A group takes no new writes after 10 ms, so nobody waits long for others.
//
// # Reading
//
// Each file has a few read connections, opened when needed. They never wait for the writer. A read whose context ends is
// interrupted within some 10 ms.
//
// While many files are open, a small one has a single connection with a small cache: a read takes the writer's when nobody has it, else it opens its own.
// A writer that finds its connection with a read waits 10 ms, and then opens another and leaves that one to reads: no read holds up writes for longer, and
// who writes while reading does not wait for himself.
//
// # Checkpoints
//
// Commits never checkpoint. When the WAL passes CheckpointPages, a goroutine copies it back by a connection of its own, and the
// writer then copies the short rest between two groups, so that the WAL starts again from its beginning. A long Snapshot holds
// the WAL; past eight times the bound the writer waits for the readers, a quarter of a second at most each time. An idle file's WAL is cut to nothing.
//
// # Files
//
// At most MaxOpen files are open; the one unused for longest is closed to make room, never one in use. Tenant migrations run
// when a file is opened; when it is current that is one look at its header (user_version).
// A lock on the folder (ward.lock) keeps a second process out.
//
// # How it fails
//
// A full disk is fault.Full: the write is rolled back, reads go on, and writes work again as soon as there is room. A file
// that is damaged is fault.Internal. kill -9 loses nothing that was acknowledged: SQLite recovers the WAL when the file is opened.
package sqlite
