-- See 0002_bounds.sql.
CREATE INDEX calendar_waitlist_patient ON calendar_waitlist (tenant, patient, state);
