-- ward:tenant-table calendar_secret
-- See 0001_secret.sql for what it is for.
CREATE TABLE calendar_secret (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id         text COLLATE "C" NOT NULL,
    hash       bytea   NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    account    text COLLATE "C" NOT NULL,
    subscriber text COLLATE "C" NOT NULL,
    titles     boolean NOT NULL,
    name       bytea   NOT NULL,
    created    int8    NOT NULL,
    used       int8    NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX calendar_secret_hash ON calendar_secret (tenant, hash);
CREATE INDEX calendar_secret_account ON calendar_secret (tenant, account, kind, id);
