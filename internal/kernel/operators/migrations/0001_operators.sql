-- What a tenant allowed an operator: reading its records until a time. Times are in milliseconds since 1970; revoked is 0 until that. operator is empty where any
-- operator may use it.
CREATE TABLE operators_grant (
    id       TEXT    PRIMARY KEY,
    operator TEXT    NOT NULL,
    by_id    TEXT    NOT NULL,
    reason   BLOB    NOT NULL,
    given    INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    revoked  INTEGER NOT NULL
);

-- The tokens that operators were given for grants: only their SHA-256.
CREATE TABLE operators_token (
    hash     BLOB PRIMARY KEY,
    grant_id TEXT NOT NULL,
    operator TEXT NOT NULL
);
