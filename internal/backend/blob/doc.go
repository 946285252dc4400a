// Package blob keeps large things, such as images and documents, under keys of their tenant: in a folder (blob/file) or in an S3 bucket
// (blob/s3).
//
// [Store] is what domains use; it does once what is the same everywhere, over a small [Driver]:
//
//   - A key belongs to the scope's tenant. It is made of segments of A-Z a-z 0-9 . _ - joined by /, none of them "." or "..", so that it is a
//     path nowhere but below the tenant's folder. Keys hold ids, never names or anything else of a patient's.
//   - A put is atomic: a reader sees the old blob, then the new one, never half of one, and after an acknowledged put the new one is there
//     after a crash. A put that fails or is given up leaves what was.
//   - Every blob is stored with a head (time, media type) and a tail (size, SHA-256 of the content, written when it has passed), which is how one
//     stream of unknown length gets a checksum without being held in memory, and is read back in one request. Reading all of a blob verifies it; a
//     damaged or cut blob is an error at its end, never a short success.
//
// Errors: NotFound, Invalid for a key that can't be one, Full when there is no room, Unavailable when the server can't be reached, Internal for a damaged
// blob. Those of a broken stream that is being put are passed on.
package blob
