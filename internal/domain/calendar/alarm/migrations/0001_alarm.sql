-- Events with reminders: when the next is due (0: to be worked out), and until when they were worked out.
CREATE TABLE calendar_alarm (
    event text NOT NULL PRIMARY KEY,
    due   integer NOT NULL,
    since integer NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX calendar_alarm_due ON calendar_alarm (due);
