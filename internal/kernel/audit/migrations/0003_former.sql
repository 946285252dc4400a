-- Wards that kept this log before the tenant was imported from an archive: their public keys, and how far each lane was then. body is in the form that
-- former.go describes, signed by the Ward that imported.
CREATE TABLE audit_former (
    key       BLOB    NOT NULL PRIMARY KEY,
    at        INTEGER NOT NULL,
    body      BLOB    NOT NULL,
    signature BLOB    NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER audit_former_keep BEFORE UPDATE ON audit_former BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_former_stay BEFORE DELETE ON audit_former BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
