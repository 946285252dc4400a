-- ward:tenant-table transfer_change
-- ward:tenant-table transfer_fence
-- See 0001_transfer.sql for what each table is for.
CREATE TABLE transfer_change (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    n      int8 GENERATED ALWAYS AS IDENTITY,
    tab    text NOT NULL,
    key    text NOT NULL,
    PRIMARY KEY (tenant, n)
);
CREATE TABLE transfer_fence (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    closed int8 NOT NULL,
    PRIMARY KEY (tenant, closed)
);
