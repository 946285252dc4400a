package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity"
)

// launch is what an EHR wants an app to open with.
type launch struct {
	hash hash
	launched
	Client string `json:"client,omitempty"` // the only app it is for; empty: any
}

// LaunchRequest is the body of POST /t/{tenant}/oauth2/launch.
type LaunchRequest struct {
	Client      string          `json:"client_id"` // with it the answer has the URL to open
	Patient     string          `json:"patient"`
	Encounter   string          `json:"encounter"`
	FHIRContext json.RawMessage `json:"fhirContext"`
	Intent      string          `json:"intent"`
	Banner      *bool           `json:"need_patient_banner"`
	StyleURL    string          `json:"smart_style_url"`
}

// handleLaunch makes a launch context of the user who asks: for them alone, once, for five minutes.
func (p *Provider) handleLaunch(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, _ := scope.From(ctx)
	account, ok := strings.CutPrefix(s.Principal.ID, "user/")
	if !ok {
		return fault.Denied("a launch is made by a user who is signed in")
	}
	var in LaunchRequest
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		if _, ok := fault.Of(err); ok {
			return err
		}
		return fault.Invalid("the launch context can't be read: it is a JSON object with client_id, patient, encounter, fhirContext, intent, need_patient_banner and smart_style_url")
	}
	if err := p.checkLaunch(ctx, &in); err != nil {
		return err
	}
	b, err := p.base(ctx, r)
	if err != nil {
		return err
	}
	var c Client
	if in.Client != "" {
		if c, err = p.client(ctx, in.Client); err != nil {
			return err
		}
		if c.ID == "" {
			return fault.Invalid("there is no client with this id")
		}
	}
	l := launch{Client: in.Client, launched: launched{
		Patient: in.Patient, Encounter: in.Encounter, FHIRContext: in.FHIRContext, Intent: in.Intent, Banner: in.Banner, StyleURL: in.StyleURL,
	}}
	text, err := json.Marshal(l)
	if err != nil {
		return fault.Internal("write a launch context").With(err)
	}
	secret := identity.Mint(launchPrefix, s.Tenant.Slug)
	h := hashOf(secret)
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO identity_oauth_launch (hash, account, detail, expires, used) VALUES ($1, $2, $3, $4, 0)",
			h[:], account, string(text), p.now().Add(launchLife).UnixMilli())
		return err
	})
	if err != nil {
		return err
	}
	out := map[string]any{"launch": secret, "iss": b.fhir(), "expires_in": int(launchLife / time.Second)}
	if c.LaunchURL != "" {
		to, err := url.Parse(c.LaunchURL)
		if err != nil {
			return fault.Internal("a registered launch URL can't be read").With(err)
		}
		query := to.Query()
		query.Set("iss", b.fhir())
		query.Set("launch", secret)
		to.RawQuery = query.Encode()
		out["url"] = to.String()
	}
	return writeJSON(w, http.StatusCreated, out)
}

func (p *Provider) checkLaunch(ctx context.Context, in *LaunchRequest) error {
	if in.Patient == "" && in.Encounter != "" {
		return fault.Invalid("an encounter goes with its patient")
	}
	if in.Patient != "" {
		if !id.Valid(in.Patient) {
			return fault.Invalid("patient is the id of a Patient")
		}
		if _, err := p.deps.Patients.Get(ctx, in.Patient); err != nil {
			return err
		}
	}
	if in.Encounter != "" {
		has, err := false, error(nil)
		if id.Valid(in.Encounter) {
			has, err = p.deps.Patients.HasEncounter(ctx, in.Encounter, in.Patient)
		}
		if err != nil {
			return err
		}
		if !has {
			return fault.NotFound("the patient has no such encounter")
		}
	}
	if len(in.FHIRContext) > 0 && (len(in.FHIRContext) > 4000 || in.FHIRContext[0] != '[') {
		return fault.Invalid("fhirContext is an array of at most 4,000 bytes")
	}
	if len(in.Intent) > 200 || len(in.StyleURL) > maxURI || in.StyleURL != "" && !strings.HasPrefix(in.StyleURL, "https://") {
		return fault.Invalid("intent has at most 200 bytes, smart_style_url is https")
	}
	return nil
}

// findLaunch is the context of the launch parameter. It refuses one that is not this user's, not this client's, old or used.
func (p *Provider) findLaunch(ctx context.Context, secret, account, client string) (*launch, error) {
	no := fosite.ErrInvalidRequest.WithHint("The launch is not good: it is mistyped, another user's, another app's, older than five minutes or used before.")
	if _, ok := identity.Slug(launchPrefix, secret); !ok {
		return nil, no
	}
	l := launch{hash: hashOf(secret)}
	good := false
	err := p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		good = false
		return q.Query(ctx, "SELECT account, detail, expires, used FROM identity_oauth_launch WHERE hash = $1", func(r db.Row) error {
			good = r.Text(0) == account && p.now().Before(moment(r.Int64(2))) && r.Int64(3) == 0
			return json.Unmarshal([]byte(r.Text(1)), &l)
		}, l.hash[:])
	})
	if err != nil {
		return nil, err
	}
	if !good || l.Client != "" && l.Client != client {
		p.deps.Audit.Security(ctx, audit.Denied, "launch")
		return nil, no
	}
	return &l, nil
}

// useLaunch uses it up.
func (p *Provider) useLaunch(ctx context.Context, l *launch) error {
	return p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE identity_oauth_launch SET used = $1 WHERE hash = $2 AND used = 0", p.now().UnixMilli(), l.hash[:])
		if err == nil && n == 0 {
			err = fosite.ErrInvalidRequest.WithHint("The launch was used before.")
		}
		return err
	})
}
