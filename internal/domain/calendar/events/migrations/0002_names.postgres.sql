-- ward:tenant-table calendar_name
-- See 0002_names.sql for what it is for.
CREATE TABLE calendar_name (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    subscriber text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    event      text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, subscriber, name)
);
CREATE UNIQUE INDEX calendar_name_event ON calendar_name (tenant, subscriber, event);
