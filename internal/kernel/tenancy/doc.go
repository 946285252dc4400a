// Package tenancy is the directory of tenants: which there are, whether they are served, and their settings.
//
// It owns the table tenancy_tenant in the system database. Every tenant is in the pooled tier: on SQLite a file of its own,
// on PostgreSQL rows in shared tables under row-level security.
//
// [Directory.Find], which every request asks, answers from memory; what another process changed counts after at most two
// seconds, what this one changed at once. When the system database can't be reached, tenants that were asked for lately
// are found for those two seconds and then nobody's are: fault.Unavailable.
package tenancy
