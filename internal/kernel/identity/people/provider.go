package people

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/phi"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/tenancy"
)

// providers remembers what the tenants' providers say of themselves.
type providers struct {
	client *http.Client

	mu    sync.Mutex
	known map[string]knownProvider // by issuer
}

type knownProvider struct {
	provider *oidc.Provider
	until    time.Time
}

const (
	providerLife = time.Hour
	mostIssuers  = 1000
)

// ProviderClient is how providers are reached. A tenant names its provider itself, so addresses inside the installation's own network are refused unless
// private says that the provider is there.
func ProviderClient(private bool) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := at.Addr().Unmap()
		if !private && (!ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback()) {
			return errors.New("the address is a private one: set sign-in.private-providers to allow it")
		}
		return nil
	}}
	return &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConns: 20, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// find asks the issuer for its configuration, once an hour.
func (x *providers) find(ctx context.Context, issuer string, now time.Time) (*oidc.Provider, error) {
	x.mu.Lock()
	k, ok := x.known[issuer]
	x.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.provider, nil
	}
	// The keys are fetched later, long after this request.
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), x.client), issuer)
	if err != nil {
		return nil, fault.Unavailable("the sign-in of your organisation can't be reached").With(err).Retry(time.Minute)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.known) >= mostIssuers {
		clear(x.known)
	}
	x.known[issuer] = knownProvider{p, now.Add(providerLife)}
	return p, nil
}

// ProviderName is the name of the tenant's own provider, for the button; "" without one.
func (p *People) ProviderName(ctx context.Context) (string, error) {
	s, err := p.signIn(ctx)
	if err != nil || s.Provider == nil {
		return "", err
	}
	if s.Provider.Name == "" {
		return "your organisation", nil
	}
	return s.Provider.Name, nil
}

func (p *People) provider(ctx context.Context) (*tenancy.Provider, *oidc.Provider, *oauth2.Config, error) {
	s, err := p.signIn(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if s.Provider == nil {
		return nil, nil, nil, fault.NotFound("there is no sign-in through an organisation here")
	}
	if u, err := url.Parse(s.Provider.Issuer); err != nil || u.Scheme != "https" {
		return nil, nil, nil, fault.Unavailable("the sign-in of your organisation is not set up: its issuer must be an https URL")
	}
	found, err := p.providers.find(ctx, s.Provider.Issuer, p.now())
	if err != nil {
		return nil, nil, nil, err
	}
	config := &oauth2.Config{
		ClientID: s.Provider.ClientID, ClientSecret: s.Provider.ClientSecret, Endpoint: found.Endpoint(),
		RedirectURL: p.deps.BaseURL() + "/t/" + tenantOf(ctx).Slug + "/signin/callback", Scopes: []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail},
	}
	return s.Provider, found, config, nil
}

// AskProvider begins a sign-in through the tenant's own provider; the browser goes to the URL.
func (p *People) AskProvider(ctx context.Context, w http.ResponseWriter, r *http.Request, back string) (to string, err error) {
	defer fault.Op(&err, "people.AskProvider")
	_, _, config, err := p.provider(ctx)
	if err != nil {
		return "", err
	}
	state, _ := secret()
	nonce, _ := secret()
	a := Attempt{Back: back, data: attemptData{State: state, Nonce: nonce, Verifier: oauth2.GenerateVerifier()}}
	if err := p.begin(ctx, w, r, &a); err != nil {
		return "", err
	}
	return config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(a.data.Verifier)), nil
}

func notVouched() error {
	return fault.Unauthenticated("your organisation's sign-in did not succeed: begin again")
}

