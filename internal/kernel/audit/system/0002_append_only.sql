-- Rows are added and read, nothing else. Whoever lifts this leaves a trail whose chain no longer proves.
CREATE TRIGGER audit_event_keep BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_event_stay BEFORE DELETE ON audit_event BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_index_keep BEFORE UPDATE ON audit_index BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_index_stay BEFORE DELETE ON audit_index BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_link_keep BEFORE UPDATE ON audit_link BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_link_stay BEFORE DELETE ON audit_link BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
