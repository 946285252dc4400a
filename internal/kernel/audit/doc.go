// Package audit is the record of everything that happens to a tenant's data.
//
// [Log.Record] takes what wrote nothing, [Log.RecordIn] what wrote, in the transaction that wrote it, [Log.Security] what looks
// like an attack.
package audit
