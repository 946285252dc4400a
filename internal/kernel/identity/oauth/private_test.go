package oauth_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/kernel/identity/oauth"
)

// row is the one row that a query gives, as text.
func (s *site) row(sql string) (out string) {
	s.Helper()
	err := s.deps.DB.Read(s.ctx(), func(ctx context.Context, q db.Querier) error {
		return q.Query(ctx, sql, func(r db.Row) error { out += r.Text(0) + " " + string(r.Bytes(1)); return nil })
	})
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// TestPrivate_RowsOfBeforeAreSealed: registrations in the clear and keys under the installation's key are read as they are, settled, and read again.
func TestPrivate_RowsOfBeforeAreSealed(t *testing.T) {
	t.Parallel()
	each(t, func(s *site) {
		c, _ := s.client(oauth.Registration{Name: "Unmistakable", RedirectURIs: []string{"https://app.example.org/back"}, Scope: "openid"})
		if got := s.row("SELECT registration, secret FROM identity_oauth_client"); strings.Contains(got, "Unmistakable") {
			s.Errorf("the row shows %q", got)
		}
		if err := s.p.RotateKeys(s.ctx()); err != nil {
			s.Fatal(err)
		}
		id := strings.TrimSpace(s.row("SELECT id, NULL FROM identity_oauth_key"))
		private, err := oneKey()
		if err != nil {
			s.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			s.Fatal(err)
		}
		sealing, err := hkdf.Key(sha256.New, s.deps.Secret, nil, "ward oauth private keys", 32)
		if err != nil {
			s.Fatal(err)
		}
		block, err := aes.NewCipher(sealing)
		if err != nil {
			s.Fatal(err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			s.Fatal(err)
		}
		before := aead.Seal(nil, nil, der, []byte("tenant 1 key "+id))
		err = s.deps.DB.Write(s.ctx(), func(ctx context.Context, tx db.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE identity_oauth_key SET private = $1", before); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE identity_oauth_client SET registration = '{"client_name":"Of before","redirect_uris":["https://app.example.org/back"],"scope":"openid"}'`)
			return err
		})
		if err != nil {
			s.Fatal(err)
		}
		for _, when := range []string{"before", "after", "after the second time"} {
			p, _ := s.process()
			if when != "before" {
				if err := p.Settle(s.ctx()); err != nil {
					s.Fatal(err)
				}
				if got := s.row("SELECT registration, private FROM identity_oauth_client, identity_oauth_key"); strings.Contains(got, "Of before") || strings.Contains(got, string(before)) {
					s.Errorf("%s: the rows show %q", when, got)
				}
			}
			if found, err := p.Client(s.ctx(), c.ID); err != nil || found.Name != "Of before" {
				s.Errorf("%s: %+v %v", when, found, err)
			}
			if err := p.SignsFor(s.ctx()); err != nil {
				s.Errorf("%s: %v", when, err)
			}
		}
	})
}
