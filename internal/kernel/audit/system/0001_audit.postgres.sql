-- See 0001_audit.sql for what each table is for. Here they are those of what belongs to no tenant.
CREATE TABLE audit_event (
    at     int8  NOT NULL,
    lane   int8  NOT NULL,
    number int8  NOT NULL,
    body   bytea NOT NULL,
    PRIMARY KEY (at, lane, number)
);
ALTER TABLE audit_event ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE audit_index (
    key    int8 NOT NULL,
    at     int8 NOT NULL,
    lane   int8 NOT NULL,
    number int8 NOT NULL,
    PRIMARY KEY (key, at, lane, number)
);

CREATE TABLE audit_link (
    lane      int8  NOT NULL,
    number    int8  NOT NULL,
    at        int8  NOT NULL,
    hash      bytea NOT NULL,
    body      bytea NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (lane, number)
);
CREATE INDEX audit_link_at ON audit_link (at, lane, number);
