// Package kms is the key service that wraps tenants' keys: a folder of key files (kms/file), keys derived from one secret (kms/secret), or a server
// that speaks Vault's transit protocol, such as OpenBao (kms/vault).
//
// A key has a name and never leaves its service. What is wrapped under a name opens under that name only, with the same associated data, and not
// after the key was destroyed.
//
// Errors: NotFound for a key that is not there, Unprocessable for what does not open, Unavailable when the service can't be reached, Denied when it refuses,
// NotImplemented where the service can't do it.
package kms
