// Package transfer copies a tenant's rows from one database to another, whatever the two are: all tables that the tenant has, found in the database itself, with
// no domain's help.
//
//	Tables    what a tenant's database holds
//	Scan      a table's rows in the order of its key, in batches
//	Load      puts batches into another database
//	Digest    counts and hashes of all rows, equal on SQLite and PostgreSQL when the rows are
//	Track     notes the key of each row that changes from then on, by triggers in the tenant's database
//	Copy      copies all rows while the tenant is being written to, and compares each with its original
//	CatchUp   brings over what has changed meanwhile, and compares it
//	Close     refuses further writes at the old place, where other processes may still take it for the right one
//
// # How a copy becomes equal
//
// The triggers are there before the first row is read. So a row that was read too early, or that could not be inserted because another
// one that has changed since was in its way, is noted and brought over again. A batch is compared in this way: one snapshot of the source
// gives what is noted and the batch; what is noted is brought over first; then the rows of the copy must be those of
// the snapshot, byte for byte by their hashes. What changes later is noted again, and compared when it is brought over. At the end the numbers
// of rows are compared in a snapshot too, so that the copy has no row more.
//
// It owns the tables transfer_change and transfer_fence in the tenants' databases, which are empty unless a tenant is on the move and are never copied, and the triggers
// named transfer_…. A table without a primary key can't be copied; neither can one whose columns differ between the dialects by more than
// boolean and integer: fault.Internal, which a test over all modules rules out.
package transfer