// FromProvider takes what the provider sent the browser back with.
func (p *People) FromProvider(ctx context.Context, w http.ResponseWriter, r *http.Request, state, code string) (a Attempt, next Next, err error) {
	defer fault.Op(&err, "people.FromProvider")
	if a, err = p.Attempt(ctx, r); err != nil {
		return a, 0, err
	}
	if a.data.State == "" || subtle.ConstantTimeCompare([]byte(a.data.State), []byte(state)) != 1 || code == "" {
		p.deps.Audit.Security(ctx, audit.CrossSite, "provider callback")
		return a, 0, notVouched()
	}
	nonce, verifier := a.data.Nonce, a.data.Verifier
	a.data.State, a.data.Nonce, a.data.Verifier = "", "", "" // answered once
	if err := p.keep(ctx, &a); err != nil {
		return a, 0, err
	}
	setting, found, config, err := p.provider(ctx)
	if err != nil {
		return a, 0, err
	}
	ctx = oidc.ClientContext(ctx, p.providers.client)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return a, 0, notVouched().(*fault.Error).With(withoutBody(err)) //nolint:errorlint,forcetypeassert // made one line above
	}
	raw, _ := token.Extra("id_token").(string)
	idToken, err := found.Verifier(&oidc.Config{ClientID: config.ClientID, Now: p.deps.Clock.Now, SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.ES256, oidc.ES384, oidc.PS256, oidc.EdDSA}}).Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(idToken.Nonce), []byte(nonce)) != 1 {
		p.deps.Audit.Security(ctx, audit.BadAssertion, "provider id token")
		return a, 0, notVouched()
	}
	who, err := p.vouchedFor(ctx, setting, idToken)
	if err != nil {
		return a, 0, err
	}
	a.PersonID = who.ID
	a.showed(ByProvider)
	if setting.SecondFactor && strong(idToken) {
		a.showed(ByProvider2)
	}
	if err := p.keep(ctx, &a); err != nil {
		return a, 0, err
	}
	next, err = p.goOn(ctx, w, r, &a, who)
	return a, next, err
}

// strong says whether the provider's word is that of two factors: by how it says that somebody signed in (amr, RFC 8176; acr, REFEDS). One that says nothing is taken
// to have asked for a password alone (ASVS 6.8.4).
func strong(token *oidc.IDToken) bool {
	var said struct {
		AMR []string `json:"amr"`
		ACR string   `json:"acr"`
	}
	if err := token.Claims(&said); err != nil {
		return false
	}
	return slices.Contains([]string{"phr", "phrh", "https://refeds.org/profile/mfa"}, said.ACR) || slices.ContainsFunc(said.AMR, func(m string) bool {
		return slices.Contains([]string{"mfa", "mca", "otp", "hwk", "swk", "sc", "fpt", "face", "iris", "fido"}, m)
	})
}

// withoutBody is the error without what the provider answered.
func withoutBody(err error) error {
	if retrieve, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("the token endpoint answered %d %q", retrieve.Response.StatusCode, retrieve.ErrorCode)
	}
	return err
}

