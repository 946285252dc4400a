-- ward:tenant-table identity_person
-- ward:tenant-table identity_session
-- See 0001_people.sql for what each table is for.
CREATE TABLE identity_person (
    tenant      int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    id          text  NOT NULL,
    email       text  NOT NULL,
    name        text  NOT NULL,
    role        text  NOT NULL,
    person      text  NOT NULL,
    patients    text  NOT NULL,
    sensitive   text  NOT NULL,
    state       text  NOT NULL,
    password    text  NOT NULL,
    second      bytea,
    second_step int8  NOT NULL,
    created     int8  NOT NULL,
    activated   int8  NOT NULL,
    signed_in   int8  NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX identity_person_email ON identity_person (tenant, email);

CREATE TABLE identity_session (
    tenant    int4  NOT NULL DEFAULT current_setting('ward.tenant')::int4,
    hash      bytea NOT NULL,
    id        text  NOT NULL,
    person    text  NOT NULL,
    created   int8  NOT NULL,
    seen      int8  NOT NULL,
    second_at int8  NOT NULL,
    methods   text  NOT NULL,
    agent     text  NOT NULL,
    PRIMARY KEY (tenant, hash)
);
CREATE UNIQUE INDEX identity_session_id ON identity_session (tenant, id);
CREATE INDEX identity_session_person ON identity_session (tenant, person, created);
