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
    PRIMARY KEY (tenant, seq, rid) -- two processes may have drawn the same seq for different resources
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

-- Plans are generic and stay with their connection, so they must be right for the largest tenant, whatever the tables held
-- when they were analysed: to the planner all rows are one tenant's. And it has statistics before it has rows, those of made-up
-- ones, which ANALYZE of an empty table leaves as they are.
ALTER TABLE records_resource ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE records_history ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE records_chart ALTER COLUMN tenant SET (n_distinct = 1);
ALTER TABLE records_index ALTER COLUMN tenant SET (n_distinct = 1);
SELECT set_config('ward.tenant', '0', true);
INSERT INTO records_resource (type, op, rid, version, seq, id)
SELECT n % 20, 1, n, 1, n, decode(md5(n::text), 'hex') FROM generate_series(1, 2000) n;
INSERT INTO records_history (type, op, seq, rid, version)
SELECT n % 20, 1, n, n / 2, 1 + n % 2 FROM generate_series(1, 2000) n;
INSERT INTO records_chart (type, patient, code, at, rid)
SELECT n % 20, n / 100, n % 5, n, n FROM generate_series(1, 2000) n;
INSERT INTO records_index (atom, key, rid)
SELECT n % 20, decode(md5((n % 100)::text), 'hex'), n FROM generate_series(1, 2000) n;
ANALYZE records_resource;
ANALYZE records_history;
ANALYZE records_chart;
ANALYZE records_index;
DELETE FROM records_resource;
DELETE FROM records_history;
DELETE FROM records_chart;
DELETE FROM records_index;
