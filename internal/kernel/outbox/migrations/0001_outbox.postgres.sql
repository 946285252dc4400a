-- ward:tenant-table outbox_event
-- ward:tenant-table outbox_dead
-- ward:tenant-table outbox_seen
-- See 0001_outbox.sql for what each table is for.
CREATE TABLE outbox_event (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id       bytea NOT NULL,
    consumer text  NOT NULL,
    subject  text  NOT NULL,
    data     bytea NOT NULL,
    PRIMARY KEY (tenant, id, consumer)
);
-- Rows live for milliseconds: clean up often, or every look at the table walks over the dead ones.
ALTER TABLE outbox_event SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE outbox_dead (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    consumer text  NOT NULL,
    id       bytea NOT NULL,
    subject  text  NOT NULL,
    data     bytea NOT NULL,
    cause    text  NOT NULL,
    attempts int4  NOT NULL,
    at       int8  NOT NULL,
    PRIMARY KEY (tenant, consumer, id)
);

CREATE TABLE outbox_seen (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    consumer text  NOT NULL,
    id       bytea NOT NULL,
    PRIMARY KEY (tenant, consumer, id)
);
