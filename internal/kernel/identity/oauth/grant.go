package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// grant is what somebody was granted, once: all codes and tokens of it are a family.
type grant struct {
	ID      string
	Client  string
	Account string // the user's id; empty: the client for itself
	Created time.Time
	Ends    time.Time
	Revoked time.Time // zero: not

	detail
}

// detail is what of a grant nothing is looked up by.
type detail struct {
	Scope       string   `json:"scope"`
	Role        string   `json:"role,omitempty"`
	Session     string   `json:"session,omitempty"`
	AuthTime    int64    `json:"authTime,omitempty"` // unix seconds
	ACR         string   `json:"acr,omitempty"`
	AMR         []string `json:"amr,omitempty"`
	Nonce       string   `json:"nonce,omitempty"`
	RedirectURI string   `json:"redirectUri,omitempty"`
	Challenge   string   `json:"challenge,omitempty"` // PKCE, S256
	Issuer      string   `json:"issuer,omitempty"`
	launched
}

// launched is the context that an app was launched in.
type launched struct {
	Patient     string          `json:"patient,omitempty"`
	Encounter   string          `json:"encounter,omitempty"`
	FHIRContext json.RawMessage `json:"fhirContext,omitempty"`
	Intent      string          `json:"intent,omitempty"`
	Banner      *bool           `json:"needPatientBanner,omitempty"`
	StyleURL    string          `json:"smartStyleUrl,omitempty"`
}

func (g *grant) scopes() []string { return fields(g.Scope) }

func (g *grant) good(now time.Time) bool { return g.Revoked.IsZero() && now.Before(g.Ends) }

const grantColumns = "g.id, g.client, g.account, g.detail, g.created, g.ends, g.revoked"

// readGrant reads the columns from the first on.
func readGrant(r db.Row, first int) (g grant, err error) {
	g = grant{
		ID: r.Text(first), Client: r.Text(first + 1), Account: r.Text(first + 2),
		Created: moment(r.Int64(first + 4)), Ends: moment(r.Int64(first + 5)), Revoked: moment(r.Int64(first + 6)),
	}
	if err := json.Unmarshal([]byte(r.Text(first+3)), &g.detail); err != nil {
		return g, fault.Internal("the grant %s can't be read", g.ID).With(err)
	}
	return g, nil
}

func insertGrant(ctx context.Context, tx db.Tx, g *grant) error {
	text, err := json.Marshal(g.detail)
	if err != nil {
		return fault.Internal("write a grant").With(err)
	}
	_, err = tx.Exec(ctx, "INSERT INTO identity_oauth_grant (id, client, account, detail, created, ends, revoked) VALUES ($1, $2, $3, $4, $5, $6, 0)",
		g.ID, g.Client, g.Account, string(text), g.Created.UnixMilli(), g.Ends.UnixMilli())
	if err == nil {
		_, err = tx.Exec(ctx, "UPDATE identity_oauth_client SET used = 1 WHERE id = $1 AND used = 0", g.Client)
	}
	return err
}

// stored is a code or token as it stands in the database, with its grant.
type stored struct {
	grant
	kind    string
	scope   string // of this token; empty: the grant's
	created time.Time
	expires time.Time
	used    time.Time
}

// The kinds of rows in identity_oauth_token.
const (
	kindCode    = "code"
	kindAccess  = "access"
	kindRefresh = "refresh"
)

type hash = [sha256.Size]byte

// hashes of tokens that are to be forgotten.
type hashes []hash

func hashOf(secret string) hash { return sha256.Sum256([]byte(secret)) }

// lookup is the row of a hash; false without one.
func (p *Provider) lookup(ctx context.Context, h hash, kind string) (s stored, ok bool, err error) {
	defer fault.Op(&err, "oauth.lookup", kind)
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		ok = false
		return q.Query(ctx, "SELECT t.kind, t.scope, t.created, t.expires, t.used, "+grantColumns+
			" FROM identity_oauth_token t JOIN identity_oauth_grant g ON g.id = t.grant_id WHERE t.hash = $1 AND t.kind = $2", func(r db.Row) (err error) {
			s = stored{kind: r.Text(0), scope: r.Text(1), created: moment(r.Int64(2)), expires: moment(r.Int64(3)), used: moment(r.Int64(4))}
			s.grant, err = readGrant(r, 5)
			ok = err == nil
			return err
		}, h[:], kind)
	})
	return s, ok, err
}

func insertToken(ctx context.Context, tx db.Tx, h hash, kind, grantID, scope string, created, expires time.Time) error {
	_, err := tx.Exec(ctx, "INSERT INTO identity_oauth_token (hash, kind, grant_id, scope, created, expires, used) VALUES ($1, $2, $3, $4, $5, $6, 0)",
		h[:], kind, grantID, scope, created.UnixMilli(), expires.UnixMilli())
	return err
}

// revokeGrants ends the grants that the condition names and adds the hashes of their access tokens to gone, for [Provider.forget] after the commit.
func (p *Provider) revokeGrants(ctx context.Context, tx db.Tx, gone *hashes, where string, args ...any) error {
	all := append([]any{p.now().UnixMilli()}, args...)
	if _, err := tx.Exec(ctx, "UPDATE identity_oauth_grant SET revoked = $1 WHERE revoked = 0 AND "+where, all...); err != nil {
		return err
	}
	return tx.Query(ctx, "SELECT t.hash FROM identity_oauth_token t JOIN identity_oauth_grant g ON g.id = t.grant_id WHERE t.kind = 'access' AND t.expires > $1 AND g."+where, func(r db.Row) error {
		var h hash
		copy(h[:], r.Bytes(0))
		*gone = append(*gone, h)
		return nil
	}, all...)
}

// revoke ends one grant and all of its family.
func (p *Provider) revoke(ctx context.Context, grantID string) (err error) {
	defer fault.Op(&err, "oauth.revoke", grantID)
	var gone hashes
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		gone = nil
		return p.revokeGrants(ctx, tx, &gone, "id = $2", grantID)
	})
	p.forget(gone)
	return err
}

// forget drops access tokens from this process's memory.
func (p *Provider) forget(gone hashes) { p.known.Drop(gone...) }
