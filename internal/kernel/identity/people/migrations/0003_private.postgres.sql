-- See 0003_private.sql.
ALTER TABLE identity_person ADD COLUMN private bytea;
