-- private is the e-mail address and the name, sealed under the tenant's key; email then is a keyed hash of the address, and name is empty. NULL is a row
-- of before, which People.Settle seals. Likewise identity_passkey.name is empty where the credential holds the name.
ALTER TABLE identity_person ADD COLUMN private BLOB;
