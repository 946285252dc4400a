-- ward:tenant-table identity_oauth_client
-- ward:tenant-table identity_oauth_grant
-- ward:tenant-table identity_oauth_token
-- ward:tenant-table identity_oauth_consent
-- ward:tenant-table identity_oauth_launch
-- ward:tenant-table identity_oauth_jti
-- ward:tenant-table identity_oauth_key
-- See 0001_oauth.sql for what each table is for.
CREATE TABLE identity_oauth_client (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id           text  NOT NULL,
    registration text  NOT NULL,
    secret       bytea NOT NULL,
    dynamic      int8  NOT NULL,
    created      int8  NOT NULL,
    used         int8  NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE identity_oauth_grant (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id      text NOT NULL,
    client  text NOT NULL,
    account text NOT NULL,
    detail  text NOT NULL,
    created int8 NOT NULL,
    ends    int8 NOT NULL,
    revoked int8 NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX identity_oauth_grant_account ON identity_oauth_grant (tenant, account, client);
CREATE INDEX identity_oauth_grant_ends ON identity_oauth_grant (tenant, ends);

CREATE TABLE identity_oauth_token (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    hash     bytea NOT NULL,
    kind     text  NOT NULL,
    grant_id text  NOT NULL,
    scope    text  NOT NULL,
    created  int8  NOT NULL,
    expires  int8  NOT NULL,
    used     int8  NOT NULL,
    PRIMARY KEY (tenant, hash)
);
CREATE INDEX identity_oauth_token_grant ON identity_oauth_token (tenant, grant_id);
CREATE INDEX identity_oauth_token_expires ON identity_oauth_token (tenant, expires);

CREATE TABLE identity_oauth_consent (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    account text NOT NULL,
    client  text NOT NULL,
    scope   text NOT NULL,
    given   int8 NOT NULL,
    PRIMARY KEY (tenant, account, client)
);

CREATE TABLE identity_oauth_launch (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    hash    bytea NOT NULL,
    account text  NOT NULL,
    detail  text  NOT NULL,
    expires int8  NOT NULL,
    used    int8  NOT NULL,
    PRIMARY KEY (tenant, hash)
);

CREATE TABLE identity_oauth_jti (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    client  text  NOT NULL,
    hash    bytea NOT NULL,
    expires int8  NOT NULL,
    PRIMARY KEY (tenant, client, hash)
);

CREATE TABLE identity_oauth_key (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id      text  NOT NULL,
    public  text  NOT NULL,
    private bytea NOT NULL,
    created int8  NOT NULL,
    signs   int8  NOT NULL,
    ends    int8  NOT NULL,
    PRIMARY KEY (tenant, id)
);
ALTER TABLE identity_oauth_client ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE identity_oauth_grant ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE identity_oauth_token ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE identity_oauth_consent ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE identity_oauth_launch ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE identity_oauth_jti ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE identity_oauth_key ALTER COLUMN tenant SET (n_distinct = 1);
