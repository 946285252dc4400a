package app

import (
	"context"
	"net/http"
	"time"

	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/identity"
	"ward/internal/kernel/identity/oauth"
	"ward/internal/kernel/journal"
	"ward/internal/kernel/outbox"
	"ward/internal/kernel/tenancy"
)

// Desk does what operators ask for on the command line, on the data itself or through the process that has it open.
type Desk interface {
	CreateTenant(ctx context.Context, slug, name string, settings tenancy.Settings) (tenancy.Tenant, error)
	ListTenants(ctx context.Context) ([]tenancy.Tenant, error)
	SetTenantStatus(ctx context.Context, slug, status string) error
	SetTenantSettings(ctx context.Context, slug string, settings tenancy.Settings) error
	SetTenantLimits(ctx context.Context, slug string, limits map[string]int64) error
	TierDesk

	// CreateToken mints a token for the tenant, or for an operator when tenant is "".
	CreateToken(ctx context.Context, tenant, role, name string, lifetime time.Duration) (secret string, t identity.Token, err error)
	ListTokens(ctx context.Context, tenant string) ([]identity.Token, error)
	RevokeToken(ctx context.Context, id string) error

	// CreateClient registers an app or a backend service of the tenant. The secret, of a client that has one, is given this once.
	CreateClient(ctx context.Context, tenant string, r oauth.Registration) (c oauth.Client, secret string, err error)
	ListClients(ctx context.Context, tenant string) ([]oauth.Client, error)
	Client(ctx context.Context, tenant, id string) (oauth.Client, error)
	DeleteClient(ctx context.Context, tenant, id string) error

	// InvitePerson makes an account; the others look after accounts by id or e-mail address.
	InvitePerson(ctx context.Context, tenant string, i PersonInvitation) (PersonEntry, error)
	ListPeople(ctx context.Context, tenant string) ([]PersonEntry, error)
	ActOnPerson(ctx context.Context, tenant, who, act string, byHand bool) (PersonEntry, error)
	PersonSessions(ctx context.Context, tenant, who string) ([]SessionEntry, error)

	// Import stores what the sources hold in the tenant's records. See [ImportReport].
	Import(ctx context.Context, tenant string, sources []ImportSource, o ImportOptions) (ImportReport, error)

	// DeadLetters lists events of the tenant that a consumer (all, for "") could not handle, oldest first, at most limit.
	DeadLetters(ctx context.Context, tenant, consumer string, limit int) ([]outbox.DeadEvent, error)
	// Replay hands dead events to their consumer again, and Discard forgets them: those with the ids, all without any. They say how many.
	Replay(ctx context.Context, tenant, consumer string, ids []string) (int, error)
	Discard(ctx context.Context, tenant, consumer string, ids []string) (int, error)

	// AuditQuery reads a page of the tenant's audit log, the system's for "". AuditVerify proves its chain, also with the public keys of others.
	AuditQuery(ctx context.Context, tenant string, q audit.Query) (AuditPage, error)
	AuditVerify(ctx context.Context, tenant string, keys [][]byte) (AuditReport, error)

	// ListKeys tells the state of all tenants' keys, 0 the system's.
	ListKeys(ctx context.Context) ([]KeyState, error)
	// ActOnKeys rotates a tenant's key ("rotate"), adds a data key ("renew"), or has the present key service wrap all that the former did ("rewrap", for all
	// tenants). It says how many tenants' keys were changed.
	ActOnKeys(ctx context.Context, act, tenant string) (int, error)

	Close(ctx context.Context) error
}

// OpenDesk opens the data, or finds the process that has it: only embedded databases are one process's own.
func OpenDesk(ctx context.Context, c Config, o Options) (Desk, error) {
	if c.Embedded()[0] {
		remote, err := dialControl(ctx, c.Data)
		if err != nil {
			return nil, err
		}
		if remote != nil {
			return &remoteDesk{remote}, nil
		}
	}
	a, err := Open(ctx, c, o)
	if err != nil {
		return nil, err
	}
	return &localDesk{a}, nil
}

// Desk works on the App's own data. Closing it closes the App.
func (a *App) Desk() Desk { return &localDesk{a} }

type localDesk struct{ app *App }

func (d *localDesk) CreateTenant(ctx context.Context, slug, name string, s tenancy.Settings) (tenancy.Tenant, error) {
	return d.app.Tiers.Create(ctx, slug, tenancy.Terms{Name: name, Settings: s})
}

func (d *localDesk) ListTenants(ctx context.Context) ([]tenancy.Tenant, error) {
	return d.app.Tenants.List(ctx)
}

func (d *localDesk) SetTenantStatus(ctx context.Context, slug, status string) error {
	return d.app.Tiers.SetStatus(ctx, slug, status)
}

func (d *localDesk) SetTenantSettings(ctx context.Context, slug string, s tenancy.Settings) error {
	return d.app.Tiers.SetSettings(ctx, slug, s)
}

func (d *localDesk) SetTenantLimits(ctx context.Context, slug string, limits map[string]int64) error {
	return d.app.Tiers.SetLimits(ctx, slug, limits)
}

