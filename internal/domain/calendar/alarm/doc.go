// Package alarm makes the reminders of events go out: of single ones and of every occurrence of a series, which is a rule and has no end.
//
// It owns the table calendar_alarm: for each event with reminders, when the next one is due, and until when they were worked out. A change to such an event
// makes its row due at once, in the change's transaction ([Rows]); whichever process takes it works out the next ([Service.Turn]). What is due becomes a row of
// calendar_reminder for each person, under an id that follows from event, start, lead and person, so that neither a restart nor another process makes a
// second one. Package reminder sends them.
//
// It promises:
//   - each reminder goes out once, at its minutes before the occurrence; whole days count on the wall clock of the event's zone, whatever the clocks do;
//   - one that was due while no process ran goes out afterwards, unless the occurrence is over by then;
//   - what was moved, cancelled or given up by its subscriber is not reminded of at its old time.
//
// A message says when, not what for. It goes by e-mail when it is a day or more ahead, by SMS from two hours, else by push; who has no such address gets it by push.
//
// It fails with what the database says; a turn is then done again.
package alarm