// vouchedFor is the account of somebody whom the provider knows: the one they had before, the one of the same verified address where the tenant allows that, or a new
// one where the provider gives them a role of staff.
func (p *People) vouchedFor(ctx context.Context, setting *tenancy.Provider, token *oidc.IDToken) (who Person, err error) {
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return who, notVouched()
	}
	role, err := roleOf(setting, claims)
	if err != nil {
		return who, err
	}
	email, _ := claims["email"].(string)
	if verified, _ := claims["email_verified"].(bool); !verified {
		email = ""
	}
	if email != "" {
		if email, err = checkEmail(email); err != nil {
			email = ""
		}
	}
	name, _ := claims["name"].(string)
	reference := setting.PersonClaim
	if reference == "" {
		reference = "fhirUser"
	}
	reference, _ = claims[reference].(string)
	// A reference may be a URL that ends in it.
	if parts := strings.Split(reference, "/"); len(parts) > 2 {
		reference = strings.Join(parts[len(parts)-2:], "/")
	}
	if err := p.Settle(ctx); err != nil {
		return who, err
	}
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		who, err = p.find(ctx, tx, "p.id = (SELECT f.person FROM identity_federated f WHERE f.issuer = $1 AND f.subject = $2)", token.Issuer, token.Subject)
		switch {
		case err == nil && who.State != Active:
			return fault.Denied("this account may not sign in")
		case err == nil:
			return p.newRole(ctx, tx, &who, role)
		case !fault.Is(err, fault.CodeNotFound):
			return err
		}
		if setting.JoinByEmail && email != "" {
			who, err = p.findAddress(ctx, tx, email)
			if err == nil && who.State != Disabled {
				return p.federate(ctx, tx, &who, token, role)
			}
			if err != nil && !fault.Is(err, fault.CodeNotFound) {
				return err
			}
		}
		if role == "" || email == "" {
			return fault.Denied("there is no account for you here: ask your administrator")
		}
		i := Invitation{Email: email, Name: name, Role: role, Reference: reference}
		if err := i.check(); err != nil {
			return fault.Denied("there is no account for you here: ask your administrator").With(err)
		}
		who = Person{ID: id.New(), Email: phi.Of(i.Email), Name: phi.Of(i.Name), Role: role, Reference: reference, State: Invited, Created: p.now()}
		key, err := keyOf(ctx, p.deps.Keys)
		if err != nil {
			return err
		}
		address, sealed, err := hide(key, who.ID, private{i.Email, i.Name})
		if err != nil {
			return err
		}
		n, err := tx.InsertNew(ctx, "identity_person", db.Col("id", []string{who.ID}), db.Col("email", []string{address}), db.Col("name", []string{""}), db.Col("private", [][]byte{sealed}), db.Col("role", []string{role}),
			db.Col("person", []string{reference}), db.Col("patients", []string{""}), db.Col("sensitive", []string{""}), db.Col("state", []string{Invited}), db.Col("password", []string{""}),
			db.Col("second_step", []int64{0}), db.Col("created", []int64{who.Created.UnixMilli()}), db.Col("activated", []int64{0}), db.Col("signed_in", []int64{0}))
		if err == nil && n == 0 {
			err = fault.Denied("there is an account of your address already: ask your administrator to join it")
		}
		if err != nil {
			return err
		}
		return p.federate(ctx, tx, &who, token, role)
	})
	return who, err
}

// federate joins the account to who the person is at the provider, and activates it.
func (p *People) federate(ctx context.Context, tx db.Tx, who *Person, token *oidc.IDToken, role string) error {
	if _, err := tx.Exec(ctx, "INSERT INTO identity_federated (issuer, subject, person) VALUES ($1, $2, $3)", token.Issuer, token.Subject, who.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE identity_person SET state = $1, activated = CASE WHEN activated = 0 THEN $2 ELSE activated END WHERE id = $3", Active, p.now().UnixMilli(), who.ID); err != nil {
		return err
	}
	who.State = Active
	if err := p.note(ctx, tx, audit.Account, who.ID, "joined to the provider"); err != nil {
		return err
	}
	return p.newRole(ctx, tx, who, role)
}

// newRole gives the person the role that the provider says, where it says one.
func (p *People) newRole(ctx context.Context, tx db.Tx, who *Person, role string) error {
	if role == "" || role == who.Role {
		return nil
	}
	who.Role = role
	if _, err := tx.Exec(ctx, "UPDATE identity_person SET role = $1, patients = '' WHERE id = $2", role, who.ID); err != nil {
		return err
	}
	return p.note(ctx, tx, audit.Grant, who.ID, "role by provider: "+role)
}

// roleOf is the first role, in the order of the access table, that the claims give; "" where the tenant maps none. It returns fault.Denied when the tenant maps roles and the claims give none
// of them.
func roleOf(setting *tenancy.Provider, claims map[string]any) (string, error) {
	if len(setting.Roles) == 0 {
		return "", nil
	}
	name := setting.RoleClaim
	if name == "" {
		name = "groups"
	}
	var has []string
	switch v := claims[name].(type) {
	case string:
		has = []string{v}
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok {
				has = append(has, s)
			}
		}
	}
	staff := slices.DeleteFunc(Roles(), func(r string) bool { return r == access.Patient || r == access.Proxy })
	for _, role := range staff {
		for _, h := range has {
			if setting.Roles[h] == role {
				return role, nil
			}
		}
	}
	return "", fault.Denied("your organisation gives you no role here: ask your administrator")
}
