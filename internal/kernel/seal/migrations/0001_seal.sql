-- The keys of each tenant, 0 for the system's, wrapped: tenant_key (a tink keyset) by the key service, data_keys (a tink keyset) by the tenant's key. Both are
-- NULL once they were destroyed, and the row stays, so that nobody gives the tenant other keys.
CREATE TABLE seal_key (
    tenant     int4  NOT NULL PRIMARY KEY,
    service    text  NOT NULL, -- the key service's name
    tenant_key bytea,
    data_keys  bytea,
    version    int8  NOT NULL, -- raised with each change
    created    int8  NOT NULL, -- unix ms
    rotated    int8  NOT NULL, -- unix ms, of the tenant's key
    renewed    int8  NOT NULL, -- unix ms, of the newest data key
    destroyed  int8  NOT NULL  -- unix ms; 0 is not
);
