-- ward:tenant-table identity_link
-- ward:tenant-table identity_activation
-- ward:tenant-table identity_attempt
-- ward:tenant-table identity_passkey
-- ward:tenant-table identity_recovery
-- ward:tenant-table identity_throttle
-- ward:tenant-table identity_federated
-- See 0002_signin.sql for what each table is for.
CREATE TABLE identity_link (
    tenant  int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    hash    bytea NOT NULL,
    kind    text  NOT NULL,
    person  text  NOT NULL,
    expires int8  NOT NULL,
    PRIMARY KEY (tenant, hash)
);
CREATE UNIQUE INDEX identity_link_person ON identity_link (tenant, person, kind);

CREATE TABLE identity_activation (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id       text  NOT NULL,
    ticket   bytea NOT NULL,
    person   text  NOT NULL,
    state    text  NOT NULL,
    sealed   bytea,
    lease    int8  NOT NULL,
    finished int8  NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX identity_activation_ticket ON identity_activation (tenant, ticket);
CREATE INDEX identity_activation_state ON identity_activation (tenant, state, id);

CREATE TABLE identity_attempt (
    tenant  int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    hash    bytea NOT NULL,
    person  text  NOT NULL,
    methods text  NOT NULL,
    back    text  NOT NULL,
    data    bytea NOT NULL,
    tries   int8  NOT NULL,
    expires int8  NOT NULL,
    PRIMARY KEY (tenant, hash)
);
CREATE INDEX identity_attempt_expires ON identity_attempt (tenant, expires);

CREATE TABLE identity_passkey (
    tenant     int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id         bytea NOT NULL,
    person     text  NOT NULL,
    name       text  NOT NULL,
    credential bytea NOT NULL,
    created    int8  NOT NULL,
    used       int8  NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX identity_passkey_person ON identity_passkey (tenant, person, created);

CREATE TABLE identity_recovery (
    tenant int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    person text  NOT NULL,
    hash   bytea NOT NULL,
    PRIMARY KEY (tenant, person, hash)
);

CREATE TABLE identity_throttle (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    subject  bytea NOT NULL,
    failures int8  NOT NULL,
    last     int8  NOT NULL,
    PRIMARY KEY (tenant, subject)
);
CREATE INDEX identity_throttle_last ON identity_throttle (tenant, last);

CREATE TABLE identity_federated (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    issuer  text NOT NULL,
    subject text NOT NULL,
    person  text NOT NULL,
    PRIMARY KEY (tenant, issuer, subject)
);
CREATE INDEX identity_federated_person ON identity_federated (tenant, person);
