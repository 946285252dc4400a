package oauth

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ory/fosite"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

// askConsent shows what the client wants.
func (a *authorization) askConsent(w http.ResponseWriter) error {
	_, declined, err := a.p.consented(a.ctx, a.who.User, a.client.ID)
	if err != nil {
		return err
	}
	page := ConsentPage{
		App: a.client.Name, Unproven: a.client.unproven(), Lasts: a.lasts(), User: a.who.Name, Patient: a.patient, Action: a.base.path() + "/oauth2/consent",
	}
	if u, err := url.Parse(a.form.Get("redirect_uri")); err == nil {
		page.AppHost, page.Origin = u.Host, u.Scheme+"://"+u.Host
		if u.Scheme != "https" && u.Scheme != "http" {
			page.AppHost, page.Origin = u.Scheme, u.Scheme+":"
		}
	}
	for _, s := range a.scopes {
		parsed, resource := parseScope(s)
		page.Scopes = append(page.Scopes, ConsentScope{
			Scope: s, Words: words(s), Checked: !slices.Contains(declined, s),
			Sensitive: s == scopeOffline || resource && (strings.ContainsAny(parsed.actions, "cud") || parsed.context == contextUser),
		})
	}
	page.Hidden = a.sealed()
	return a.p.deps.Pages.Consent(w, page)
}

// lasts says for how long the client gets what it asks for.
func (a *authorization) lasts() string {
	refreshes := a.client.may(grantRefresh)
	switch {
	case refreshes && covered(a.scopes, scopeOffline):
		return "at most 180 days, and 30 days after it was used last"
	case refreshes && covered(a.scopes, scopeOnline):
		return "as long as you are signed in"
	default:
		return "one hour"
	}
}

// sealed is the request as it goes with the consent page's form: only this session's user can send it back, for a while, unchanged.
func (a *authorization) sealed() map[string]string {
	form := clone(a.form)
	form.Del(fieldAfter)
	form.Del(fieldSigned)
	form.Del(FieldText)
	if a.patient != nil && a.picked {
		form.Set(FieldPatient, a.patient.ID)
	}
	query := form.Encode()
	until := strconv.FormatInt(a.p.now().Add(consentWait).UnixMilli(), 10)
	return map[string]string{fieldRequest: query, fieldUntil: until, fieldSigned: a.p.sealer.sign("consent", query, until, a.who.Session, a.base.issuer())}
}

// handleConsent takes the answer of the consent page.
func (p *Provider) handleConsent(w http.ResponseWriter, r *http.Request) error {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return p.failAuthorize(w, r, nil, fosite.ErrInvalidRequest.WithHint("The body must be a form."))
	}
	if err := r.ParseForm(); err != nil {
		if _, ok := fault.Of(err); ok {
			return err
		}
		return p.failAuthorize(w, r, nil, fosite.ErrInvalidRequest.WithHint("The form can't be read."))
	}
	stale := fosite.ErrInvalidRequest.WithHint("This page is too old, or not of this session. Go back to the app and begin again.")
	who, ok := p.deps.People.SignedIn(r)
	b, err := p.base(r.Context(), r)
	if err != nil {
		return err
	}
	query, until := r.PostForm.Get(fieldRequest), r.PostForm.Get(fieldUntil)
	if !ok || !p.sealer.signed(r.PostForm.Get(fieldSigned), "consent", query, until, who.Session, b.issuer()) {
		return p.failAuthorize(w, r, nil, stale)
	}
	if ms, err := strconv.ParseInt(until, 10, 64); err != nil || p.now().After(moment(ms)) {
		return p.failAuthorize(w, r, nil, stale)
	}
	form, err := url.ParseQuery(query)
	if err != nil {
		return p.failAuthorize(w, r, nil, stale)
	}
	a, err := p.authorization(r, form)
	if err != nil {
		return p.failAuthorize(w, r, a, err)
	}
	a.form.Del("prompt") // these have been seen to
	a.form.Del("max_age")
	if onward, err := a.signIn(w); err != nil || onward {
		return a.failed(w, err)
	}
	if onward, err := a.context(w); err != nil || onward {
		return a.failed(w, err)
	}
	return a.failed(w, a.decide(w, r.PostForm))
}