func (d *localDesk) tenant(ctx context.Context, slug string) (scope.Tenant, error) {
	if slug == "" {
		return scope.Tenant{}, nil
	}
	t, err := d.app.Tenants.Get(ctx, slug)
	return t.Tenant, err
}

func (d *localDesk) CreateToken(ctx context.Context, tenant, role, name string, lifetime time.Duration) (string, identity.Token, error) {
	t, err := d.tenant(ctx, tenant)
	if err != nil {
		return "", identity.Token{}, err
	}
	secret, token, err := d.app.Tokens.Create(ctx, t, role, name, lifetime)
	if err != nil {
		return "", identity.Token{}, err
	}
	return secret, token, d.noted(ctx, tenant, audit.Event{Action: audit.Grant, Type: "token", ID: token.ID, Detail: "token " + role})
}

func (d *localDesk) ListTokens(ctx context.Context, tenant string) ([]identity.Token, error) {
	t, err := d.tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return d.app.Tokens.List(ctx, t.ID)
}

func (d *localDesk) RevokeToken(ctx context.Context, id string) error {
	if err := d.app.Tokens.Revoke(ctx, id); err != nil {
		return err
	}
	return d.noted(ctx, "", audit.Event{Action: audit.Revoke, Type: "token", ID: id, Detail: "token"})
}

func (d *localDesk) Import(ctx context.Context, slug string, sources []ImportSource, o ImportOptions) (ImportReport, error) {
	target, err := d.app.importTarget(ctx, slug)
	if err != nil {
		return ImportReport{}, err
	}
	return runImport(ctx, target, sources, o)
}

// within is ctx in the scope of the tenant.
func (d *localDesk) within(ctx context.Context, slug string) (context.Context, error) {
	t, err := d.app.Tenants.Get(ctx, slug)
	return scope.WithTenant(ctx, t.Tenant), err
}

func (d *localDesk) DeadLetters(ctx context.Context, slug, consumer string, limit int) ([]outbox.DeadEvent, error) {
	ctx, err := d.within(ctx, slug)
	if err != nil {
		return nil, err
	}
	return d.app.Outbox.Dead(ctx, consumer, nil, limit)
}

func (d *localDesk) Replay(ctx context.Context, slug, consumer string, ids []string) (int, error) {
	ctx, err := d.within(ctx, slug)
	if err != nil {
		return 0, err
	}
	return d.app.Outbox.Replay(ctx, consumer, ids...)
}

func (d *localDesk) Discard(ctx context.Context, slug, consumer string, ids []string) (int, error) {
	ctx, err := d.within(ctx, slug)
	if err != nil {
		return 0, err
	}
	return d.app.Outbox.Discard(ctx, consumer, ids...)
}

func (d *localDesk) Close(ctx context.Context) error { return d.app.Close(ctx) }

// What goes over the wire.
type (
	tenantWire struct {
		Slug, Name, Status string
		Settings           tenancy.Settings
		Limits             map[string]int64
	}
	tokenWire struct {
		Tenant, Role, Name, ID string
		Lifetime               time.Duration
	}
	tokenMade struct {
		Secret string
		Token  identity.Token
	}
	deadWire struct {
		Tenant, Consumer string
		Limit            int
		IDs              []string
	}
	importWire struct {
		Tenant string
		Bodies [][]byte
		Hashes []journal.Hash
	}
)

