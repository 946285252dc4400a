package signin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"ward/internal/kernel/access"
	"ward/internal/kernel/tenancy"
)

// authenticator is a device with passkeys, and the browser in front of it.
type authenticator struct {
	site   *site
	origin string
	keys   map[string]*key // by credential id
	count  uint32
	lazy   bool // does not check who holds it
}

type key struct {
	private *ecdsa.PrivateKey
	user    []byte
}

func (s *site) authenticator() *authenticator {
	return &authenticator{site: s, origin: base, keys: map[string]*key{}}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) client(kind, challenge string) []byte {
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	if err != nil {
		a.site.Fatal(err)
	}
	return text
}

// data is the authenticator's (WebAuthn §6.1).
func (a *authenticator) data(rp string, attested []byte) []byte {
	sum := sha256.Sum256([]byte(rp))
	flags := byte(0x01) // somebody touched it
	if !a.lazy {
		flags |= 0x04
	}
	if attested != nil {
		flags |= 0x40
	}
	a.count++
	return append(binary.BigEndian.AppendUint32(append(sum[:], flags), a.count), attested...)
}

func (a *authenticator) cbor(v any) []byte {
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		a.site.Fatal(err)
	}
	b, err := mode.Marshal(v)
	if err != nil {
		a.site.Fatal(err)
	}
	return b
}

type creation struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RP        struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	} `json:"publicKey"`
}

// create is navigator.credentials.create.
func (a *authenticator) create(o creation) map[string]any {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.site.Fatal(err)
	}
	user, err := base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		a.site.Fatal(err)
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	a.keys[string(id)] = &key{private, user}
	point, err := private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		a.site.Fatal(err)
	}
	cose := a.cbor(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	attested := append(binary.BigEndian.AppendUint16(make([]byte, 16), uint16(len(id))), id...)
	data := a.data(o.PublicKey.RP.ID, append(attested, cose...))
	return map[string]any{
		"id": b64(id), "rawId": b64(id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON": b64(a.client("webauthn.create", o.PublicKey.Challenge)), "transports": []string{"internal"},
			"attestationObject": b64(a.cbor(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})),
		},
	}
}

type request struct {
	PublicKey struct {
		Challenge        string `json:"challenge"`
		RPID             string `json:"rpId"`
		UserVerification string `json:"userVerification"`
	} `json:"publicKey"`
}

