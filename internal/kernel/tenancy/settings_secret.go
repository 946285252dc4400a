package tenancy

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
)

// sealedSecret begins a client secret that is kept sealed. One without it is of an earlier version, and is sealed when the tenant's entry is changed.
const sealedSecret = "sealed:"

func secretName(id int32) string { return "tenancy_tenant.settings/" + strconv.Itoa(int(id)) }

// withSecret is s with another secret of the provider.
func (s Settings) withSecret(secret string) Settings {
	signIn, provider := *s.SignIn, *s.SignIn.Provider
	provider.ClientSecret = secret
	signIn.Provider, s.SignIn = &provider, &signIn
	return s
}

func (s Settings) secret() string {
	if s.SignIn == nil || s.SignIn.Provider == nil {
		return ""
	}
	return s.SignIn.Provider.ClientSecret
}

// keptSettings is the JSON of the settings as they are kept: the provider's client secret sealed, where there is something to seal it with.
func (d *Directory) keptSettings(ctx context.Context, id int32, s Settings) (string, error) {
	secret := s.secret()
	if secret == "" || d.deps.Sealer == nil || strings.HasPrefix(secret, sealedSecret) {
		return s.JSON(), nil
	}
	b, err := d.deps.Sealer.Seal(ctx, secretName(id), []byte(secret))
	if err != nil {
		return "", err
	}
	return s.withSecret(sealedSecret + base64.StdEncoding.EncodeToString(b)).JSON(), nil
}

// readSettings reads what keptSettings gave.
func (d *Directory) readSettings(ctx context.Context, id int32, text string) (Settings, error) {
	s, err := ParseSettings(text)
	if err != nil {
		return s, err
	}
	kept, sealed := strings.CutPrefix(s.secret(), sealedSecret)
	if !sealed || d.deps.Sealer == nil {
		return s, nil
	}
	b, err := base64.StdEncoding.DecodeString(kept)
	if err == nil {
		b, err = d.deps.Sealer.Open(ctx, secretName(id), b)
	}
	if err != nil {
		return s, nil //nolint:nilerr // key.secret is another one: the tenant works on, its provider refuses what is left of the secret, and it opens again under the former key
	}
	return s.withSecret(string(b)), nil
}
