// Package seal encrypts what is kept: each tenant has keys of its own, so that destroying them destroys its data wherever copies of it are.
//
//	key service (backend/kms) ── wraps ──→ tenant's key ── wraps ──→ data keys ── AES-256-GCM ──→ bodies, messages, cached values, blobs
//
// It owns the table seal_key in the system database, which holds the wrapped keysets (tink) of every tenant and, as tenant 0, of the system.
//
// It promises:
//   - What [Key.Seal] made opens under the same tenant's keys only, with the same associated data only: callers give it table and id, and the tenant is
//     added here, so that a value that was moved to another row, table or tenant does not open.
//   - New values go under the newest data key; what older ones sealed opens as long as the tenant has them. [Keys.Rotate] gives the tenant another key
//     and [Keys.Rewrap] another key service: both wrap the data keys anew and rewrite no data. [Keys.Renew] adds a data key.
//   - After [Keys.Destroy] nothing of the tenant opens: in this process at once, in others when they are told ([Keys.Forget]), or after at most five
//     minutes, for which unwrapped keys are remembered. Copies of the system database that are older hold the wrapped keys; where the key service can destroy the tenant's key (files, a
//     server) they are useless too.
//   - [Keys.For] answers from memory. It asks the key service when the tenant was not seen for five minutes, and ahead of time, in the background, for
//     tenants that are at work, so that a key service that is slow is not noticed, and one that is away only after five minutes.
//
// A nonce is random, 96 bits. A data key is renewed by the first process that sealed 2^31 values with it, far from where nonces may repeat
// (NIST SP 800-38D §8.3: 2^32).
//
// It fails with Gone for a tenant whose keys were destroyed; Unavailable when the database or the key service can't be reached; Unprocessable for what
// does not open; Internal without a scope.
package seal
