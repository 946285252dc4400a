-- Rows are added and read, nothing else. Whoever lifts this leaves a trail whose chain no longer proves.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_event, audit_index, audit_link FROM ward_app;
