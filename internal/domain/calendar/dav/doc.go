// Package dav is CalDAV (RFC 4791) for the calendars' events: what phones and desktop programs synchronise with.
//
//	/t/{tenant}/caldav/                              where discovery begins (also /t/{tenant}/.well-known/caldav, RFC 6764)
//	/t/{tenant}/caldav/principals/{account}/         who is asking
//	/t/{tenant}/caldav/calendars/{account}/          their calendars: their own, and those of the patients whom they speak for
//	/t/{tenant}/caldav/calendars/{account}/Practitioner-2/          one subscriber's calendar
//	/t/{tenant}/caldav/calendars/{account}/Practitioner-2/{name}    one event, as iCalendar
//
// A calendar that is not listed can be opened by its path by whoever may see it. Nothing is kept here: events, names, versions, rights
// and the audit log are those of package events, so that what holds for /t/{tenant}/calendar/events holds here.
//
// It promises:
//   - a name keeps its event, and what is stored under a name is found there, whatever its UID;
//   - an ETag stands for one version of one event; If-Match and If-None-Match hold at the moment of the commit, and a conflict is 412;
//   - sync tokens (RFC 6578) and getctag change with each change of an event in the calendar, and tokens never expire;
//   - expand and limit-recurrence-set (RFC 4791 §9.6.5, §9.6.6) cost what is in the time that is asked for, not what the series' age is;
//   - a file that can't be an event is refused with the precondition that it breaks, and what is wrong where.
//
// A file is given back as it was sent, with all that events have no field for (attendees, X- properties, what an alarm does), until the event is
// changed elsewhere: from then on it is written anew from what events have. Patients and proxies never get what others' programs sent. Of a
// file beyond 64 KB only what events have is kept, and the answer to its PUT has no ETag, so that programs read it again (RFC 4791 §5.3.4).
//
// Programs show a calendar password by HTTP Basic (package secret), a session or a token. Calendars can't be made or renamed here.
//
// It fails with fault values, and with a DAV:error document where RFC 4791 or RFC 6578 names a precondition.
package dav
