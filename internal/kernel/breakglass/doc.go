// Package breakglass opens a patient to a clinician who is not kept in their care, in an emergency: at once, for at most an hour, and on
// record. It owns the table breakglass_opening of each tenant.
//
// A clinician or nurse gives a reason and has shown a second factor within the last five minutes; nobody has to allow it, and nothing
// that slows signing in keeps a session from it. From then on [Glass.Opened] names the patient among those whom the clinician may see, for
// 60 minutes or less, in the session that opened and the apps that were let act in it: elsewhere, nothing has changed. The privacy officer hears of it through the event "breakglass.opened", which is written in the transaction that opens
// and whose consumer sends a mail: at least once, also when the process dies in between. Every opening stays on the list of those to be
// reviewed until an auditor or administrator, who is not the one who opened, signs it off.
//
// It promises: an opening that was answered is durable, and so are its audit event and its announcement; it ends by itself; who ends it early has ended it
// at once in this process and within two seconds in all others. Reasons are kept sealed under the tenant's key, and go nowhere else.
package breakglass
