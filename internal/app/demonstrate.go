package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"

	"ward/internal/app/demo"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/serve"
	"ward/internal/kernel/tenancy"
)

// Demo is what demo.json tells scripts.
type Demo struct {
	Base     string            `json:"base"` // such as http://127.0.0.1:8080
	Ops      string            `json:"ops"`  // of /healthz, /readyz and /metrics
	Tenants  []DemoTenant      `json:"tenants"`
	Operator string            `json:"operator"` // a token for /admin
	Tokens   map[string]string `json:"tokens"`   // of the first tenant, by role
	People   []DemoPerson      `json:"people"`   // of the first tenant
}

// DemoPerson is somebody who can sign in.
type DemoPerson struct {
	Role     string `json:"role"`
	Email    string `json:"email"`
	Password string `json:"password"`
	Secret   string `json:"secret"` // of the authenticator app, in base32
	Person   string `json:"person,omitempty"`
	SignIn   string `json:"signIn"`
}

// DemoTenant is one of the demo's tenants.
type DemoTenant struct {
	Slug   string            `json:"slug"`
	Name   string            `json:"name"`
	FHIR   string            `json:"fhir"`   // the FHIR base
	Tokens map[string]string `json:"tokens"` // by role
}

//nolint:gochecknoglobals // constant table
var demoTenants = []struct{ slug, name string }{{"demo", "Demo Clinic"}, {"north", "North Hospital"}}

// DemoFile is where a demo in the folder writes what it has.
func DemoFile(data string) string { return filepath.Join(data, "demo.json") }

// FillDemo makes the demo's tenants and fills the first, unless an earlier start did. It is called before Start.
func (a *App) FillDemo(ctx context.Context, progress func(read, total int64, r ImportReport)) error {
	for _, t := range demoTenants {
		if _, err := a.Tenants.Create(ctx, t.slug, t.name, tenancy.Settings{}); err != nil && !fault.Is(err, fault.CodeConflict) {
			return err
		}
	}
	source := ImportSource{Name: "patients", Size: demo.Size(), Open: func() (io.ReadCloser, error) { return demo.Open(), nil }}
	target, err := a.importTarget(ctx, demoTenants[0].slug)
	if err != nil {
		return err
	}
	if target.done(demoDone) {
		return errors.Join(a.bookingDemo(ctx, target), target.flush(ctx))
	}
	report, err := runImport(ctx, target, []ImportSource{source}, ImportOptions{
		Progress: func(read int64, r ImportReport) { progress(read, demo.Size(), r) },
		Refused: func(r ImportRefusal) error {
			return fault.Internal("the demo's own data was refused: %s, %s: %s", r.File, r.Type, r.Message)
		},
	})
	if err != nil {
		return err
	}
	if err := a.bookingDemo(ctx, target); err != nil {
		return err
	}
	progress(demo.Size(), demo.Size(), report)
	return errors.Join(target.mark(ctx, demoDone), target.flush(ctx))
}

// demoDone marks in the journal that all of the demo's data is there, so that a second start need not unpack it.
var demoDone = [16]byte([]byte("ward demo data 1")) //nolint:gochecknoglobals // a constant

// WriteDemo writes demo.json, readable by its owner alone. Tokens that an earlier start minted are kept while they are good. It is
// called after Start.
func (a *App) WriteDemo(ctx context.Context) (Demo, error) {
	scheme := "http://"
	if a.Config.TLS() {
		scheme = "https://"
	}
	ops := "http://"
	if a.Config.TLS() && !serve.Loopback(a.Config.HTTP.OpsListen) {
		ops = "https://"
	}
	d := Demo{Base: scheme + reachable(a.Addr()), Ops: ops + reachable(a.OpsAddr())}
	earlier := readDemo(DemoFile(a.Config.Data))
	token := func(t scope.Tenant, role, had string) (string, error) {
		if p, id, err := a.Tokens.Verify(ctx, had); err == nil && id == t.ID && p.Role == role {
			return had, nil
		}
		secret, _, err := a.Tokens.Create(ctx, t, role, "demo", 0)
		return secret, err
	}
	for _, x := range demoTenants {
		t, err := a.Tenants.Get(ctx, x.slug)
		if err != nil {
			return d, err
		}
		out := DemoTenant{Slug: t.Slug, Name: t.Name, FHIR: d.Base + "/t/" + t.Slug + "/fhir", Tokens: map[string]string{}}
		for _, role := range access.TenantRoles() {
			if out.Tokens[role], err = token(t.Tenant, role, earlier.token(t.Slug, role)); err != nil {
				return d, err
			}
		}
		d.Tenants = append(d.Tenants, out)
	}
	d.Tokens = d.Tenants[0].Tokens
	var err error
	if d.People, err = a.demoPeople(ctx, d, earlier.People); err != nil {
		return d, err
	}
	if d.Operator, err = token(scope.Tenant{}, access.Operator, earlier.Operator); err != nil {
		return d, err
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return d, fault.Internal("demo.json can't be made").With(err)
	}
	if err := writeFile(DemoFile(a.Config.Data), append(text, '\n')); err != nil {
		return d, fault.Internal("%s can't be written", DemoFile(a.Config.Data)).With(err)
	}
	return d, nil
}

func readDemo(path string) (d Demo) {
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &d) != nil {
		return Demo{} // the first start, or a file that was changed: new tokens then
	}
	return d
}

func (d Demo) token(slug, role string) string {
	for _, t := range d.Tenants {
		if t.Slug == slug {
			return t.Tokens[role]
		}
	}
	return ""
}

// reachable is an address for clients on this machine: 0.0.0.0 and :: listen everywhere but are nowhere.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
