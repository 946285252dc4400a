// Package reminder brings reminders to people, once each.
//
// A reminder is a row of calendar_reminder with a state. [Rows] are planned and withdrawn in the transaction of what they remind of, so that a visit
// that moved is never announced at its old time; [Queue] sends what is due, from whichever process finds it first. A row that is being sent has a lease:
// when its process dies the row comes again, with the same id, by which a [Sender] keeps a message from going out twice.
//
// Times are computed on the wall clock of where the visit is ([Plan.Due]) and stored as instants: whatever the clocks do in between, "the day before at 17:00" is
// that.
//
// It fails with what the database says. A message that a sender refuses is tried five times, later each time, and then given up; that is logged, without whom it was for.
package reminder
