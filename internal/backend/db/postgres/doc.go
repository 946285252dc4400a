// Package postgres is the scaled-out driver of db: one PostgreSQL database that all tenants share under forced row-level security.
//
// # Who may do what
//
// Tables belong to the owner, the role that migrates. The application runs as ward_app (tenants' tables, in the schema ward)
// and ward_system (the system's, in the schema system): roles that own nothing, are no superuser and can't bypass row-level
// security. [Open] makes them when they are missing and refuses to start when they may do more. A table of a tenant migration is declared:
//
//	-- ward:tenant-table records_resource
//
// The table has the column tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4 first in its primary key. The runner
// enables and forces row-level security on it, adds the policy, and lets ward_app read and write it; a table that is not declared fails the migration.
//
// # Round trips
//
// A statement of a Read travels with the setting of its tenant: one round trip, one implicit transaction. BEGIN and the
// tenant travel with the first statement of a Write, and Inserts with whatever follows them, so a Write of Inserts alone is one
// round trip, commit included. Statements are prepared by name once per connection; arguments and results are binary; many rows travel as arrays.
//
// # Plans
//
// Plans are generic (plan_cache_mode=force_generic_plan), because short queries would spend most of their time being planned, and made of ranges of
// indexes and nested loops only (docs/decisions/0006). A text that begins with [CustomPlan] is planned for its values each time. A plan that was made while a table was
// small may be wrong when it has grown, so a statement is planned again after its 8th, 64th, 512th and 4,096th run on a connection.
//
// # How it fails
//
// A connection that is lost before the commit was sent makes the function of Write run again on another. When it is lost
// after that, the outcome is not known, and the answer is fault.Unavailable. Serialisation failures and deadlocks run the function again, with
// growing pauses, until the context ends or there were ten. When the server is away, calls fail with fault.Unavailable at once, and work again as
// soon as it is back. A call whose context ends is cancelled on the server, and its connection closed.
package postgres
