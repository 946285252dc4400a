-- The files' names under which calendar programs have stored events in a calendar (CalDAV). Other events have their id's.
-- A deleted event keeps its name until another takes it, so that programs hear of what they know it by.
--
-- From here on calendar_event.uid is what a UID is kept under: the UID itself, or "subscriber UID" where another calendar had an event with
-- it already (two people who were sent the same invitation).
CREATE TABLE calendar_name (
    subscriber TEXT NOT NULL,
    name       TEXT NOT NULL,
    event      TEXT NOT NULL,
    PRIMARY KEY (subscriber, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX calendar_name_event ON calendar_name (subscriber, event);
