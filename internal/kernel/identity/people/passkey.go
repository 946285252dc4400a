package people

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
)

// Passkey is one that a person made.
type Passkey struct {
	ID      []byte
	Name    string
	Created time.Time
	Used    time.Time // zero: never

	credential webauthn.Credential
}

const mostPasskeys = 20

// holder is a person as the library wants one.
type holder struct {
	person Person
	keys   []Passkey
}

func (h holder) WebAuthnID() []byte { return []byte(h.person.ID) }

func (h holder) WebAuthnName() string { return h.person.Email.Reveal() }

func (h holder) WebAuthnDisplayName() string {
	if h.person.Name.IsEmpty() {
		return h.person.Email.Reveal()
	}
	return h.person.Name.Reveal()
}

func (h holder) WebAuthnCredentials() []webauthn.Credential {
	out := make([]webauthn.Credential, len(h.keys))
	for i := range h.keys {
		out[i] = h.keys[i].credential
	}
	return out
}

// Passkeys are the person's, oldest first.
func (p *People) Passkeys(ctx context.Context, personID string) (keys []Passkey, err error) {
	defer fault.Op(&err, "people.Passkeys", personID)
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		keys = nil
		return q.Query(ctx, "SELECT id, name, credential, created, used FROM identity_passkey WHERE person = $1 ORDER BY created, id", func(r db.Row) error {
			k, err := p.passkey(ctx, bytes.Clone(r.Bytes(0)), r.Text(1), r.Bytes(2))
			k.Created, k.Used = moment(r.Int64(3)), moment(r.Int64(4))
			keys = append(keys, k)
			return err
		}, personID)
	})
	return keys, err
}

// keptPasskey is what identity_passkey.credential holds; in rows of before it is the credential itself.
type keptPasskey struct {
	Name       string          `json:"name"`
	Credential json.RawMessage `json:"credential"`
}

// passkey opens a row; name is that of a row of before.
func (p *People) passkey(ctx context.Context, id []byte, name string, sealed []byte) (Passkey, error) {
	k := Passkey{ID: id, Name: name}
	text, err := p.open(ctx, "passkey "+string(id), sealed)
	if err != nil {
		return k, err
	}
	var kept keptPasskey
	if err = json.Unmarshal(text, &kept); err == nil {
		if kept.Credential == nil {
			kept.Credential = text
		} else {
			k.Name = kept.Name
		}
		err = json.Unmarshal(kept.Credential, &k.credential)
	}
	if err != nil {
		return k, fault.Internal("a passkey can't be read").With(err)
	}
	return k, nil
}

func (p *People) sealPasskey(ctx context.Context, k Passkey) ([]byte, error) {
	credential, err := json.Marshal(&k.credential)
	var text []byte
	if err == nil {
		text, err = json.Marshal(keptPasskey{k.Name, credential})
	}
	if err != nil {
		return nil, fault.Internal("a passkey can't be kept").With(err)
	}
	return p.seal(ctx, "passkey "+string(k.ID), text)
}

// party is this service as browsers know it: by the host of the configured address, or else of the request.
func (p *People) party(r *http.Request) (*webauthn.WebAuthn, error) {
	scheme := "http"
	if SecureFrom(r, p.deps.Sessions.deps.Secure) {
		scheme = "https"
	}
	origin := scheme + "://" + r.Host
	if p.deps.Sessions.deps.Secure {
		origin = p.deps.BaseURL()
	}
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" {
		return nil, fault.Invalid("the request's host can't be one")
	}
	timeout := webauthn.TimeoutConfig{Timeout: 5 * time.Minute, TimeoutUVD: 5 * time.Minute}
	party, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Ward", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
	if err != nil {
		return nil, fault.Invalid("passkeys don't work at this address").With(err)
	}
	return party, nil
}

