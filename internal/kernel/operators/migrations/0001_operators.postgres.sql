-- ward:tenant-table operators_grant
-- ward:tenant-table operators_token
-- See 0001_operators.sql for what each table is for.
CREATE TABLE operators_grant (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id       text  NOT NULL,
    operator text  NOT NULL,
    by_id    text  NOT NULL,
    reason   bytea NOT NULL,
    given    int8  NOT NULL,
    until    int8  NOT NULL,
    revoked  int8  NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE operators_token (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    hash     bytea NOT NULL,
    grant_id text  NOT NULL,
    operator text  NOT NULL,
    PRIMARY KEY (tenant, hash)
);
