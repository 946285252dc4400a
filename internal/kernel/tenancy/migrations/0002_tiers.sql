-- How far a tenant's data is apart from others'. status is also deleting (unreachable, until due) and destroyed (its data is gone).
ALTER TABLE tenancy_tenant ADD COLUMN tier text NOT NULL DEFAULT 'pooled'; -- pooled, database or cell
ALTER TABLE tenancy_tenant ADD COLUMN home text NOT NULL DEFAULT '';       -- sealed URL of its database; '' is the system's own
ALTER TABLE tenancy_tenant ADD COLUMN cell text NOT NULL DEFAULT '';       -- that serves it; '' is the one whose directory this is
ALTER TABLE tenancy_tenant ADD COLUMN region text NOT NULL DEFAULT '';
ALTER TABLE tenancy_tenant ADD COLUMN plan text NOT NULL DEFAULT '';
ALTER TABLE tenancy_tenant ADD COLUMN limits text NOT NULL DEFAULT '{}';   -- JSON: numbers by name
ALTER TABLE tenancy_tenant ADD COLUMN kms text NOT NULL DEFAULT '';        -- the KMS key around its own key; '' is the default one
ALTER TABLE tenancy_tenant ADD COLUMN due int8 NOT NULL DEFAULT 0;         -- unix ms from which its data may be destroyed; 0 is never
ALTER TABLE tenancy_tenant ADD COLUMN move text NOT NULL DEFAULT '';       -- JSON of the move under way; '' is none

-- The cells that serve tenants of this directory.
CREATE TABLE tenancy_cell (
    name   text NOT NULL PRIMARY KEY,
    region text NOT NULL,
    url    text NOT NULL -- by which clients reach it
);
