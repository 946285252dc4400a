package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"ward/internal/base/fault"
)

// clientView is a client as the API shows it (RFC 7591 §3.2.1).
type clientView struct {
	ID       string `json:"client_id"`
	IssuedAt int64  `json:"client_id_issued_at"`
	Secret   string `json:"client_secret,omitempty"`
	NoExpiry *int   `json:"client_secret_expires_at,omitempty"`
	Dynamic  bool   `json:"dynamic"`
	InUse    bool   `json:"in_use"`
	Registration
}

func viewOf(c Client, secret string) clientView {
	v := clientView{ID: c.ID, IssuedAt: c.Created.Unix(), Secret: secret, Dynamic: c.Dynamic, InUse: c.Used, Registration: c.Registration}
	if secret != "" {
		v.NoExpiry = new(int)
	}
	return v
}

func readRegistration(r *http.Request) (in Registration, err error) {
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		if _, ok := fault.Of(err); ok {
			return in, err
		}
		return in, fault.Invalid("the registration can't be read: it is a JSON object with the names of RFC 7591, such as client_name and redirect_uris")
	}
	return in, nil
}

func (p *Provider) handleCreateClient(w http.ResponseWriter, r *http.Request) error {
	in, err := readRegistration(r)
	if err != nil {
		return err
	}
	c, secret, err := p.CreateClient(r.Context(), in)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, viewOf(c, secret))
}

func (p *Provider) handleListClients(w http.ResponseWriter, r *http.Request) error {
	list, err := p.Clients(r.Context())
	if err != nil {
		return err
	}
	out := make([]clientView, len(list))
	for i, c := range list {
		out[i] = viewOf(c, "")
	}
	return writeJSON(w, http.StatusOK, map[string]any{"clients": out})
}

func (p *Provider) handleShowClient(w http.ResponseWriter, r *http.Request) error {
	c, err := p.Client(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewOf(c, ""))
}

func (p *Provider) handleDeleteClient(w http.ResponseWriter, r *http.Request) error {
	if err := p.DeleteClient(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Provider) handleRotateKeys(w http.ResponseWriter, r *http.Request) error {
	if err := p.RotateKeys(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// handleRegister lets a client register itself where the tenant allows it (RFC 7591 §3). Such a client can only ever ask people: it has no
// access of its own, nobody trusts it, and it knows of no token but its own.
func (p *Provider) handleRegister(w http.ResponseWriter, r *http.Request) error {
	open, err := p.deps.MayRegister(r.Context())
	if err != nil {
		return err
	}
	refuse := func(status int, word, why string) error {
		return writeJSON(w, status, map[string]string{"error": word, "error_description": why})
	}
	if !open {
		return refuse(http.StatusForbidden, "access_denied", "clients of this tenant are registered by its administrator")
	}
	in, err := readRegistration(r)
	if err != nil {
		if fault.Is(err, fault.CodeInvalid) {
			return refuse(http.StatusBadRequest, "invalid_client_metadata", fault.Message(err))
		}
		return err
	}
	in.Trusted, in.Introspect = false, false
	if slices.Contains(in.GrantTypes, grantCredentials) {
		return refuse(http.StatusBadRequest, "invalid_client_metadata", "a backend service is registered by the tenant's administrator")
	}
	if in.Scope == "" {
		in.Scope = "openid fhirUser profile launch launch/patient offline_access online_access patient/*.rs user/*.rs"
	}
	c, secret, word, err := p.register(r.Context(), in, true)
	switch {
	case fault.Is(err, fault.CodeInvalid):
		return refuse(http.StatusBadRequest, word, fault.Message(err))
	case err != nil:
		return err
	}
	return writeJSON(w, http.StatusCreated, viewOf(c, secret))
}

// handleConsents lists what the user who asks agreed to: a page for browsers, else JSON.
func (p *Provider) handleConsents(w http.ResponseWriter, r *http.Request) error {
	page := strings.Contains(r.Header.Get("Accept"), "text/html")
	who, ok := p.deps.People.SignedIn(r)
	if !ok {
		tenant, err := tenantOf(r.Context())
		if err == nil && page {
			redirect(w, p.deps.People.SignInPath(tenant, r.URL.Path, false))
			return nil
		}
		return errors.Join(fault.Unauthenticated("nobody is signed in"), err)
	}
	list, err := p.Consents(r.Context(), who.User)
	if err != nil {
		return err
	}
	if page {
		v := ConsentsPage{User: who.Name, Action: r.URL.Path}
		for _, c := range list {
			app := ConsentsApp{Client: c.Client, Name: c.Name, Given: c.Given[:len("2006-01-02")]}
			for _, s := range c.Scopes {
				app.Words = append(app.Words, words(s))
			}
			v.Apps = append(v.Apps, app)
		}
		return p.deps.Pages.Consents(w, v)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"consents": append([]Consent{}, list...)})
}

// handleRevokeConsentForm takes one back, as the page asks.
func (p *Provider) handleRevokeConsentForm(w http.ResponseWriter, r *http.Request) error {
	if err := p.onceEach(r); err != nil {
		return p.answerError(w, r, err)
	}
	if err := p.takeBack(r, r.PostForm.Get(FieldClient)); err != nil && !fault.Is(err, fault.CodeNotFound) {
		return err
	}
	redirect(w, r.URL.Path)
	return nil
}

// handleRevokeConsent takes one back.
func (p *Provider) handleRevokeConsent(w http.ResponseWriter, r *http.Request) error {
	if err := p.takeBack(r, r.PathValue("client")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Provider) takeBack(r *http.Request, client string) error {
	who, ok := p.deps.People.SignedIn(r)
	if !ok {
		return fault.Unauthenticated("nobody is signed in")
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return fault.Denied("this is another site's request")
	}
	return p.RevokeConsent(r.Context(), who.User, client)
}
