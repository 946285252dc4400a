-- ward:tenant-table breakglass_opening
-- See 0001_breakglass.sql for what it is for.
CREATE TABLE breakglass_opening (
    tenant   int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id       text  NOT NULL,
    by_id    text  NOT NULL,
    role     text  NOT NULL,
    person   text  NOT NULL,
    patient  text  NOT NULL,
    reason   bytea NOT NULL,
    opened   int8  NOT NULL,
    until    int8  NOT NULL,
    ended    int8  NOT NULL,
    reviewed int8  NOT NULL,
    reviewer text  NOT NULL,
    verdict  bytea NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX breakglass_opening_by ON breakglass_opening (tenant, by_id, until);
CREATE INDEX breakglass_opening_list ON breakglass_opening (tenant, reviewed, opened, id);
