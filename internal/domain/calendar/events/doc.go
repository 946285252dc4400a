// Package events is the part of the calendar that reads: events with their recurrence, and the windows of one subscriber, of many and of
// whole cohorts. Booking is its neighbour.
//
// It owns the tables calendar_event (one row per event, its body sealed under the tenant's key), calendar_month (which events to look at
// for a subscriber's month), calendar_subscription (what changed for a subscriber, and when), calendar_subscriber (versions),
// calendar_counter and calendar_name (what calendar programs call events); and the HTTP API below /t/{tenant}/calendar/events and /sync.
//
// An event belongs to an organisation and has subscribers: any FHIR references. Series are stored as rules and never expanded ahead. An
// override is a change to one occurrence, named by the local time that the rule gives it.
//
// How a window is read. For each subscriber and month there is a shard: what happens then, sorted, with where each day begins, as bytes that are
// ready to be sent. Shards lie in the process's cache, whose coherence makes a change count in every process before its write is acknowledged; sealed
// in the second tier, fetched by one call, and right because every change marks there what it makes wrong before it commits (tier.go); and are made
// from the database when neither has them, by three look-ups however many subscribers are asked for. Who makes a change puts the calendars as they are
// now in the place of what it made wrong (publish.go). What is looked at does not grow with the age of the data: single events are listed by month,
// and series seek.
//
// While the database is away, what is cached is answered and marked as old (outage.go). Others write events inside their own transactions by a Joint.
//
// It promises:
//   - an event that began before the window and ends in it is there; so is an occurrence of a series that began years ago;
//   - pages neither repeat nor skip what stays;
//   - versions are optimistic: If-Match holds at the moment of the commit, and a conflict is 412;
//   - a sync token tells every change since it was given, for as long as the tenant exists.
//
// Whole days and floating times have no instant: windows and busy times take them as UTC, and answers carry them as they are.
//
// It fails with fault values: Invalid with the field and what it may be; Precondition for versions; NotFound and Gone; Denied for
// subscribers whom the caller may not see; TooCostly for windows and cohorts beyond the limits.
package events