// AskPasskey asks the browser for a passkey: of the sign-in under way, of the person who is signed in, or of anybody. The answer is what navigator.credentials.get takes.
func (p *People) AskPasskey(ctx context.Context, w http.ResponseWriter, r *http.Request, back string) (options any, err error) {
	defer fault.Op(&err, "people.AskPasskey")
	party, err := p.party(r)
	if err != nil {
		return nil, err
	}
	a, err := p.Attempt(ctx, r)
	if err != nil && !fault.Is(err, fault.CodeUnauthenticated) {
		return nil, err
	}
	if err == nil && a.PersonID != "" && a.data.Ticket == "" {
		who, err := p.Get(ctx, a.PersonID)
		if err != nil {
			return nil, err
		}
		keys, err := p.Passkeys(ctx, who.ID)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			return nil, fault.NotFound("there is no passkey for this account")
		}
		asked, session, err := party.BeginLogin(holder{who, keys})
		if err != nil {
			return nil, fault.Internal("a passkey can't be asked for").With(err)
		}
		a.data.Passkey = session
		return asked, p.keep(ctx, &a)
	}
	asked, session, err := party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, fault.Internal("a passkey can't be asked for").With(err)
	}
	return asked, p.begin(ctx, w, r, &Attempt{Back: back, data: attemptData{Passkey: session}})
}

func badPasskey() error { return fault.Unauthenticated("the passkey was not accepted") }

// ShowPasskey takes the passkey that [People.AskPasskey] asked for, as the browser's JSON.
func (p *People) ShowPasskey(ctx context.Context, w http.ResponseWriter, r *http.Request, answer []byte) (a Attempt, next Next, err error) {
	defer fault.Op(&err, "people.ShowPasskey")
	if a, err = p.Attempt(ctx, r); err != nil {
		return a, 0, err
	}
	if a.data.Passkey == nil || a.data.Ticket != "" {
		return a, 0, noAttempt()
	}
	if err := p.try(ctx, &a); err != nil {
		return a, 0, err
	}
	session := *a.data.Passkey
	a.data.Passkey = nil // a challenge is answered once
	if err := p.keep(ctx, &a); err != nil {
		return a, 0, err
	}
	who, credential, err := p.checkPasskey(ctx, r, &a, session, answer)
	if err != nil {
		if fault.Is(err, fault.CodeUnauthenticated) {
			p.deps.Audit.Security(ctx, audit.BadPassword, "passkey")
		}
		return a, 0, err
	}
	if err := p.usedPasskey(ctx, credential); err != nil {
		return a, 0, err
	}
	a.PersonID = who.ID
	methods := []string{ByPasskey}
	if credential.Flags.UserVerified {
		methods = append(methods, ByUserCheck)
	}
	next, err = p.second(ctx, w, r, &a, who, methods...)
	return a, next, err
}

func (p *People) checkPasskey(ctx context.Context, r *http.Request, a *Attempt, session webauthn.SessionData, answer []byte) (Person, *webauthn.Credential, error) {
	party, err := p.party(r)
	if err != nil {
		return Person{}, nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Person{}, nil, badPasskey()
	}
	var broken error
	find := func(personID string) (holder, error) {
		who, err := p.Get(ctx, personID)
		if err == nil && who.State != Active {
			err = badPasskey()
		}
		if err != nil {
			if !fault.Is(err, fault.CodeNotFound) && !fault.Is(err, fault.CodeUnauthenticated) {
				broken = err
			}
			return holder{}, err
		}
		keys, err := p.Passkeys(ctx, personID)
		if err != nil {
			broken = err
		}
		return holder{who, keys}, err
	}
	var who holder
	var credential *webauthn.Credential
	if a.PersonID != "" {
		if who, err = find(a.PersonID); err == nil {
			credential, err = party.ValidateLogin(who, session, parsed)
		}
	} else {
		var user webauthn.User
		user, credential, err = party.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) { return find(string(handle)) }, session, parsed)
		who, _ = user.(holder)
	}
	switch {
	case broken != nil:
		return Person{}, nil, broken
	case err != nil || credential == nil:
		return Person{}, nil, badPasskey()
	case credential.Authenticator.CloneWarning:
		return Person{}, nil, badPasskey()
	}
	return who.person, credential, nil
}

func (p *People) usedPasskey(ctx context.Context, c *webauthn.Credential) error {
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		k := Passkey{ID: c.ID}
		err := tx.Query(ctx, "SELECT name, credential FROM identity_passkey WHERE id = $1", func(r db.Row) (err error) {
			k, err = p.passkey(ctx, c.ID, r.Text(0), r.Bytes(1))
			return err
		}, c.ID)
		if err != nil {
			return err
		}
		k.credential = *c
		sealed, err := p.sealPasskey(ctx, k)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE identity_passkey SET name = '', credential = $1, used = $2 WHERE id = $3", sealed, p.now().UnixMilli(), c.ID)
		return err
	})
}

