-- Events that are committed and not yet published, one narrow row each. id is a UUIDv7, so that rows are added at the end. consumer is
-- empty, or the one consumer for whom a dead event is published again.
CREATE TABLE outbox_event (
    id       BLOB NOT NULL,
    consumer TEXT NOT NULL,
    subject  TEXT NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (id, consumer)
) WITHOUT ROWID;

-- Events whose handling failed for good, until somebody replays or discards them. at is in milliseconds since 1970.
CREATE TABLE outbox_dead (
    consumer TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    subject  TEXT    NOT NULL,
    data     BLOB    NOT NULL,
    cause    TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (consumer, id)
) WITHOUT ROWID;

-- What a consumer handled, for consumers that ask First. Rows go after two weeks.
CREATE TABLE outbox_seen (
    consumer TEXT NOT NULL,
    id       BLOB NOT NULL,
    PRIMARY KEY (consumer, id)
) WITHOUT ROWID;
