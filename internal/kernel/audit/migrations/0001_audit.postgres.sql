-- ward:tenant-table audit_event
-- ward:tenant-table audit_index
-- ward:tenant-table audit_link
-- See 0001_audit.sql for what each table is for.
CREATE TABLE audit_event (
    tenant int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    at     int8  NOT NULL,
    lane   int8  NOT NULL,
    number int8  NOT NULL,
    body   bytea NOT NULL,
    PRIMARY KEY (tenant, at, lane, number)
);
ALTER TABLE audit_event ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE audit_event ALTER COLUMN tenant SET (n_distinct = 1);

CREATE TABLE audit_index (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    key    int8 NOT NULL,
    at     int8 NOT NULL,
    lane   int8 NOT NULL,
    number int8 NOT NULL,
    PRIMARY KEY (tenant, key, at, lane, number)
);
ALTER TABLE audit_index ALTER COLUMN tenant SET (n_distinct = 1);

CREATE TABLE audit_link (
    tenant    int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    lane      int8  NOT NULL,
    number    int8  NOT NULL,
    at        int8  NOT NULL,
    hash      bytea NOT NULL,
    body      bytea NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (tenant, lane, number)
);
CREATE INDEX audit_link_at ON audit_link (tenant, at, lane, number);
ALTER TABLE audit_link ALTER COLUMN tenant SET (n_distinct = 1);
