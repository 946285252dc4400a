-- ward:tenant-table records_resource
-- ward:tenant-table records_history
-- ward:tenant-table records_chart
-- ward:tenant-table records_index
-- ward:tenant-table records_parameter
-- See 0001_records.sql for what each table is for.
CREATE TABLE records_resource (
    tenant  int4   NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    type    int2   NOT NULL,
    op      int2   NOT NULL,
    rid     int8   NOT NULL,
    version int8   NOT NULL,
    seq     int8   NOT NULL,
    id      bytea  NOT NULL,
    body    bytea,
    PRIMARY KEY (tenant, rid)
);
ALTER TABLE records_resource ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX records_resource_id ON records_resource (tenant, type, id);
CREATE INDEX records_resource_seq ON records_resource (tenant, type, seq);
CREATE INDEX records_resource_deleted ON records_resource (tenant, type) WHERE op = 4;

CREATE TABLE records_history (
    tenant  int4   NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    type    int2   NOT NULL,
    op      int2   NOT NULL,
    seq     int8   NOT NULL,
    rid     int8   NOT NULL,
    version int8   NOT NULL,
    body    bytea,
    PRIMARY KEY (tenant, seq)
);
ALTER TABLE records_history ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX records_history_rid ON records_history (tenant, rid, version);
CREATE INDEX records_history_seq ON records_history (tenant, type, seq);

CREATE TABLE records_chart (
    tenant  int4   NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    type    int2   NOT NULL,
    patient int8   NOT NULL,
    code    int8   NOT NULL,
    at      int8   NOT NULL,
    rid     int8   NOT NULL,
    PRIMARY KEY (tenant, patient, type, code, at, rid)
);

CREATE TABLE records_index (
    tenant  int4   NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    atom    int4   NOT NULL,
    rid     int8   NOT NULL,
    key     bytea  NOT NULL,
    PRIMARY KEY (tenant, atom, key, rid)
);

CREATE TABLE records_parameter (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    url      text  NOT NULL,
    id       text  NOT NULL,
    body     bytea NOT NULL,
    state    text  NOT NULL,
    position int8  NOT NULL,
    done     int8  NOT NULL,
    total    int8  NOT NULL,
    PRIMARY KEY (tenant, url)
);

-- By statistics the planner tells records_resource_id from records_resource_seq, and a generic plan stays with its
-- connection. Without any, it may look for an id among all resources of the type. So the tables get statistics before
-- they get rows: those of made-up ones, which ANALYZE of an empty table leaves as they are.
SELECT set_config('ward.tenant', '0', true);
INSERT INTO records_resource (type, op, rid, version, seq, id)
SELECT n % 20, 1, n, 1, n, decode(md5(n::text), 'hex') FROM generate_series(1, 2000) n;
INSERT INTO records_history (type, op, seq, rid, version)
SELECT n % 20, 1, n, n / 2, 1 + n % 2 FROM generate_series(1, 2000) n;
ANALYZE records_resource;
ANALYZE records_history;
DELETE FROM records_resource;
DELETE FROM records_history;
