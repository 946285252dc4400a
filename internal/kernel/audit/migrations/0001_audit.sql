-- Events that were recorded together, one row for each group, in the form that group.go describes. A group is named by the time of its recording
-- in milliseconds since 1970, the lane of the process that recorded it, and a number that grows in the lane.
CREATE TABLE audit_event (
    at     INTEGER NOT NULL,
    lane   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    body   BLOB    NOT NULL,
    PRIMARY KEY (at, lane, number)
) WITHOUT ROWID;

-- Which groups hold events of a patient, or of somebody who acted: key is a hash of the id.
CREATE TABLE audit_index (
    key    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    lane   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (key, at, lane, number)
) WITHOUT ROWID;

-- The chain: each link signs the one before it in its lane and the digests of the groups that it covers, which its body lists.
CREATE TABLE audit_link (
    lane      INTEGER NOT NULL,
    number    INTEGER NOT NULL, -- from 1, without a gap
    at        INTEGER NOT NULL,
    hash      BLOB    NOT NULL,
    body      BLOB    NOT NULL,
    signature BLOB    NOT NULL,
    PRIMARY KEY (lane, number)
) WITHOUT ROWID;
CREATE INDEX audit_link_at ON audit_link (at, lane, number);
