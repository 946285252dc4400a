package people_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"strings"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/people"
)

// asBefore is a value as it was sealed before tenants had keys: under the key of the accounts, bound to the tenant's number and what it is of.
func asBefore(t *testing.T, tenant scope.Tenant, of, plain string) []byte {
	t.Helper()
	key := make([]byte, 32)
	for i := range key {
		key[i] = 1
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, aead.NonceSize())
	return aead.Seal(nonce, nonce, []byte(plain), append([]byte{0, 0, 0, byte(tenant.ID)}, of...)) //nolint:gosec // a test's nonce
}

// columns are what the rows of a table hold, one after another.
func (h *house) columns(sql string) string {
	h.Helper()
	var all []string
	err := h.db.Read(h.ctx, func(ctx context.Context, q db.Querier) error {
		all = nil
		return q.Query(ctx, sql, func(r db.Row) error {
			all = append(all, r.Text(0)+" "+r.Text(1)+" "+string(r.Bytes(2)))
			return nil
		})
	})
	if err != nil {
		h.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// TestPrivate_NothingInTheClear: neither the address nor the name of an account is in its row; it is found by the address, in any case, and the address is taken.
func TestPrivate_NothingInTheClear(t *testing.T) {
	onEach(t, func(h *house) {
		p := h.staff(nil)
		if _, _, err := p.Invite(h.ctx, people.Invitation{Email: "Wilma.Secret@example.org", Name: "Wilma Secret", Role: access.Admin, ByHand: true}); err != nil {
			h.Fatal(err)
		}
		if got := h.columns("SELECT email, name, private FROM identity_person"); strings.Contains(strings.ToLower(got), "wilma") || strings.Contains(got, "example.org") {
			h.Errorf("the row shows %q", got)
		}
		who, err := p.ByEmail(h.ctx, "WILMA.secret@example.org")
		if err != nil || who.Email.Reveal() != "wilma.secret@example.org" || who.Name.Reveal() != "Wilma Secret" {
			h.Errorf("%+v %v", who, err)
		}
		if _, _, err := p.Invite(h.ctx, people.Invitation{Email: "wilma.secret@example.org", Role: access.Admin, ByHand: true}); !fault.Is(err, fault.CodeConflict) {
			h.Errorf("the address twice: %v", err)
		}
		// A row that is moved to another person does not open there.
		if _, _, err := p.Invite(h.ctx, people.Invitation{Email: "other@example.org", Role: access.Admin, ByHand: true}); err != nil {
			h.Fatal(err)
		}
		err = h.db.Write(h.ctx, func(ctx context.Context, tx db.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE identity_person SET private = (SELECT x.private FROM identity_person x WHERE x.id = $1) WHERE id <> $1", who.ID)
			return err
		})
		if err != nil {
			h.Fatal(err)
		}
		if _, err := p.List(h.ctx, "", 10); !fault.Is(err, fault.CodeInternal) {
			h.Errorf("somebody else's name opens: %v", err)
		}
	})
}

// TestPrivate_RowsOfBeforeAreSealed: what an earlier version wrote is found as it is, and settled by this one, once, also by two processes at the same time.
func TestPrivate_RowsOfBeforeAreSealed(t *testing.T) {
	onEach(t, func(h *house) {
		h.person("p1", people.Active)
		h.person("p2", people.Active)
		const key = `{"ID":"azE=","PublicKey":"cHVi"}`
		err := h.db.Write(h.ctx, func(ctx context.Context, tx db.Tx) error {
			if _, err := tx.Exec(ctx, "UPDATE identity_person SET name = 'Wilma', second = $1 WHERE id = 'p1'", asBefore(t, north, "second p1", "JBSWY3DPEHPK3PXP")); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO identity_passkey (id, person, name, credential, created, used) VALUES ($1, 'p1', 'Wilma phone', $2, 1, 0)",
				[]byte("k1"), asBefore(t, north, "passkey k1", key))
			return err
		})
		if err != nil {
			h.Fatal(err)
		}
		one, two := h.staff(nil), h.staff(nil)
		as := func(p *people.People, when string) {
			h.Helper()
			who, err := p.ByEmail(h.ctx, "p1@example.org")
			if err != nil || who.ID != "p1" || who.Name.Reveal() != "Wilma" || !who.Second {
				h.Errorf("%s: %+v %v", when, who, err)
			}
			keys, err := p.Passkeys(h.ctx, "p1")
			if err != nil || len(keys) != 1 || keys[0].Name != "Wilma phone" {
				h.Errorf("%s: %+v %v", when, keys, err)
			}
		}
		as(one, "before")
		settled := make(chan error, 2)
		for _, p := range []*people.People{one, two} {
			go func() { settled <- p.Settle(h.ctx) }()
		}
		for range 2 {
			if err := <-settled; err != nil {
				h.Fatal(err)
			}
		}
		as(one, "after")
		as(two, "after, in the other process")
		got := h.columns("SELECT email, name, private FROM identity_person") + h.columns("SELECT name, person, credential FROM identity_passkey") + h.columns("SELECT id, state, second FROM identity_person")
		if strings.Contains(got, "Wilma") || strings.Contains(got, "@example.org") || strings.Contains(got, string(asBefore(t, north, "second p1", "JBSWY3DPEHPK3PXP"))) {
			h.Errorf("the rows show %q", got)
		}
		if _, _, err := two.Invite(h.ctx, people.Invitation{Email: "p2@example.org", Role: access.Admin, ByHand: true}); !fault.Is(err, fault.CodeConflict) {
			h.Errorf("an address of before again: %v", err)
		}
	})
}