// decide grants what the user agreed to.
func (a *authorization) decide(w http.ResponseWriter, answer url.Values) error {
	if answer.Get(FieldDecision) != "allow" {
		return fosite.ErrAccessDenied.WithHint("The user said no.")
	}
	agreed := slices.DeleteFunc(slices.Clone(a.scopes), func(s string) bool { return !slices.Contains(answer[FieldScope], s) })
	if len(agreed) == 0 {
		return fosite.ErrAccessDenied.WithHint("The user agreed to nothing.")
	}
	kept := slices.Clone(agreed)
	for _, s := range a.scopes {
		if !slices.Contains(agreed, s) {
			kept = append(kept, no+s)
		}
	}
	if err := a.p.keepConsent(a.ctx, a.who.User, a.client.ID, kept); err != nil {
		return err
	}
	return a.grant(w, agreed)
}

// agreed says whether the user agreed to all of it before.
func (a *authorization) agreed() (bool, error) {
	before, _, err := a.p.consented(a.ctx, a.who.User, a.client.ID)
	return len(before) > 0 && !slices.ContainsFunc(a.scopes, func(s string) bool { return !covered(before, s) }), err
}

// Consent is what a user agreed that a client may have.
type Consent struct {
	Client string   `json:"client_id"`
	Name   string   `json:"client_name"`
	Scopes []string `json:"scopes"`
	Given  string   `json:"given"` // RFC 3339
}

// no stands before a scope that the user took out, among those that are kept.
const no = "-"

// consented is what the user agreed to, and what they took out, when they were asked last.
func (p *Provider) consented(ctx context.Context, account, client string) (agreed, declined []string, err error) {
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		agreed, declined = nil, nil
		return q.Query(ctx, "SELECT scope FROM identity_oauth_consent WHERE account = $1 AND client = $2", func(r db.Row) error {
			agreed, declined = apart(r.Text(0))
			return nil
		}, account, client)
	})
	return agreed, declined, err
}

func apart(kept string) (agreed, declined []string) {
	for _, s := range fields(kept) {
		if out, ok := strings.CutPrefix(s, no); ok {
			declined = append(declined, out)
		} else {
			agreed = append(agreed, s)
		}
	}
	return agreed, declined
}

func (p *Provider) keepConsent(ctx context.Context, account, client string, scopes []string) error {
	err := p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Upsert(ctx, "identity_oauth_consent", []string{"account", "client"}, db.Col("account", []string{account}), db.Col("client", []string{client}),
			db.Col("scope", []string{strings.Join(scopes, " ")}), db.Col("given", []int64{p.now().UnixMilli()}))
		return err
	})
	if err == nil {
		err = p.record(ctx, audit.Grant, client, "consent")
	}
	return err
}

// Consents are a user's.
func (p *Provider) Consents(ctx context.Context, account string) (list []Consent, err error) {
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		list = nil
		return q.Query(ctx, "SELECT client, scope, given FROM identity_oauth_consent WHERE account = $1 ORDER BY given", func(r db.Row) error {
			agreed, _ := apart(r.Text(1))
			list = append(list, Consent{Client: r.Text(0), Scopes: agreed, Given: moment(r.Int64(2)).Format("2006-01-02T15:04:05Z07:00")})
			return nil
		}, account)
	})
	for i := range list {
		c, err := p.client(ctx, list[i].Client)
		if err != nil {
			return nil, err
		}
		list[i].Name = c.Name
	}
	return list, err
}

// RevokeConsent takes back what a user agreed to, and with it every grant of theirs to the client. It returns fault.NotFound when there was
// neither.
func (p *Provider) RevokeConsent(ctx context.Context, account, client string) (err error) {
	defer fault.Op(&err, "oauth.RevokeConsent", client)
	var gone hashes
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		gone = nil
		n, err := tx.Exec(ctx, "DELETE FROM identity_oauth_consent WHERE account = $1 AND client = $2", account, client)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFound("there is no consent for this client")
		}
		return p.revokeGrants(ctx, tx, &gone, "account = $2 AND client = $3", account, client)
	})
	p.forget(gone)
	if err == nil {
		err = p.deps.Audit.Record(ctx, audit.Event{Action: audit.Revoke, By: scope.Principal{ID: "user/" + account}, Type: "client", ID: client, Detail: "consent"})
	}
	return err
}

// RevokeAccountIn ends everything that a user granted, with the transaction that closes the account or changes its password; the caller
// calls forget after its commit. What the user agreed to is kept: it is not asked again, but a new sign-in is.
func (p *Provider) RevokeAccountIn(ctx context.Context, tx db.Tx, account string) (forget func(), err error) {
	defer fault.Op(&err, "oauth.RevokeAccountIn", account)
	var gone hashes
	if err := p.revokeGrants(ctx, tx, &gone, "account = $2", account); err != nil {
		return nil, err
	}
	return func() { p.forget(gone) }, nil
}
