package identity

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Forget removes all tokens of a tenant, which is being destroyed.
func (t *Tokens) Forget(ctx context.Context, tenantID int32) (err error) {
	defer fault.Op(&err, "identity.Forget")
	if tenantID <= 0 {
		return fault.Internal("only a tenant's tokens are forgotten")
	}
	err = t.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM identity_token WHERE tenant_id = $1", tenantID)
		return err
	})
	t.known.Invalidate()
	return err
}

// OwnTables are tables that only this Ward can use: what they hold is its own, or soon over. An archive of a tenant is without them.
func OwnTables() []string {
	return []string{
		"identity_oauth_key", "identity_oauth_grant", "identity_oauth_token", "identity_oauth_launch", "identity_oauth_jti",
		"identity_session", "identity_link", "identity_activation", "identity_attempt", "identity_throttle",
	}
}
