// Package people is who has an account in a tenant, how they sign in, and in which browsers they are signed in.
//
// It owns, in each tenant's database, identity_person (accounts), identity_session (browsers), identity_link (links sent by mail), identity_activation (passwords that
// wait to be hashed), identity_attempt (sign-ins under way), identity_passkey, identity_recovery (codes), identity_throttle (failures) and identity_federated (who
// somebody is at the tenant's own provider). The pages are in web/signin.
//
//	invitation ─ mail ─→ link ─→ password ─ queue ─→ hashed ─→ second factor set up ─→ session
//	password | provider | passkey ─→ attempt ─→ second factor ─→ session ─→ second factor again ─→ new session
//
// It promises:
//   - A session's cookie is random, known to the browser alone (SHA-256 here), and new after each sign-in and each second factor. It ends by sign-out, by hand, with
//     the account, when it was not used for the tenant's idle time and after its absolute time: in this process at once, in others after at most two seconds.
//   - A password is stored as argon2id alone (package argon). Between the moment somebody chooses it and its hash it is in identity_activation, sealed under the
//     tenant's key and bound to the row; the hash's transaction deletes it. So none is lost when the process dies, and a copy of the
//     database alone gives none away. The alternative, to keep it in memory and have the browser send it again, would lose those who closed the page.
//   - A surge of activations does not slow charts: an activation is one short write, written together with the others of a beat; hashes are computed one at a time by
//     a process of their own, at most for Deps.Share of a core's time while people work; who waits is told how many are before them and how long it will take.
//   - Too many failures slow down the account and the address, by at most a minute; they never lock. A browser in which somebody signed in before has a count of its
//     own, so nobody can keep a person out from elsewhere. Tries are counted before they are made, so many at once don't help.
//   - Answers, and the work behind them, are the same whether an address has an account or not.
//   - Links and recovery codes work once; a code of an authenticator app counts once; a passkey's challenge is answered once.
//   - Nothing about a person is in an error, a log line or a file's name; [Person] prints itself redacted.
//
// It publishes identity.mail (a person's id and which link), which its own consumer handles: the link is made when the mail is, and is nowhere else.
//
// It fails with Unauthenticated, without saying why; Exhausted, saying when to come again; Unprocessable for a password that is too easy; NotFound for a link that is no
// good any more. Addresses, names and second factors are sealed under the tenant's key (kernel/seal): they end with it.
package people
