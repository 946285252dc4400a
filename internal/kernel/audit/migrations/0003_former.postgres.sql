-- ward:tenant-table audit_former
-- See 0003_former.sql for what it is for.
CREATE TABLE audit_former (
    tenant    int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    key       bytea NOT NULL,
    at        int8  NOT NULL,
    body      bytea NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (tenant, key)
);
REVOKE UPDATE, DELETE, TRUNCATE ON audit_former FROM ward_app;
