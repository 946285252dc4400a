-- The number that a tenant's sealed values are bound to: its own (0), or that of the tenant whose archive it was made of.
ALTER TABLE seal_key ADD COLUMN bound int4 NOT NULL DEFAULT 0;
