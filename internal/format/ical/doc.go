// Package ical is the language of calendars: recurrence (RFC 5545 §3.3.10, §3.8.5), civil time in IANA zones, and the
// iCalendar text format. Pure functions and immutable values: no I/O but for the zone data, which is part of the program.
//
// A [Series] is a DTSTART with its rule, its RDATEs and EXDATEs. [Series.Between] seeks: it computes where the window lies in
// the rule's periods and costs what is inside, whatever the age of the series; COUNT becomes a last occurrence when the
// series is made. The sets of a period are bits, so that counting and BYSETPOS need no list.
//
// Where RFC 5545 leaves a choice, or calendars differ from it:
//   - DTSTART is always the first occurrence and counts for COUNT, also when it does not match the rule;
//   - a local time that a clock change skips moves forward by the gap, an ambiguous one is the first of both; two that
//     fall on the same instant are one;
//   - rules run on the wall clock, also HOURLY, MINUTELY and SECONDLY ones;
//   - BYWEEKNO counts the weeks of the week-numbering year (§3.3.10: ISO 8601 with WKST), whose days may lie in the calendar
//     year before or after; without BYDAY it takes DTSTART's weekday;
//   - BYMONTHDAY in a WEEKLY rule, BYYEARDAY below YEARLY and BYWEEKNO below YEARLY, which the standard does not define, limit;
//   - second 60 is 59; the calendar ends with the year 9999;
//   - an UNTIL that is a date includes that day; one without Z is a wall-clock time of the series' zone.
//
// It fails with fault.Invalid, which names the part and the values it may have.
package ical
