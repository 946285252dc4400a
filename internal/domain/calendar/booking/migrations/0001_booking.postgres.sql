-- ward:tenant-table calendar_availability
-- ward:tenant-table calendar_service
-- ward:tenant-table calendar_claim
-- ward:tenant-table calendar_booking
-- ward:tenant-table calendar_once
-- ward:tenant-table calendar_waitlist
-- ward:tenant-table calendar_reminder
-- ward:tenant-table calendar_lapse
-- ward:tenant-table calendar_checked
-- See 0001_booking.sql for what each table is for.
CREATE TABLE calendar_availability (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id      text NOT NULL,
    actor   int8  NOT NULL,
    version int8  NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX calendar_availability_actor ON calendar_availability (tenant, actor);
CREATE TABLE calendar_service (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id      text NOT NULL,
    version int8  NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE TABLE calendar_claim (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    resource int8  NOT NULL,
    cell     int4  NOT NULL,
    seat     int4  NOT NULL,
    booking  text  NOT NULL,
    expires  int8  NOT NULL,
    PRIMARY KEY (tenant, resource, cell, seat)
);
CREATE TABLE calendar_booking (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id      text NOT NULL,
    state   int4  NOT NULL,
    starts  int8  NOT NULL,
    ends    int8  NOT NULL,
    expires int8  NOT NULL,
    body    bytea NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX calendar_booking_starts ON calendar_booking (tenant, state, starts);
CREATE INDEX calendar_booking_expires ON calendar_booking (tenant, expires) WHERE state = 1;
CREATE TABLE calendar_once (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    key     bytea NOT NULL,
    request bytea NOT NULL,
    status  int4  NOT NULL,
    made    int8  NOT NULL,
    answer  bytea NOT NULL,
    PRIMARY KEY (tenant, key)
);
CREATE INDEX calendar_once_made ON calendar_once (tenant, made);
CREATE TABLE calendar_waitlist (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id       text NOT NULL,
    state    int4  NOT NULL,
    service  text  NOT NULL,
    actor    int8  NOT NULL,
    place    int8  NOT NULL,
    earliest int8  NOT NULL,
    latest   int8  NOT NULL,
    patient  text  NOT NULL,
    offer    text  NOT NULL,
    refused  int8  NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX calendar_waitlist_next ON calendar_waitlist (tenant, service, state, place);
CREATE TABLE calendar_reminder (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id       text NOT NULL,
    booking  text  NOT NULL,
    channel  text  NOT NULL,
    due      int8  NOT NULL,
    state    int4  NOT NULL,
    lease    int8  NOT NULL,
    attempts int4  NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX calendar_reminder_due ON calendar_reminder (tenant, state, due);
CREATE INDEX calendar_reminder_booking ON calendar_reminder (tenant, booking);
CREATE TABLE calendar_lapse (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    booking text NOT NULL,
    starts  int8  NOT NULL,
    found   int8  NOT NULL,
    reasons bytea NOT NULL,
    PRIMARY KEY (tenant, booking)
);
CREATE TABLE calendar_checked (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    name text NOT NULL,
    at   int8 NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- Plans are generic and stay with their connection: to the planner all rows are one tenant's, and it has statistics before it has rows.
ALTER TABLE calendar_claim ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE calendar_booking ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE calendar_once ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE calendar_reminder ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE calendar_waitlist ALTER COLUMN tenant SET (n_distinct = 1);
SELECT set_config('ward.tenant', '0', true);
INSERT INTO calendar_claim (resource, cell, seat, booking, expires)
SELECT n % 50, n, 1, md5((n / 6)::text), 0 FROM generate_series(1, 2000) n;
INSERT INTO calendar_booking (id, state, starts, ends, expires, body)
SELECT md5(n::text), 1 + n % 4, n * 300, n * 300 + 900, n % 2 * n, '' FROM generate_series(1, 2000) n;
INSERT INTO calendar_once (key, request, status, made, answer)
SELECT decode(md5(n::text), 'hex'), '', 200, n, '' FROM generate_series(1, 2000) n;
INSERT INTO calendar_reminder (id, booking, channel, due, state, lease, attempts)
SELECT md5(n::text), md5((n / 2)::text), 'email', n, 1 + n % 5, 0, 0 FROM generate_series(1, 2000) n;
INSERT INTO calendar_waitlist (id, state, service, actor, place, earliest, latest, patient, offer, refused)
SELECT md5(n::text), 1 + n % 5, md5((n % 20)::text), 0, n, 0, 0, '', '', 0 FROM generate_series(1, 2000) n;
ANALYZE calendar_claim;
ANALYZE calendar_booking;
ANALYZE calendar_once;
ANALYZE calendar_reminder;
ANALYZE calendar_waitlist;
DELETE FROM calendar_claim;
DELETE FROM calendar_booking;
DELETE FROM calendar_once;
DELETE FROM calendar_reminder;
DELETE FROM calendar_waitlist;
