package tiers

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
	"ward/internal/kernel/tenancy"
)

const (
	longTime     = 4 * time.Hour // for an archive on its way
	mostArchive  = 1 << 40       // bytes
	passphraseIn = "Ward-Archive-Passphrase"
	identityIn   = "Ward-Archive-Identity"
)

// Module is the operators' routes to tenants, and the runner that looks after what was left behind.
func (s *Service) Module() module.Module {
	quick := func(method, pattern, summary string, handle func(w http.ResponseWriter, r *http.Request) error) module.Route {
		return module.Route{
			Method: method, Pattern: pattern, Target: module.API, Lane: module.Interactive, Permission: access.SystemManage, BodyLimit: 1 << 20,
			Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: summary, Handler: handle,
		}
	}
	long := func(r module.Route, limit int64) module.Route {
		r.Lane, r.Timeout, r.BodyLimit, r.Objective.Latency = module.Background, longTime, limit, time.Hour
		return r
	}
	return module.Module{
		Name: "tiers",
		Routes: []module.Route{
			quick("GET", "/admin/tenants", "List the tenants", s.handleList),
			quick("POST", "/admin/tenants", "Create a tenant", s.handleCreate),
			quick("GET", "/admin/tenants/{slug}", "Show a tenant and the work on it", s.handleShow),
			quick("DELETE", "/admin/tenants/{slug}", "Delete a tenant: at once unreachable, later destroyed", s.handleDelete),
			quick("POST", "/admin/tenants/{slug}/suspend", "Refuse everybody; the data stays", s.handleStatus(tenancy.Suspended)),
			quick("POST", "/admin/tenants/{slug}/resume", "Let everybody in again", s.handleStatus(tenancy.Active)),
			quick("POST", "/admin/tenants/{slug}/restore", "Bring a deleted tenant back", s.handleRestore),
			quick("POST", "/admin/tenants/{slug}/move", "Move a tenant to another database, or say what that would do", s.handleMove),
			long(quick("POST", "/admin/tenants/{slug}/export", "Export a tenant as an encrypted archive", s.handleExport), 1<<20),
			long(quick("POST", "/admin/tenants/{slug}/import", "Make a tenant of an archive", s.handleImport), mostArchive),
			quick("GET", "/admin/cells", "List the cells", s.handleCells),
			quick("PUT", "/admin/cells/{name}", "Add a cell or change it", s.handleSetCell),
		},
		Runners: []module.Runner{{Name: "tiers", Target: module.All, Run: s.run}},
	}
}

// wireTenant is a tenant as the operators' routes give and take it.
type wireTenant struct {
	Slug     string           `json:"slug"`
	Name     string           `json:"name,omitempty"`
	Status   string           `json:"status,omitempty"`
	Tier     string           `json:"tier,omitempty"`
	Database string           `json:"database,omitempty"` // given: URL; shown: without its password
	Cell     string           `json:"cell,omitempty"`
	Region   string           `json:"region,omitempty"`
	Plan     string           `json:"plan,omitempty"`
	Limits   map[string]int64 `json:"limits,omitempty"`
	KMS      string           `json:"kms,omitempty"`
	Settings json.RawMessage  `json:"settings,omitempty"`
	Created  *time.Time       `json:"created,omitempty"`
	Due      *time.Time       `json:"due,omitempty"`  // destroyed from then on
	Move     *wireMove        `json:"move,omitempty"` // under way
	Work     *wireJob         `json:"work,omitempty"` // the last
}

type wireMove struct {
	Phase string    `json:"phase"`
	Tier  string    `json:"tier"`
	Since time.Time `json:"since"`
}

