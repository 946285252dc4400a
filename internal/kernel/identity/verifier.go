package identity

import (
	"context"
	"strings"

	"ward/internal/base/scope"
)

// Minter verifies tokens of the kind that it mints.
type Minter interface {
	// Verify says who the token speaks for and in which tenant, 0 for none. It returns fault.Unauthenticated for one that is not good.
	Verify(ctx context.Context, token string) (p scope.Principal, tenantID int32, err error)
}

// Kind is a kind of token: its prefix, such as "ward_", names who minted it.
type Kind struct {
	Prefix string
	Minter Minter
}

// Verifier verifies tokens of several kinds: each by whoever minted it.
type Verifier struct{ kinds []Kind }

// NewVerifier is a verifier of the tokens t and of the other kinds, whose prefixes differ.
func NewVerifier(t *Tokens, others ...Kind) *Verifier {
	return &Verifier{kinds: append([]Kind{{prefix, t}}, others...)}
}

// Verify is [Minter.Verify] of the token's kind. A token of no kind is refused as any other that is not good.
func (v *Verifier) Verify(ctx context.Context, token string) (scope.Principal, int32, error) {
	for i := range v.kinds {
		if strings.HasPrefix(token, v.kinds[i].Prefix) {
			return v.kinds[i].Minter.Verify(ctx, token)
		}
	}
	return scope.Principal{}, 0, NotGood()
}
