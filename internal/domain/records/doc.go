// Package records is Ward's clinical record: FHIR R4 (4.0.1) resources in JSON, of all types, with every version, for many
// tenants. It owns the tables records_resource, records_history, records_chart, records_index and records_parameter
// (migrations/ says what each is for), the FHIR API under /t/{tenant}/fhir, and the search over it.
//
// How a request goes. An HTTP handler (http_*.go), or an entry of a bundle, becomes an interaction; perform carries it out
// and gives an answer. What is written becomes a Change: prepare parses, validates and indexes it outside of any
// transaction, apply makes it inside one. Single writes of a tenant are committed in groups (commit); conditional
// writes, transactions and imports have a database transaction of their own. Everything of a transaction that needs no lock
// is done before it begins; what its conditions found is looked up again inside.
//
// It promises:
//   - a write that was answered is durable, and a transaction is done as a whole or not at all;
//   - the client's bytes are kept: order of fields, decimals, escapes; only whitespace between tokens goes, and id,
//     meta.versionId and meta.lastUpdated come;
//   - no silent overwrite: If-Match and If-None-Match hold at the moment of the commit, parallel conditional creates make
//     one resource, and a patch without If-Match is applied anew when somebody was faster;
//   - history is append-only, also for $meta-add and $meta-delete, which make versions like any update;
//   - pages neither repeat nor skip what was there throughout, and a cursor serves only its tenant and query;
//   - a search parameter that a tenant adds answers completely from the start: by reading resources until its index is
//     built (parameter_reindex.go);
//   - an answer from the cache is one that the database would give now: what a write touches is invalidated in every
//     process before the write is acknowledged.
//
// Where FHIR leaves a choice: an update creates what is not there; a conditional delete of several resources is refused
// (412); unknown search parameters are refused unless Prefer: handling=lenient; a narrative that was generated is dropped by a
// patch that changes the data and not the narrative; bundles are answered without resources unless Prefer asks for them.
//
// It fails with fault values: Invalid with line, column and FHIRPath of every problem; NotFound and Gone; Conflict and
// Precondition for versions; TooCostly for a search that would read too much; Unavailable, Timeout and Full from the
// database. Errors in a bundle name their entry. Errors and logs carry types and ids, never content.
package records
