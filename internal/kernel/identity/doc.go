// Package identity knows who is asking: bearer tokens, minted on the command line, each bound to one tenant and a role.
//
// A token reads ward_<tenant>_<43 characters><6 of a checksum>, so that a leaked one is recognised by scanners and a mistyped one is
// refused without asking the database. It holds 256 random bits; only its SHA-256 is stored. It owns the table identity_token in
// the system database.
//
// [Tokens.Verify] answers from memory; a token that another process revoked is refused after at most two seconds, one that
// this process revoked at once. Tokens that don't exist are remembered too, in a bounded memory of their own, so that
// trying tokens neither reaches the database each time nor pushes good ones out.
package identity
