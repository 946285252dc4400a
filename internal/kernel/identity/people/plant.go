package people

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

// Plant makes an account that can be used at once, with a password and the secret of an authenticator app, for demonstrations and tests. An account of the
// same address is left as it is.
func (p *People) Plant(ctx context.Context, i Invitation, password, appSecret string) (err error) {
	defer fault.Op(&err, "people.Plant")
	i.ByHand = true
	if _, err := p.ByEmail(ctx, i.Email); !fault.Is(err, fault.CodeNotFound) {
		return err
	}
	who, _, err := p.Invite(ctx, i)
	if err != nil {
		return err
	}
	phc, err := p.deps.Pool.Hash(ctx, password)
	if err != nil {
		return err
	}
	sealed, err := p.seal(ctx, "second "+who.ID, []byte(appSecret))
	if err != nil {
		return err
	}
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM identity_link WHERE person = $1", who.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE identity_person SET state = $1, activated = $2, password = $3, second = $4 WHERE id = $5",
			Active, p.now().UnixMilli(), phc, sealed, who.ID)
		return err
	})
}
