// Package secret is what calendar programs show that can't sign in: calendar passwords, and the addresses of feeds.
//
//	password   32 letters and digits, by HTTP Basic, for CalDAV alone (package dav): reads and writes what its person may
//	feed       32 letters and digits in an address, .../calendar/feed/{secret}.ics: reads one calendar, and only when it is busy unless asked
//
// It owns the table calendar_secret. Each secret is 160 random bits, shown once, and kept as its SHA-256; which is enough, since nobody can
// try so many. Its name is sealed under the tenant's key.
//
// It promises:
//   - a secret is made by its person alone, in a browser in which the second factor was shown lately, and opens nothing but calendars;
//   - it is as good as its account: who is disabled, or has another role now, reads and writes no more than that, after two seconds at most;
//   - a secret that is revoked is refused at once in this process, in others after at most two seconds, and looks like one that never was;
//   - a feed's secret is in no log, metric, trace or audit event: the route's pattern and the secret's id are.
//
// Who has a secret has what it opens: there is no second factor behind it. Making, using and revoking are in the audit log.
//
// It fails with Unauthenticated for a password and NotFound for a feed that is not good, whyever; Denied for who may not make one; Exhausted
// for a feed that is asked for too often.
package secret
