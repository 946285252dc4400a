-- The current version of each resource, one row. rid is the sequence of its first version and never changes.
CREATE TABLE records_resource (
    rid     INTEGER PRIMARY KEY,
    type    INTEGER NOT NULL,
    id      BLOB    NOT NULL,
    version INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    op      INTEGER NOT NULL,
    body    BLOB
);
CREATE UNIQUE INDEX records_resource_id ON records_resource (type, id);
CREATE INDEX records_resource_seq ON records_resource (type, seq);
CREATE INDEX records_resource_deleted ON records_resource (type) WHERE op = 4;

-- Superseded versions, append-only. The first version's seq is the resource's rid.
CREATE TABLE records_history (
    seq     INTEGER PRIMARY KEY,
    rid     INTEGER NOT NULL,
    type    INTEGER NOT NULL,
    version INTEGER NOT NULL,
    op      INTEGER NOT NULL,
    body    BLOB
);
CREATE INDEX records_history_rid ON records_history (rid, version);
CREATE INDEX records_history_seq ON records_history (type, seq);

-- One patient's resources of one type, newest first: at is the negated time of the type's main date, in
-- microseconds; code is 0 for the row that lists all, else the hash of a coding of the type's main code.
CREATE TABLE records_chart (
    patient INTEGER NOT NULL,
    type    INTEGER NOT NULL,
    code    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    rid     INTEGER NOT NULL,
    PRIMARY KEY (patient, type, code, at, rid)
) WITHOUT ROWID;

-- Postings: which resources have this value at this branch of a search expression.
CREATE TABLE records_index (
    atom    INTEGER NOT NULL,
    key     BLOB    NOT NULL,
    rid     INTEGER NOT NULL,
    PRIMARY KEY (atom, key, rid)
) WITHOUT ROWID;

-- Search parameters that the tenant added, and how far their index is.
CREATE TABLE records_parameter (
    url      TEXT    PRIMARY KEY,
    id       TEXT    NOT NULL,
    body     BLOB    NOT NULL,
    state    TEXT    NOT NULL,
    position INTEGER NOT NULL,
    done     INTEGER NOT NULL,
    total    INTEGER NOT NULL
);
