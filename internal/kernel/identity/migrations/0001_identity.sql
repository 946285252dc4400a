-- Tokens, in the system database. The token itself is nowhere: only its SHA-256.
CREATE TABLE identity_token (
    id        text  NOT NULL PRIMARY KEY,
    hash      bytea NOT NULL UNIQUE,
    tenant_id int4  NOT NULL, -- 0 for operators
    role      text  NOT NULL,
    name      text  NOT NULL,
    created   int8  NOT NULL, -- unix ms
    expires   int8  NOT NULL, -- unix ms; 0 is never
    revoked   int8  NOT NULL  -- unix ms; 0 is not
);
CREATE INDEX identity_token_tenant ON identity_token (tenant_id, created);
