package people

import (
	"context"

	"ward/internal/backend/db"
)

// revoked is what is to be done once the end of what people let apps do is committed.
type revoked []func()

func (r revoked) forget() {
	for _, f := range r {
		f()
	}
}

// revokeApps ends what the person let apps do: whoever knew an old password, or found a browser open, may have let one do much.
func (p *People) revokeApps(ctx context.Context, tx db.Tx, gone *revoked, personID string) error {
	if p.deps.Apps == nil {
		return nil
	}
	forget, err := p.deps.Apps.RevokeAccountIn(ctx, tx, personID)
	if err == nil {
		*gone = append(*gone, forget)
	}
	return err
}
