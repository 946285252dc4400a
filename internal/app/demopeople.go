package app

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/people"
)

// demoPeople are somebody of each role, all with one password, in the first tenant. Those of an earlier start are kept.
func (a *App) demoPeople(ctx context.Context, d Demo, earlier []DemoPerson) ([]DemoPerson, error) {
	t, err := a.Tenants.Get(ctx, demoTenants[0].slug)
	if err != nil {
		return nil, err
	}
	ctx = scope.WithTenant(ctx, t.Tenant)
	patients, err := demoIDs(ctx, d, "Patient")
	if err != nil {
		return nil, err
	}
	practitioners, err := demoIDs(ctx, d, "Practitioner")
	if err != nil {
		return nil, err
	}
	password := strings.ToLower(rand.Text()[:4] + "-" + rand.Text()[:4] + "-" + rand.Text()[:4] + "-" + rand.Text()[:4])
	if len(earlier) > 0 {
		password = earlier[0].Password
	}
	var out []DemoPerson
	staff := 0
	for _, role := range people.Roles() {
		p := DemoPerson{Role: role, Email: role + "@demo.example", Password: password, SignIn: d.Base + "/t/" + t.Slug + "/signin"}
		i := people.Invitation{Email: p.Email, Name: "Demo " + role, Role: role}
		switch role {
		case access.Patient:
			if len(patients) > 0 {
				i.Reference = "Patient/" + patients[0]
			}
		case access.Proxy:
			if len(patients) > 1 {
				i.Patients = patients[:2]
			}
		case access.Clinician, access.Nurse:
			if staff < len(practitioners) {
				i.Reference = "Practitioner/" + practitioners[staff]
				staff++
			}
		}
		p.Person = i.Reference
		if k := slices.IndexFunc(earlier, func(e DemoPerson) bool { return e.Email == p.Email }); k >= 0 {
			p.Secret = earlier[k].Secret
		}
		if p.Secret == "" {
			var random [20]byte
			_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
			p.Secret = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:])
		}
		err := a.People.Plant(ctx, i, p.Password, p.Secret)
		if fault.Is(err, fault.CodeInvalid) {
			continue // nobody to be a patient or proxy of
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// demoIDs asks the demo itself for the ids of a few resources of the type.
func demoIDs(ctx context.Context, d Demo, typ string) ([]string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Tenants[0].FHIR+"/"+typ+"?_count=4&_elements=id", nil)
	if err != nil {
		return nil, fault.Internal("the demo can't be asked").With(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.Tokens[access.Admin])
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fault.Unavailable("the demo does not answer").With(err)
	}
	defer res.Body.Close()
	var bundle struct {
		Entry []struct {
			Resource struct {
				ID string `json:"id"`
			} `json:"resource"`
		} `json:"entry"`
	}
	if err := json.NewDecoder(res.Body).Decode(&bundle); err != nil {
		return nil, fault.Internal("the demo's answer can't be read").With(err)
	}
	var ids []string
	for _, e := range bundle.Entry {
		ids = append(ids, e.Resource.ID)
	}
	return ids, nil
}