// NewPasskey has the browser make a passkey for the person of the sign-in under way. The answer is what navigator.credentials.create takes.
func (p *People) NewPasskey(ctx context.Context, r *http.Request) (options any, err error) {
	defer fault.Op(&err, "people.NewPasskey")
	a, who, err := p.settingUp(ctx, r)
	if err != nil {
		return nil, err
	}
	party, err := p.party(r)
	if err != nil {
		return nil, err
	}
	keys, err := p.Passkeys(ctx, who.ID)
	if err != nil {
		return nil, err
	}
	if len(keys) >= mostPasskeys {
		return nil, fault.Conflict("there are %d passkeys already: remove one first", len(keys))
	}
	h := holder{who, keys}
	asked, session, err := party.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, fault.Internal("a passkey can't be made").With(err)
	}
	a.data.Passkey = session
	return asked, p.keep(ctx, &a)
}

func (p *People) settingUp(ctx context.Context, r *http.Request) (a Attempt, who Person, err error) {
	if a, err = p.Attempt(ctx, r); err != nil {
		return a, who, err
	}
	if a.PersonID == "" || a.data.Ticket != "" {
		return a, who, noAttempt()
	}
	if who, err = p.Get(ctx, a.PersonID); err != nil {
		return a, who, err
	}
	if who.State != Active {
		return a, who, noAttempt()
	}
	return a, who, p.maySetUp(ctx, r, &a, who)
}

// AddPasskey takes the passkey that [People.NewPasskey] had the browser make, as its JSON. Where it is the first second factor it returns recovery codes,
// which are shown this once.
func (p *People) AddPasskey(ctx context.Context, w http.ResponseWriter, r *http.Request, name string, answer []byte) (codes []string, next Next, err error) {
	defer fault.Op(&err, "people.AddPasskey")
	a, who, err := p.settingUp(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	if a.data.Passkey == nil {
		return nil, 0, noAttempt()
	}
	session := *a.data.Passkey
	a.data.Passkey = nil
	if err := p.keep(ctx, &a); err != nil {
		return nil, 0, err
	}
	party, err := p.party(r)
	if err != nil {
		return nil, 0, err
	}
	keys, err := p.Passkeys(ctx, who.ID)
	if err != nil {
		return nil, 0, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, 0, badPasskey()
	}
	credential, err := party.CreateCredential(holder{who, keys}, session, parsed)
	if err != nil {
		return nil, 0, badPasskey()
	}
	if name = strings.ToValidUTF8(strings.TrimSpace(strings.ReplaceAll(name, "\x00", "")), ""); name == "" {
		name = "Passkey"
	}
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	sealed, err := p.sealPasskey(ctx, Passkey{ID: credential.ID, Name: name, credential: *credential})
	if err != nil {
		return nil, 0, err
	}
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		if _, err := tx.Exec(ctx, "INSERT INTO identity_passkey (id, person, name, credential, created, used) VALUES ($1, $2, '', $3, $4, 0)",
			credential.ID, who.ID, sealed, p.now().UnixMilli()); err != nil {
			return err
		}
		if codes = nil; len(keys) == 0 && !who.Second {
			if codes, err = p.newRecoveryCodes(ctx, tx, who.ID); err != nil {
				return err
			}
		}
		return p.note(ctx, tx, audit.Account, who.ID, "passkey made")
	})
	if err != nil {
		return nil, 0, err
	}
	methods := []string{ByPasskey}
	if credential.Flags.UserVerified {
		methods = append(methods, ByUserCheck)
	}
	next, err = p.second(ctx, w, r, &a, who, methods...)
	return codes, next, err
}

// RemovePasskey takes a passkey away. It returns fault.Conflict when nothing else would be left as a second factor, where one is needed.
func (p *People) RemovePasskey(ctx context.Context, who Person, keyID []byte) (err error) {
	defer fault.Op(&err, "people.RemovePasskey", who.ID)
	keys, err := p.Passkeys(ctx, who.ID)
	if err != nil {
		return err
	}
	s, err := p.signIn(ctx)
	if err != nil {
		return err
	}
	if len(keys) == 1 && !who.Second && !s.passwordAlone(who.Role) {
		return fault.Conflict("this is your only second factor: set up another one first")
	}
	return p.change(ctx, who.ID, "passkey removed", func(ctx context.Context, tx db.Tx) (int64, error) {
		return tx.Exec(ctx, "DELETE FROM identity_passkey WHERE id = $1 AND person = $2", keyID, who.ID)
	})
}
