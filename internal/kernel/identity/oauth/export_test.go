package oauth

import "context"

// SignsFor says why the key that signs now can't be used.
func (p *Provider) SignsFor(ctx context.Context) error {
	_, err := p.signer(ctx)
	return err
}