type wireJob struct {
	Kind    string          `json:"kind"`
	Phase   string          `json:"phase,omitempty"`
	Done    int64           `json:"done"`
	Total   int64           `json:"total,omitempty"`
	Started time.Time       `json:"started"`
	Ended   *time.Time      `json:"ended,omitempty"`
	Failure string          `json:"failure,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
}

func toWire(t tenancy.Tenant, j *Job) wireTenant {
	w := wireTenant{
		Slug: t.Slug, Name: t.Name, Status: t.Status, Tier: t.Tier, Database: t.At, Cell: t.Cell, Region: t.Region, Plan: t.Plan, Limits: t.Limits, KMS: t.KMS,
		Settings: json.RawMessage(t.Settings.Shown().JSON()), Created: &t.Created,
	}
	if !t.Due.IsZero() {
		w.Due = &t.Due
	}
	if m := t.Move; m != nil {
		w.Move = &wireMove{m.Phase, m.Tier, m.Started}
	}
	if j != nil {
		w.Work = &wireJob{Kind: j.Kind, Phase: j.Progress.Phase, Done: j.Progress.Done, Total: j.Progress.Total, Started: j.Started, Failure: j.Failure, Result: j.Result}
		if !j.Ended.IsZero() {
			w.Work.Ended = &j.Ended
		}
	}
	return w
}

func answer(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}

// asked reads a JSON body, which may be empty.
func asked(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		if _, ok := fault.Of(err); ok {
			return err
		}
		return fault.Invalid("the body is not the JSON that this takes: %s", err)
	}
	return nil
}

func (s *Service) handleList(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Directory.List(r.Context())
	if err != nil {
		return err
	}
	out := make([]wireTenant, len(all))
	for i, t := range all {
		out[i] = toWire(t, nil)
	}
	return answer(w, http.StatusOK, out)
}

func (s *Service) handleCreate(w http.ResponseWriter, r *http.Request) error {
	var in wireTenant
	if err := asked(r, &in); err != nil {
		return err
	}
	terms := tenancy.Terms{
		Name: in.Name, Tier: in.Tier, Home: in.Database, Cell: in.Cell, Region: in.Region, Plan: in.Plan, Limits: in.Limits, KMS: in.KMS,
	}
	if len(in.Settings) > 0 {
		var err error
		if terms.Settings, err = tenancy.ParseSettings(string(in.Settings)); err != nil {
			return err
		}
	}
	if err := s.home(terms.Home); err != nil {
		return err
	}
	t, err := s.Create(r.Context(), in.Slug, terms)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/admin/tenants/"+t.Slug)
	return answer(w, http.StatusCreated, toWire(t, nil))
}

func (s *Service) handleShow(w http.ResponseWriter, r *http.Request) error {
	return s.shown(w, r, http.StatusOK)
}

func (s *Service) shown(w http.ResponseWriter, r *http.Request, status int) error {
	st, err := s.Show(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	return answer(w, status, toWire(st.Tenant, st.Job))
}

func (s *Service) handleStatus(status string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.SetStatus(r.Context(), r.PathValue("slug"), status); err != nil {
			return err
		}
		return s.shown(w, r, http.StatusOK)
	}
}

func (s *Service) handleDelete(w http.ResponseWriter, r *http.Request) error {
	grace := time.Duration(0)
	if text := r.URL.Query().Get("grace"); text != "" {
		var err error
		if grace, err = time.ParseDuration(text); err != nil {
			return fault.Invalid("the grace is a duration such as 720h")
		}
	}
	if _, err := s.Delete(r.Context(), r.PathValue("slug"), grace); err != nil {
		return err
	}
	return s.shown(w, r, http.StatusAccepted)
}

func (s *Service) handleRestore(w http.ResponseWriter, r *http.Request) error {
	if err := s.Restore(r.Context(), r.PathValue("slug")); err != nil {
		return err
	}
	return s.shown(w, r, http.StatusOK)
}

func (s *Service) handleMove(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Tier     string `json:"tier"`
		Database string `json:"database"`
		DryRun   bool   `json:"dryRun"`
	}
	if err := asked(r, &in); err != nil {
		return err
	}
	slug, to := r.PathValue("slug"), Place{Tier: in.Tier, Home: in.Database}
	if err := s.home(to.Home); err != nil {
		return err
	}
	plan, err := s.Plan(r.Context(), slug, to)
	if err != nil {
		return err
	}
	if in.DryRun {
		return answer(w, http.StatusOK, struct {
			From  string           `json:"from"`
			To    string           `json:"to"`
			Rows  map[string]int64 `json:"rows"`
			Total int64            `json:"total"`
		}{plan.From, plan.To, plan.Rows, plan.Total})
	}
	if _, err := s.Start(r.Context(), Order{Kind: MoveJob, Tenant: slug, Place: to}); err != nil {
		return err
	}
	return s.shown(w, r, http.StatusAccepted)
}

// home refuses databases that operators may not name over HTTP.
func (s *Service) home(home string) error {
	if home == "" || s.deps.Homes == nil {
		return nil
	}
	return s.deps.Homes(home)
}

// handleExport gives the archive to an operator whom the tenant has let in: whoever runs Ward sees no records by that.
func (s *Service) handleExport(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Recipients []string `json:"recipients"`
		Passphrase string   `json:"passphrase"`
		Grant      string   `json:"grant"` // the tenant's leave
	}
	if err := asked(r, &in); err != nil {
		return err
	}
	to, err := Recipients(in.Recipients, in.Passphrase)
	if err != nil {
		return err
	}
	slug := r.PathValue("slug")
	t, err := s.deps.Directory.Get(r.Context(), slug)
	if err != nil {
		return err
	}
	ctx := r.Context()
	sc, _ := scope.From(ctx)
	if sc.Principal.OnBehalfOf, err = s.deps.Consent(ctx, t.Tenant, in.Grant); err != nil {
		return err
	}
	ctx = scope.With(ctx, sc)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+slug+`.ward.age"`)
	_, err = s.Export(ctx, slug, w, to, nil) // a failure cuts the answer off, and the archive has no manifest
	return err
}

// handleImport keeps the archive, which is encrypted, in a file until it was read twice.
func (s *Service) handleImport(w http.ResponseWriter, r *http.Request) (err error) {
	by, err := Identities(r.Header.Get(identityIn), r.Header.Get(passphraseIn))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "ward-import-*")
	if err != nil {
		return fault.Full("there is no room for the archive").With(err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := io.Copy(f, r.Body); err != nil {
		if _, ok := fault.Of(err); ok {
			return err
		}
		return fault.Invalid("the archive did not arrive whole").With(err)
	}
	t, _, err := s.Import(r.Context(), f, by, Admission{Slug: r.PathValue("slug"), Tier: r.URL.Query().Get("tier"), Home: ""}, nil)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/admin/tenants/"+t.Slug)
	return answer(w, http.StatusCreated, toWire(t, nil))
}

type wireCell struct {
	Name   string `json:"name"`
	Region string `json:"region"`
	URL    string `json:"url"`
}

func (s *Service) handleCells(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Directory.Cells(r.Context())
	if err != nil {
		return err
	}
	out := make([]wireCell, len(all))
	for i, c := range all {
		out[i] = wireCell(c)
	}
	return answer(w, http.StatusOK, out)
}

func (s *Service) handleSetCell(w http.ResponseWriter, r *http.Request) error {
	var in wireCell
	if err := asked(r, &in); err != nil {
		return err
	}
	in.Name = r.PathValue("name")
	if err := s.SetCell(r.Context(), tenancy.Cell(in)); err != nil {
		return err
	}
	return answer(w, http.StatusOK, in)
}
