-- What calendar programs show instead of signing in: calendar passwords, and the secrets in the addresses of feeds. The secret itself is
-- nowhere: only its SHA-256. name is sealed. A revoked one is deleted. Times are milliseconds since 1970; 0 is never.
CREATE TABLE calendar_secret (
    id         TEXT    NOT NULL PRIMARY KEY,
    hash       BLOB    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL, -- password or feed
    account    TEXT    NOT NULL,
    subscriber TEXT    NOT NULL, -- of feeds: whose calendar
    titles     BOOLEAN NOT NULL, -- of feeds: tells titles and places
    name       BLOB    NOT NULL,
    created    INTEGER NOT NULL,
    used       INTEGER NOT NULL  -- to the hour
) WITHOUT ROWID;
CREATE INDEX calendar_secret_account ON calendar_secret (account, kind, id);
