// Package booking is the part of the calendar in which visits are booked.
//
// [Service] computes when somebody can be seen, and holds, books, moves and cancels visits. It owns the tables that migrations/ makes, the
// operations Appointment/$find, $hold, $book, $cancel and $reschedule (IHE ITI Scheduling, Argonaut Scheduling), the routes under calendar/availability,
// calendar/services, calendar/waitlist and calendar/lapses, and what is published as SMART Scheduling Links.
//
// It promises:
//   - no double booking, whatever the processes do: every party's time is claimed in cells of 5 minutes by a unique key, all parties or none;
//   - FHIR Schedule, Slot and Appointment in the records are true at all times: they are written in the transaction of the claims, and nobody else can
//     change them. A hold is not in the records, because nothing that is stored could stop being true by itself;
//   - a booked visit is an event in the calendars of all its parties, from the same transaction, and none when it is cancelled;
//   - a refusal for a time that is taken is 409, one for a rule is 422 with the rule's reason, one for what was sent is 400 and names the part;
//   - two transactions never wait for each other in a circle: bookings are locked first, in the order of their ids, then rows of claims are made in the order
//     of their key, then changed, then removed, then everything else;
//   - a call with an Idempotency-Key has one answer for a day;
//   - a reminder goes out once, at the local time that was planned, whatever the clocks do and however often the process stops.
//
// It fails with fault values. When another process was faster an act is tried again; when the database is away nothing was booked, or, with Unavailable during
// the commit, it is not known: a retry with the same Idempotency-Key tells.
package booking
