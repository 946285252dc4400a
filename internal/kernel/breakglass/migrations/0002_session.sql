-- The sign-in session in which the patient was opened; empty for a token of none.
ALTER TABLE breakglass_opening ADD COLUMN session text NOT NULL DEFAULT '';
