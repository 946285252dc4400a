package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ward/internal/base/fault"
	"ward/internal/base/id"
)

// claims are those of an id token besides the registered ones (OpenID Connect Core §2, SMART App Launch 2.2).
type claims struct {
	jwt.Claims
	Nonce           string   `json:"nonce,omitempty"`
	AuthTime        int64    `json:"auth_time,omitempty"`
	ACR             string   `json:"acr,omitempty"`
	AMR             []string `json:"amr,omitempty"`
	AccessTokenHash string   `json:"at_hash,omitempty"`
	person
}

// person is what the scopes fhirUser and profile tell of the user.
type person struct {
	FHIRUser string `json:"fhirUser,omitempty"`
	Profile  string `json:"profile,omitempty"`
	Name     string `json:"name,omitempty"`
}

// idToken says who signed in, how and when.
func (p *Provider) idToken(ctx context.Context, g *grant, granted []string, accessToken string) (string, error) {
	key, err := p.signer(ctx)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: idTokenAlgorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fault.Internal("make a signer").With(err)
	}
	who, err := p.personOf(ctx, g, granted)
	if err != nil {
		return "", err
	}
	now, half := p.deps.Clock.Now(), sha256.Sum256([]byte(accessToken))
	text, err := jwt.Signed(signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer: g.Issuer, Subject: g.Account, Audience: jwt.Audience{g.Client}, ID: id.New(),
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(idTokenLife)),
		},
		Nonce: g.Nonce, AuthTime: g.AuthTime, ACR: g.ACR, AMR: g.AMR, person: who,
		AccessTokenHash: base64.RawURLEncoding.EncodeToString(half[:len(half)/2]),
	}).Serialize()
	if err != nil {
		return "", fault.Internal("sign an id token").With(err)
	}
	return text, nil
}

// personOf is what the granted scopes tell of the user as they are now.
func (p *Provider) personOf(ctx context.Context, g *grant, granted []string) (who person, err error) {
	a, err := p.deps.People.Account(ctx, g.Account)
	if err != nil {
		return who, err
	}
	if covered(granted, scopeFHIRUser) && a.Person != "" {
		who.FHIRUser = baseOf(g.Issuer).fhir() + "/" + a.Person
	}
	if covered(granted, scopeProfile) {
		who.Name = a.Name
		if a.Person != "" {
			who.Profile = baseOf(g.Issuer).fhir() + "/" + a.Person
		}
	}
	return who, nil
}

// baseOf is the base of an issuer that was made of one.
func baseOf(issuer string) base { return base(issuer[:max(0, len(issuer)-len("/oauth2"))]) }
