// Package tiers moves tenants between databases while they are in use, exports and imports them, deletes and destroys them.
//
// It owns no table: where a tenant is, and how far a move is, stands in the directory (package tenancy); rows are copied by package transfer.
//
// # A move
//
//	         begin                     switch                     clear
//	(none) ────────► copying ────────► switching ────────► moved ────────► (none)
//	   ▲                │                  │
//	   └────────────────┴──────────────────┘ undo: on a failure, or when the process died
//
// While it is copying the tenant is served from where it was; triggers note what changes. At the switch writes wait (for 1.5 s at most, or it is given up
// and tried again), what was noted last is brought over and compared, and the directory names the new place in one transaction. Until that
// transaction the old place is whole, and from it on the new one is: a process that dies at any moment leaves one of the two. What it left
// is undone, or cleared, by [Service.Resume], at the start of an embedded Ward and within half a minute elsewhere.
//
// Where several processes serve the tenant (PostgreSQL), those that have not heard of the switch write to the old place for a moment, where a fence refuses
// them; they look into the directory and write to the new one. Reads of theirs see the old place, as it was at the switch, until they look, while writes still wait.
//
// # An archive
//
// An export is one file, encrypted by age, that holds every row and blob of the tenant as one moment has them, and a manifest of hashes; see [Head]. An import verifies
// it whole before it writes the first row, and compares the rows once they are there. Until then the new tenant is one that is being deleted.
//
// # The end of a tenant
//
// [Service.Delete] makes it unreachable at once; until it is due, [Service.Restore] brings it back. Then its key is destroyed, so that no copy anywhere can be read,
// and its rows, files and blobs are removed.
package tiers
