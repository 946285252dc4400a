// Package tenancy is the directory of tenants: which there are, whether they are served, where their data is, and their settings.
//
// It owns the tables tenancy_tenant and tenancy_cell in the system database. A tenant is in one of three tiers: pooled (a database that it shares
// with others: on SQLite a file of its own, on PostgreSQL rows under row-level security), database (one of its own, by its home's
// URL, which is kept sealed), or cell (a Ward of its own elsewhere, to which [Directory.Find] refers).
//
//	         suspend             delete              due
//	active ──────────► suspended        ┌► deleting ──────► destroyed
//	   ▲ ◄──────────── │  resume        │      │
//	   └───────────────┴────────────────┴──────┘ restore
//
// [Directory.Find] and [Directory.Locate], which every request asks, answer from memory; what another process changed counts after at most two
// seconds (0.2 s for a tenant on the move), what this one changed at once. When the system database can't be reached, tenants that were asked for lately
// are found for those two seconds and then nobody's are: fault.Unavailable.
package tenancy
