-- ward:tenant-table calendar_event
-- ward:tenant-table calendar_month
-- ward:tenant-table calendar_subscription
-- ward:tenant-table calendar_subscriber
-- ward:tenant-table calendar_counter
-- See 0001_events.sql for what each table is for.
CREATE TABLE calendar_event (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id text COLLATE "C" NOT NULL,
    uid     text COLLATE "C" NOT NULL,
    version int8 NOT NULL,
    changed int8 NOT NULL,
    body    bytea,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX calendar_event_uid ON calendar_event (tenant, uid);

CREATE TABLE calendar_month (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    subscriber text COLLATE "C" NOT NULL,
    month      int8 NOT NULL,
    event      text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, subscriber, month, event)
);

CREATE TABLE calendar_subscription (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    subscriber text COLLATE "C" NOT NULL,
    event      text COLLATE "C" NOT NULL,
    changed    int8 NOT NULL,
    gone       boolean NOT NULL,
    PRIMARY KEY (tenant, subscriber, event)
);
CREATE INDEX calendar_subscription_changed ON calendar_subscription (tenant, subscriber, changed);

CREATE TABLE calendar_subscriber (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    subscriber text COLLATE "C" NOT NULL,
    version    int8 NOT NULL,
    PRIMARY KEY (tenant, subscriber)
);

CREATE TABLE calendar_counter (
    tenant  int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    name text COLLATE "C" NOT NULL,
    value int8 NOT NULL,
    PRIMARY KEY (tenant, name)
);
