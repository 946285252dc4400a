-- Who waits for what, by patient: whoever is kept to some patients sees theirs, and nobody waits without end.
CREATE INDEX calendar_waitlist_patient ON calendar_waitlist (patient, state);
