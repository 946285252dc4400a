-- Links that were sent by mail, by the SHA-256 of what they hold: one of each kind for a person.
CREATE TABLE identity_link (
    hash    BLOB    NOT NULL PRIMARY KEY,
    kind    TEXT    NOT NULL,
    person  TEXT    NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX identity_link_person ON identity_link (person, kind);

-- Passwords that wait to be hashed, oldest first, and what became of them. sealed is the password under the key of this installation, NULL
-- once it is hashed. ticket is the SHA-256 of what asks for the state. lease is until when a process works on it.
CREATE TABLE identity_activation (
    id       TEXT    NOT NULL PRIMARY KEY,
    ticket   BLOB    NOT NULL,
    person   TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    sealed   BLOB,
    lease    INTEGER NOT NULL,
    finished INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX identity_activation_ticket ON identity_activation (ticket);
CREATE INDEX identity_activation_state ON identity_activation (state, id);

-- Sign-ins under way, by the SHA-256 of the browser's cookie: who it is so far, how that was shown, and what only the server may know.
CREATE TABLE identity_attempt (
    hash    BLOB    NOT NULL PRIMARY KEY,
    person  TEXT    NOT NULL,
    methods TEXT    NOT NULL,
    back    TEXT    NOT NULL,
    data    BLOB    NOT NULL,
    tries   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX identity_attempt_expires ON identity_attempt (expires);

CREATE TABLE identity_passkey (
    id         BLOB    NOT NULL PRIMARY KEY,
    person     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    credential BLOB    NOT NULL,
    created    INTEGER NOT NULL,
    used       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX identity_passkey_person ON identity_passkey (person, created);

-- Recovery codes by their SHA-256: each has 120 random bits.
CREATE TABLE identity_recovery (
    person TEXT NOT NULL,
    hash   BLOB NOT NULL,
    PRIMARY KEY (person, hash)
) WITHOUT ROWID;

-- Failures by account and by address, each under a keyed hash.
CREATE TABLE identity_throttle (
    subject  BLOB    NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX identity_throttle_last ON identity_throttle (last);

-- Who somebody is at the tenant's own provider.
CREATE TABLE identity_federated (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    person  TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX identity_federated_person ON identity_federated (person);
