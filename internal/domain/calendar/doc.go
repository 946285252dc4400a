// Package calendar is when people meet. It is made of packages with one subject each, which app puts together:
//
//   - events: events with their recurrence, and the windows of one calendar, of many and of whole cohorts;
//   - booking: visits that are found, held, booked, moved and cancelled;
//   - availability: the rules from which free times are computed, pure;
//   - rule: what must hold before a visit is booked, pure;
//   - alarm: when reminders of events are due, of every occurrence;
//   - reminder: messages that go out once each, at their time;
//   - sight: whom whoever asks may see, which events and booking ask of the records;
//   - part: the parts of FHIR resources that the others read.
//
// Tables begin with calendar_; each belongs to the package whose migrations make it. calendar_reminder is made by booking's, and written by reminder.
package calendar
