// Package db is the seam to the databases: one concrete type, [DB], over small drivers (db/sqlite, db/postgres).
//
// # Scope
//
// The scope in the context picks the database: a tenant's own, or the system's. A context without one is refused, so no
// query can forget its tenant, and a domain's SQL never names it: on SQLite every tenant is a file, on PostgreSQL every
// tenant table has a column tenant that defaults to the scope's and forced row-level security that shows nothing else.
//
// # Reading and writing
//
//	DB.Read      each statement sees its own snapshot
//	DB.Snapshot  all statements see one snapshot
//	DB.Write     one transaction; returns after its commit is durable
//
// SQL is one text in PostgreSQL's spelling that SQLite runs too ($1, ON CONFLICT, RETURNING). Point reads and writes of many
// rows have methods of their own ([Querier.Lookup], [Tx.Insert], [Tx.Upsert], [Tx.Delete]), because that is where the two differ most in
// what is fast: arrays in one round trip there, prepared statements in a loop here.
//
// Write's function may run again after a serialisation failure or a deadlock, so what it gives back must be set anew each
// time, and it must not touch anything but the transaction. A failed statement fails the whole Write, also when the function
// ignores the error: use [Tx.InsertNew] where somebody else may have been first. The function uses the Tx that it was
// given: DB.Read, DB.Snapshot and DB.Write of the same database inside it are refused.
//
// On PostgreSQL, Write is READ COMMITTED: what a decision rests on is locked first, by [Lookup.ForUpdate] or [Tx.Lock]. On SQLite
// there is one writer per file, so all of that holds by itself.
//
// # Errors
//
// Every error is a fault: Conflict with [ErrUnique] for a second row of the same key; Full when the disk is; Unavailable, with a time
// to try again, when the database can't be reached or the outcome of a commit is not known; Timeout and Canceled for the
// context's end; Internal for wrong SQL or a missing scope. What a function returns passes through unchanged. No values are in
// an error's text, only names of tables, columns and constraints.
package db
