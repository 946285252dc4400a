-- The directory of tenants, in the system database. Rows are never deleted: an id is never given to another tenant.
CREATE TABLE tenancy_tenant (
    id       int4 NOT NULL PRIMARY KEY,
    slug     text NOT NULL UNIQUE,
    name     text NOT NULL,
    status   text NOT NULL, -- active or suspended
    settings text NOT NULL, -- JSON; absent settings have their defaults
    created  int8 NOT NULL  -- unix ms
);
