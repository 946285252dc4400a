-- Patients who were opened in an emergency. Times are in milliseconds since 1970; ended and reviewed are 0 until that. reason and verdict are sealed.
CREATE TABLE breakglass_opening (
    id       TEXT    PRIMARY KEY,
    by_id    TEXT    NOT NULL,
    role     TEXT    NOT NULL,
    person   TEXT    NOT NULL,
    patient  TEXT    NOT NULL,
    reason   BLOB    NOT NULL,
    opened   INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    reviewed INTEGER NOT NULL,
    reviewer TEXT    NOT NULL,
    verdict  BLOB    NOT NULL
);
CREATE INDEX breakglass_opening_by ON breakglass_opening (by_id, until);
CREATE INDEX breakglass_opening_list ON breakglass_opening (reviewed, opened, id);
