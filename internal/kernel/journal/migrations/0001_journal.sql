-- What was done already, by its content, in the system database.
CREATE TABLE journal_done (
    tenant_id int4  NOT NULL,
    work      text  NOT NULL, -- such as "import"
    hash      bytea NOT NULL, -- of the content, 16 bytes
    PRIMARY KEY (tenant_id, work, hash)
);
