package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/records"
	"ward/internal/format/fhir/search"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/oauth"
	"ward/internal/kernel/identity/people"
	"ward/internal/web/consent"
)

// buildOAuth makes the tenants' OAuth2 provider.
func (a *App) buildOAuth() error {
	pages, err := consent.New()
	if err != nil {
		return err
	}
	a.OAuth, err = oauth.New(oauth.Deps{
		DB: a.Backends.DB, Clock: a.clock, Log: a.log, Tenants: a.Tenants, All: a.allTenants, People: signedIn{a}, Patients: chosen{a}, Pages: pages, Audit: a.Audit,
		Secret: a.Backends.keys.oauth, Keys: a.Backends.Seal, BaseURL: a.Config.HTTP.PublicURL, Rights: access.WithRights,
		MayRegister: func(ctx context.Context) (bool, error) {
			s, err := a.Tenants.Settings(ctx)
			return s.DynamicRegistration, err
		},
	})
	return err
}

// signedIn is people as the OAuth provider asks for them.
type signedIn struct{ app *App }

func (s signedIn) SignedIn(r *http.Request) (oauth.SignedIn, bool) {
	found, ok := s.app.Sessions.FromRequest(r)
	if !ok {
		return oauth.SignedIn{}, false
	}
	return oauth.SignedIn{Account: accountOf(found.Account()), Session: found.ID, AuthTime: found.AuthTime, AMR: found.AMR, ACR: found.ACR}, true
}

func (s signedIn) Account(ctx context.Context, user string) (oauth.Account, error) {
	p, err := s.app.People.Get(ctx, user)
	if err == nil && p.State != people.Active {
		err = fault.NotFound("this account is closed")
	}
	return accountOf(p), err
}

func accountOf(p people.Person) oauth.Account {
	name := p.Name.Reveal()
	if name == "" {
		name = p.Email.Reveal()
	}
	return oauth.Account{User: p.ID, Name: name, Role: p.Role, Person: p.Reference, Patients: p.Patients, Sensitive: p.Sensitive}
}

func (s signedIn) Alive(ctx context.Context, user, session string) (bool, error) {
	list, err := s.app.Sessions.List(ctx, user)
	for _, found := range list {
		if found.ID == session {
			return true, nil
		}
	}
	return false, err
}

func (s signedIn) SignInPath(t scope.Tenant, back string, again bool) string {
	v := url.Values{"return": {back}}
	if again {
		v.Set("again", "1")
	}
	return "/t/" + t.Slug + "/signin?" + v.Encode()
}

// chosen are the patients that apps are launched for, as far as the context's principal may see them.
type chosen struct{ app *App }

// mostPatients is how many the page to choose from shows.
const mostPatients = 20

func (c chosen) Find(ctx context.Context, text string) ([]oauth.Patient, error) {
	var found []oauth.Patient
	seen := map[string]bool{}
	for _, pairs := range criteria(text) {
		query, err := search.Parse(search.Standard(), "Patient", pairs, search.Options{Now: c.app.clock.Now()})
		if err != nil {
			return nil, err
		}
		query.Count, query.Total = mostPatients, search.TotalNone
		page, err := c.app.Records.Search(ctx, records.Request{Query: query})
		if err != nil {
			return nil, err
		}
		for _, v := range page.Matches {
			p, err := patientOf(v)
			if err != nil {
				return nil, err
			}
			if !seen[p.ID] && len(found) < mostPatients {
				seen[p.ID] = true
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// criteria are searches for a patient by what somebody typed: by identifier, and by the beginnings of names.
func criteria(text string) [][]search.Pair {
	words := strings.Fields(text)
	if len(text) > 100 || len(words) == 0 || len(words) > 5 {
		return nil
	}
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`)
	var byName []search.Pair
	for _, w := range words {
		byName = append(byName, search.Pair{Name: "name", Value: escape.Replace(w)})
	}
	out := [][]search.Pair{byName}
	if len(words) == 1 && strings.ContainsAny(text, "0123456789") {
		out = append([][]search.Pair{{{Name: "identifier", Value: escape.Replace(words[0])}}}, out...)
	}
	return out
}

func (c chosen) Get(ctx context.Context, id string) (oauth.Patient, error) {
	v, err := c.app.Records.Read(ctx, "Patient", id)
	if err != nil {
		return oauth.Patient{}, err
	}
	return patientOf(v)
}

func (c chosen) HasEncounter(ctx context.Context, id, patient string) (bool, error) {
	v, err := c.app.Records.Read(ctx, "Encounter", id)
	if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var e struct {
		Subject struct {
			Reference string `json:"reference"`
		} `json:"subject"`
	}
	if err := json.Unmarshal(v.JSON, &e); err != nil {
		return false, fault.Internal("an encounter can't be read").With(err)
	}
	return e.Subject.Reference == "Patient/"+patient, nil
}

// patientOf is what tells a patient from others.
func patientOf(v *records.Version) (oauth.Patient, error) {
	var p struct {
		Name []struct {
			Text   string   `json:"text"`
			Family string   `json:"family"`
			Given  []string `json:"given"`
			Use    string   `json:"use"`
		} `json:"name"`
		BirthDate  string `json:"birthDate"`
		Identifier []struct {
			Value string `json:"value"`
			Type  struct {
				Coding []struct {
					Code string `json:"code"`
				} `json:"coding"`
			} `json:"type"`
		} `json:"identifier"`
	}
	if err := json.Unmarshal(v.JSON, &p); err != nil {
		return oauth.Patient{}, fault.Internal("a patient can't be read").With(err)
	}
	out := oauth.Patient{ID: v.ID, Name: "No name", Born: p.BirthDate}
	for i, n := range p.Name {
		if i > 0 && n.Use != "official" && n.Use != "usual" {
			continue
		}
		if out.Name = n.Text; out.Name == "" {
			out.Name = strings.TrimSpace(strings.Join(n.Given, " ") + " " + n.Family)
		}
	}
	for i, n := range p.Identifier {
		record := len(n.Type.Coding) > 0 && n.Type.Coding[0].Code == "MR"
		if i == 0 || record {
			out.Identifier = n.Value
		}
		if record {
			break
		}
	}
	return out, nil
}
