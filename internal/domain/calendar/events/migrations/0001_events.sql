-- Events as they are now; body is NULL when the event was deleted.
CREATE TABLE calendar_event (
    id      TEXT    NOT NULL PRIMARY KEY,
    uid     TEXT    NOT NULL,
    version INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    body    BLOB
) WITHOUT ROWID;
CREATE UNIQUE INDEX calendar_event_uid ON calendar_event (uid);

-- Which events may happen in a subscriber's month (months since the year 0); -1 are series that go on for long.
CREATE TABLE calendar_month (
    subscriber TEXT    NOT NULL,
    month      INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    PRIMARY KEY (subscriber, month, event)
) WITHOUT ROWID;

-- What changed for a subscriber, and when. gone: it is not subscribed any more, or the event was deleted.
CREATE TABLE calendar_subscription (
    subscriber TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    changed    INTEGER NOT NULL,
    gone       BOOLEAN NOT NULL,
    PRIMARY KEY (subscriber, event)
) WITHOUT ROWID;
CREATE INDEX calendar_subscription_changed ON calendar_subscription (subscriber, changed);

-- The last change of each subscriber's calendar.
CREATE TABLE calendar_subscriber (
    subscriber TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL
) WITHOUT ROWID;

-- The number of the tenant's last change.
CREATE TABLE calendar_counter (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
