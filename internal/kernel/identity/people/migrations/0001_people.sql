-- Who has an account. email is in lower case; patients, sensitive are lists with spaces between. password is the hash in PHC form, or
-- empty. second is the sealed secret of the authenticator app, NULL without one, and second_step the last time step that
-- a code was taken of. Times are milliseconds since 1970; 0 is never.
CREATE TABLE identity_person (
    id          TEXT    NOT NULL PRIMARY KEY,
    email       TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    person      TEXT    NOT NULL,
    patients    TEXT    NOT NULL,
    sensitive   TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    password    TEXT    NOT NULL,
    second      BLOB,
    second_step INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    activated   INTEGER NOT NULL,
    signed_in   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX identity_person_email ON identity_person (email);

-- Signed-in browsers. The cookie's secret is nowhere: only its SHA-256. id is what people see in their list.
CREATE TABLE identity_session (
    hash      BLOB    NOT NULL PRIMARY KEY,
    id        TEXT    NOT NULL,
    person    TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    seen      INTEGER NOT NULL,
    second_at INTEGER NOT NULL,
    methods   TEXT    NOT NULL,
    agent     TEXT    NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX identity_session_id ON identity_session (id);
CREATE INDEX identity_session_person ON identity_session (person, created);