// get is navigator.credentials.get.
func (a *authenticator) get(o request) map[string]any {
	for id, k := range a.keys {
		client, data := a.client("webauthn.get", o.PublicKey.Challenge), a.data(o.PublicKey.RPID, nil)
		sum := sha256.Sum256(client)
		digest := sha256.Sum256(append(append([]byte(nil), data...), sum[:]...))
		signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
		if err != nil {
			a.site.Fatal(err)
		}
		return map[string]any{
			"id": b64([]byte(id)), "rawId": b64([]byte(id)), "type": "public-key", "clientExtensionResults": map[string]any{},
			"response": map[string]any{"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(k.user)},
		}
	}
	a.site.Fatal("no passkey")
	return nil
}

// show signs in with a passkey, as the page's script does.
func (b *browser) show(a *authenticator) page {
	b.Helper()
	var asked request
	if p := b.json("POST", "/t/north/signin/passkey/ask?return=%2Ft%2Fnorth%2Faccount", "", struct{}{}, &asked); p.status != 200 {
		b.Fatal(p)
	}
	return b.json("POST", "/t/north/signin/passkey", "", a.get(asked), nil)
}

// TestPasskey_MadeAndShown: made besides the app, shown as the second factor, and alone where the role may.
func TestPasskey_MadeAndShown(t *testing.T) {
	onEach(t, func(s *site) {
		s.plant("ada@example.org", access.Clinician)
		s.plant("rosa@example.org", access.Patient)
		for email, alone := range map[string]bool{"ada@example.org": false, "rosa@example.org": true} {
			device := s.authenticator()
			b := s.signIn(email)
			b.want(b.post("/t/north/account/protect"), 200, "/t/north/second-factor", "Make a passkey")
			var asked creation
			if p := b.json("POST", "/t/north/second-factor/passkey/ask", "", struct{}{}, &asked); p.status != 200 {
				s.Fatal(p)
			}
			if u, _ := url.Parse(base); asked.PublicKey.RP.ID != u.Hostname() {
				s.Errorf("the passkey is for %q", asked.PublicKey.RP.ID)
			}
			made := device.create(asked)
			var next struct {
				Location string
				Codes    []string
			}
			if p := b.json("POST", "/t/north/second-factor/passkey", "", map[string]any{"name": "My phone", "credential": made}, &next); p.status != 200 || next.Location != "/t/north/account" || next.Codes != nil {
				s.Fatalf("%+v %s", next, p)
			}
			if p := b.json("POST", "/t/north/second-factor/passkey", "", map[string]any{"name": "My phone", "credential": made}, nil); p.status != 401 {
				s.Errorf("the same passkey made twice: %s", p)
			}
			b.want(b.get("/t/north/account"), 200, "/t/north/account", "My phone")

			second := s.browser()
			second.want(second.post("/t/north/signin", "email", email, "password", good), 200, "/t/north/second-factor", "Use a passkey")
			if p := second.show(device); p.status != 200 || !strings.Contains(p.text, "/t/north/account") {
				s.Errorf("as the second factor: %s", p)
			}
			second.want(second.get("/t/north/account"), 200, "/t/north/account")

			only := s.browser()
			p := only.show(device)
			switch {
			case alone:
				if p.status != 200 || !strings.Contains(p.text, "/t/north/account") {
					s.Errorf("alone: %s", p)
				}
			case p.status != 200 || !strings.Contains(p.text, "/t/north/second-factor"):
				s.Errorf("alone: %s", p)
			default:
				only.want(only.get("/t/north/second-factor"), 200, "/t/north/second-factor", "needs your password")
				only.post("/t/north/signin", "email", email, "password", good)
			}
			only.want(only.get("/t/north/account"), 200, "/t/north/account")
		}
	})
}

// TestPasskey_IsShownAgain: the passkey of the sign-in long ago does not make a password alone a fresh second factor.
func TestPasskey_IsShownAgain(t *testing.T) {
	onEach(t, func(s *site) {
		s.plant("ada@example.org", access.Clinician)
		device := s.authenticator()
		b := s.signIn("ada@example.org")
		b.want(b.post("/t/north/account/protect"), 200, "/t/north/second-factor", "Make a passkey")
		var asked creation
		if p := b.json("POST", "/t/north/second-factor/passkey/ask", "", struct{}{}, &asked); p.status != 200 {
			s.Fatal(p)
		}
		if p := b.json("POST", "/t/north/second-factor/passkey", "", map[string]any{"name": "My phone", "credential": device.create(asked)}, nil); p.status != 200 {
			s.Fatal(p)
		}
		b = s.browser()
		b.want(b.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor", "Use a passkey")
		if p := b.show(device); p.status != 200 {
			s.Fatal(p)
		}
		s.now.Advance(11 * time.Minute)
		b.want(b.post("/t/north/account/codes"), 200, "/t/north/second-factor", "Use a passkey") // no longer fresh
		b.want(b.post("/t/north/signin", "email", "ada@example.org", "password", good), 200, "/t/north/second-factor", "Use a passkey")
		b.want(b.post("/t/north/account/codes"), 200, "/t/north/second-factor", "Use a passkey")
	})
}

// TestPasskey_Refused: what an attacker may try with passkeys.
func TestPasskey_Refused(t *testing.T) {
	onEach(t, func(s *site) {
		s.settings.Store(&tenancy.Settings{})
		s.plant("rosa@example.org", access.Patient)
		device := s.authenticator()
		b := s.signIn("rosa@example.org")
		b.post("/t/north/account/protect")
		var asked creation
		b.json("POST", "/t/north/second-factor/passkey/ask", "", struct{}{}, &asked)
		if p := b.json("POST", "/t/north/second-factor/passkey", "", map[string]any{"name": "", "credential": device.create(asked)}, nil); p.status != 200 {
			s.Fatal(p)
		}
		for name, try := range map[string]func(b *browser) page{
			"another site's page asked": func(b *browser) page {
				phished := *device
				phished.origin = "https://evil.example"
				return b.show(&phished)
			},
			"nobody's fingerprint": func(b *browser) page {
				lazy := *device
				lazy.lazy = true
				return b.show(&lazy)
			},
			"another key signs": func(b *browser) page {
				forged := s.authenticator()
				for id, k := range device.keys {
					private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
					if err != nil {
						s.Fatal(err)
					}
					forged.keys[id] = &key{private, k.user}
				}
				return b.show(forged)
			},
			"an answer given twice": func(b *browser) page {
				var asked request
				b.json("POST", "/t/north/signin/passkey/ask", "", struct{}{}, &asked)
				answer := device.get(asked)
				if p := b.json("POST", "/t/north/signin/passkey", "", answer, nil); p.status != 200 {
					s.Fatal(p)
				}
				return s.browser().json("POST", "/t/north/signin/passkey", "", answer, nil)
			},
			"an answer to somebody else's question": func(b *browser) page {
				var mine, theirs request
				b.json("POST", "/t/north/signin/passkey/ask", "", struct{}{}, &mine)
				s.browser().json("POST", "/t/north/signin/passkey/ask", "", struct{}{}, &theirs)
				return b.json("POST", "/t/north/signin/passkey", "", device.get(theirs), nil)
			},
			"a copied device": func(b *browser) page {
				before := device.count
				if p := s.browser().show(device); p.status != 200 {
					s.Fatal(p)
				}
				device.count = before - 1
				defer func() { device.count = before + 10 }()
				return b.show(device)
			},
			"nonsense": func(b *browser) page {
				b.json("POST", "/t/north/signin/passkey/ask", "", struct{}{}, nil)
				return b.json("POST", "/t/north/signin/passkey", "", map[string]any{"id": "x"}, nil)
			},
		} {
			if p := try(s.browser()); p.status != 401 {
				s.Errorf("%s: %s", name, p)
			}
		}
		if p := s.browser().show(device); p.status != 200 {
			s.Errorf("in the end: %s", p)
		}
	})
}
