-- ward:tenant-table calendar_alarm
-- See 0001_alarm.sql for what it is for.
CREATE TABLE calendar_alarm (
    tenant int4 NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    event  text COLLATE "C" NOT NULL,
    due    int8 NOT NULL,
    since  int8 NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, event)
);
CREATE INDEX calendar_alarm_due ON calendar_alarm (tenant, due);
