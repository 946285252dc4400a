-- Clients: apps and backend services that are registered here. registration is the JSON of client.go.
CREATE TABLE identity_oauth_client (
    id           text  NOT NULL PRIMARY KEY,
    registration text  NOT NULL,
    secret       bytea NOT NULL, -- SHA-256 of the secret; empty without one
    dynamic      int8  NOT NULL, -- 1: registered itself
    created      int8  NOT NULL, -- unix ms, as all times here; 0 is never
    used         int8  NOT NULL  -- 1: it got a code or a token
);

-- Grants: what somebody (or a client for itself) was granted, once. All codes and tokens of a grant are a family.
CREATE TABLE identity_oauth_grant (
    id      text NOT NULL PRIMARY KEY,
    client  text NOT NULL,
    account text NOT NULL, -- the user's id; empty for a client's own
    detail  text NOT NULL, -- the JSON of grant.go
    created int8 NOT NULL,
    ends    int8 NOT NULL, -- nothing of the family is good after
    revoked int8 NOT NULL
);
CREATE INDEX identity_oauth_grant_account ON identity_oauth_grant (account, client);
CREATE INDEX identity_oauth_grant_ends ON identity_oauth_grant (ends);

-- Codes and tokens. The secrets themselves are nowhere: only their SHA-256.
CREATE TABLE identity_oauth_token (
    hash     bytea NOT NULL PRIMARY KEY,
    kind     text  NOT NULL, -- code, access or refresh
    grant_id text  NOT NULL,
    scope    text  NOT NULL, -- empty: the grant's
    created  int8  NOT NULL,
    expires  int8  NOT NULL,
    used     int8  NOT NULL  -- when a code was exchanged or a refresh token rotated
);
CREATE INDEX identity_oauth_token_grant ON identity_oauth_token (grant_id);
CREATE INDEX identity_oauth_token_expires ON identity_oauth_token (expires);

-- Consents: which scopes a user agreed that a client may have.
CREATE TABLE identity_oauth_consent (
    account text NOT NULL,
    client  text NOT NULL,
    scope   text NOT NULL,
    given   int8 NOT NULL,
    PRIMARY KEY (account, client)
);

-- Launch contexts, each for one launch of one app by one user.
CREATE TABLE identity_oauth_launch (
    hash    bytea NOT NULL PRIMARY KEY,
    account text  NOT NULL,
    detail  text  NOT NULL,
    expires int8  NOT NULL,
    used    int8  NOT NULL
);

-- Assertions that were presented, until they expire: none is good twice.
CREATE TABLE identity_oauth_jti (
    client  text  NOT NULL,
    hash    bytea NOT NULL, -- SHA-256 of the jti
    expires int8  NOT NULL,
    PRIMARY KEY (client, hash)
);

-- Keys that sign id tokens. The private part is sealed.
CREATE TABLE identity_oauth_key (
    id      text  NOT NULL PRIMARY KEY,
    public  text  NOT NULL, -- a JWK
    private bytea NOT NULL,
    created int8  NOT NULL,
    signs   int8  NOT NULL, -- from when on it signs; known to clients before
    ends    int8  NOT NULL  -- when it is no longer shown; 0 is not known yet
);