// controlMux is every operation of the desk.
func (a *App) controlMux() *http.ServeMux {
	d := &localDesk{a}
	mux := http.NewServeMux()
	d.personOperations(mux)
	d.tierOperations(mux)
	operation(mux, "ping", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	operation(mux, "tenant-create", func(ctx context.Context, in tenantWire) (tenancy.Tenant, error) {
		return d.CreateTenant(ctx, in.Slug, in.Name, in.Settings)
	})
	operation(mux, "tenant-list", func(ctx context.Context, _ struct{}) ([]tenancy.Tenant, error) { return d.ListTenants(ctx) })
	operation(mux, "tenant-status", func(ctx context.Context, in tenantWire) (struct{}, error) {
		return struct{}{}, d.SetTenantStatus(ctx, in.Slug, in.Status)
	})
	operation(mux, "tenant-settings", func(ctx context.Context, in tenantWire) (struct{}, error) {
		return struct{}{}, d.SetTenantSettings(ctx, in.Slug, in.Settings)
	})
	operation(mux, "tenant-limits", func(ctx context.Context, in tenantWire) (struct{}, error) {
		return struct{}{}, d.SetTenantLimits(ctx, in.Slug, in.Limits)
	})
	operation(mux, "token-create", func(ctx context.Context, in tokenWire) (out tokenMade, err error) {
		out.Secret, out.Token, err = d.CreateToken(ctx, in.Tenant, in.Role, in.Name, in.Lifetime)
		return out, err
	})
	operation(mux, "token-list", func(ctx context.Context, in tokenWire) ([]identity.Token, error) { return d.ListTokens(ctx, in.Tenant) })
	operation(mux, "token-revoke", func(ctx context.Context, in tokenWire) (struct{}, error) {
		return struct{}{}, d.RevokeToken(ctx, in.ID)
	})
	d.clientOperations(mux)
	auditControl(mux, d)
	d.keyOperations(mux)
	operation(mux, "dead-list", func(ctx context.Context, in deadWire) ([]outbox.DeadEvent, error) {
		return d.DeadLetters(ctx, in.Tenant, in.Consumer, in.Limit)
	})
	operation(mux, "dead-replay", func(ctx context.Context, in deadWire) (int, error) {
		return d.Replay(ctx, in.Tenant, in.Consumer, in.IDs)
	})
	operation(mux, "dead-discard", func(ctx context.Context, in deadWire) (int, error) {
		return d.Discard(ctx, in.Tenant, in.Consumer, in.IDs)
	})
	operation(mux, "import-bundle", func(ctx context.Context, in importWire) (imported, error) {
		return withTarget(ctx, a, in.Tenant, func(t importTarget) (imported, error) { return t.bundle(ctx, in.Bodies[0]) })
	})
	operation(mux, "import-resources", func(ctx context.Context, in importWire) (imported, error) {
		return withTarget(ctx, a, in.Tenant, func(t importTarget) (imported, error) { return t.resources(ctx, in.Bodies) })
	})
	operation(mux, "import-done", func(ctx context.Context, in importWire) ([]journal.Hash, error) {
		j, err := a.importJournal(ctx, in.Tenant)
		if err != nil {
			return nil, err
		}
		return j.All(), nil
	})
	operation(mux, "import-mark", func(ctx context.Context, in importWire) (struct{}, error) {
		j, err := a.importJournal(ctx, in.Tenant)
		if err != nil {
			return struct{}{}, err
		}
		for _, h := range in.Hashes {
			if err := j.Mark(ctx, h); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, j.Flush(ctx)
	})
	return mux
}

type remoteDesk struct{ c *caller }

func (d *remoteDesk) CreateTenant(ctx context.Context, slug, name string, s tenancy.Settings) (tenancy.Tenant, error) {
	return call[tenancy.Tenant](ctx, d.c, "tenant-create", tenantWire{Slug: slug, Name: name, Settings: s})
}

func (d *remoteDesk) ListTenants(ctx context.Context) ([]tenancy.Tenant, error) {
	return call[[]tenancy.Tenant](ctx, d.c, "tenant-list", struct{}{})
}

func (d *remoteDesk) SetTenantStatus(ctx context.Context, slug, status string) error {
	_, err := call[struct{}](ctx, d.c, "tenant-status", tenantWire{Slug: slug, Status: status})
	return err
}

func (d *remoteDesk) SetTenantSettings(ctx context.Context, slug string, s tenancy.Settings) error {
	_, err := call[struct{}](ctx, d.c, "tenant-settings", tenantWire{Slug: slug, Settings: s})
	return err
}

func (d *remoteDesk) SetTenantLimits(ctx context.Context, slug string, limits map[string]int64) error {
	_, err := call[struct{}](ctx, d.c, "tenant-limits", tenantWire{Slug: slug, Limits: limits})
	return err
}

func (d *remoteDesk) CreateToken(ctx context.Context, tenant, role, name string, lifetime time.Duration) (string, identity.Token, error) {
	made, err := call[tokenMade](ctx, d.c, "token-create", tokenWire{Tenant: tenant, Role: role, Name: name, Lifetime: lifetime})
	return made.Secret, made.Token, err
}

func (d *remoteDesk) ListTokens(ctx context.Context, tenant string) ([]identity.Token, error) {
	return call[[]identity.Token](ctx, d.c, "token-list", tokenWire{Tenant: tenant})
}

func (d *remoteDesk) RevokeToken(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, d.c, "token-revoke", tokenWire{ID: id})
	return err
}

func (d *remoteDesk) Import(ctx context.Context, slug string, sources []ImportSource, o ImportOptions) (ImportReport, error) {
	hashes, err := call[[]journal.Hash](ctx, d.c, "import-done", importWire{Tenant: slug})
	if err != nil {
		return ImportReport{}, err
	}
	t := &remoteTarget{c: d.c, tenant: slug, known: make(map[journal.Hash]bool, len(hashes))}
	for _, h := range hashes {
		t.known[h] = true
	}
	return runImport(ctx, t, sources, o)
}

func (d *remoteDesk) DeadLetters(ctx context.Context, slug, consumer string, limit int) ([]outbox.DeadEvent, error) {
	return call[[]outbox.DeadEvent](ctx, d.c, "dead-list", deadWire{Tenant: slug, Consumer: consumer, Limit: limit})
}

func (d *remoteDesk) Replay(ctx context.Context, slug, consumer string, ids []string) (int, error) {
	return call[int](ctx, d.c, "dead-replay", deadWire{Tenant: slug, Consumer: consumer, IDs: ids})
}

func (d *remoteDesk) Discard(ctx context.Context, slug, consumer string, ids []string) (int, error) {
	return call[int](ctx, d.c, "dead-discard", deadWire{Tenant: slug, Consumer: consumer, IDs: ids})
}

func (d *remoteDesk) Close(context.Context) error {
	d.c.http.CloseIdleConnections()
	return nil
}
