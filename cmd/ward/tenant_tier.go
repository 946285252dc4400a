package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"ward/internal/base/fault"
	"ward/internal/kernel/tenancy"
	"ward/internal/kernel/tiers"
)

type tenantShowCmd struct {
	place `embed:""`
	Slug  string `arg:"" help:"The tenant."`
}

// Help is shown by --help.
func (tenantShowCmd) Help() string {
	return `Example:
  ward tenant show st-marys`
}

// Run shows the tenant.
func (c *tenantShowCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		s, err := d.ShowTenant(ctx, c.Slug)
		if err != nil {
			return err
		}
		x := s.Tenant
		t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
		row := func(name string, value any) { fmt.Fprintf(t, "%s\t%v\n", name, value) }
		row("slug", x.Slug)
		row("name", x.Name)
		row("status", x.Status)
		if !x.Due.IsZero() {
			row("destroyed", "from "+x.Due.Format(time.RFC3339))
		}
		row("tier", x.Tier)
		row("database", orSystem(x.At))
		row("cell", orNone(x.Cell))
		row("region", orNone(x.Region))
		row("plan", orNone(x.Plan))
		limits, _ := json.Marshal(x.Limits) //nolint:errchkjson // numbers by name
		row("limits", string(limits))
		row("key", orNone(x.KMS))
		row("created", x.Created.Format(time.RFC3339))
		row("settings", x.Settings.Shown().JSON())
		if m := x.Move; m != nil {
			row("on the move", fmt.Sprintf("%s since %s, other database: %s", m.Phase, m.Started.Format(time.RFC3339), orSystem(m.ToAt)))
		}
		if j := s.Job; j != nil {
			row("last work", fmt.Sprintf("%s, %s", j.Kind, standing(*j)))
		}
		return t.Flush()
	})
}

func standing(j tiers.Job) string {
	switch {
	case j.Failure != "":
		return "failed: " + j.Failure
	case !j.Ended.IsZero():
		return "done at " + j.Ended.Format(time.RFC3339)
	default:
		return fmt.Sprintf("%s, %d of %d rows", j.Progress.Phase, j.Progress.Done, j.Progress.Total)
	}
}

func orSystem(at string) string {
	if at == "" {
		return "shared"
	}
	return at
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

type tenantMoveCmd struct {
	place    `embed:""`
	Slug     string `arg:"" help:"The tenant."`
	To       string `help:"Tier: pooled or database." enum:"pooled,database" required:"" placeholder:"TIER"`
	Database string `help:"URL of the database: postgres://USER:PASSWORD@HOST/DATABASE or sqlite:FOLDER. Without one, pooled is the database that is shared with the system." placeholder:"URL"`
	DryRun   bool   `help:"Say what would be moved, and whether it can be."`
}

// Help is shown by --help.
func (tenantMoveCmd) Help() string {
	return `Moves a tenant to another database while it is in use. Reads go on; writes wait for less than two seconds at the end. Every row is compared before
the tenant is served from the new place. When anything fails it stays where it is. See docs/tenancy.md.

Examples:
  ward tenant move st-marys --to database --database postgres://ward:secret@db:5432/st_marys --dry-run
  ward tenant move st-marys --to database --database postgres://ward:secret@db:5432/st_marys
  ward tenant move st-marys --to pooled`
}

// Run moves the tenant, or plans it.
func (c *tenantMoveCmd) Run(ctx context.Context, w *world) error {
	to := tiers.Place{Tier: c.To, Home: c.Database}
	return c.with(ctx, w, func(d desk) error {
		p, err := d.PlanMove(ctx, c.Slug, to)
		if err != nil {
			return err
		}
		if c.DryRun {
			return printPlan(w.out, c.Slug, p)
		}
		bar := newRows(w)
		j, err := d.Order(ctx, tiers.Order{Kind: tiers.MoveJob, Tenant: c.Slug, Place: to}, bar.show)
		bar.finish()
		if err != nil {
			return stays(err, c.Slug)
		}
		var r tiers.Report
		if err := json.Unmarshal(j.Result, &r); err != nil {
			return fault.Internal("the report of the move can't be read").With(err)
		}
		fmt.Fprintf(w.out, "Moved %s to %s: %d rows, each compared, in %.1f s; writes waited for %d ms.\n",
			c.Slug, orSystem(p.To), r.Rows, r.Took.Seconds(), r.Pause.Milliseconds())
		return nil
	})
}

// stays adds to an error that the tenant is where it was.
func stays(err error, slug string) error {
	return fault.New(fault.CodeOf(err), "%s; the tenant %s stays where it was", fault.Message(err), slug)
}

func printPlan(out io.Writer, slug string, p tiers.Plan) error {
	fmt.Fprintf(out, "%s would go from %s to %s:\n", slug, orSystem(p.From), orSystem(p.To))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	var names []string
	for name := range p.Rows {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if p.Rows[name] > 0 {
			fmt.Fprintf(t, "%d\t %s\t\n", p.Rows[name], name)
		}
	}
	fmt.Fprintf(t, "%d\t rows\t\n", p.Total)
	return t.Flush()
}

type tenantDeleteCmd struct {
	place  `embed:""`
	Slug   string        `arg:"" help:"The tenant."`
	Grace  time.Duration `help:"Time in which it can be restored; after it, its key and its data are destroyed." default:"720h"`
	DryRun bool          `help:"Say what would happen."`
	Yes    bool          `help:"Delete it. Without this, only what would happen is said."`
}

// Help is shown by --help.
func (tenantDeleteCmd) Help() string {
	return `Makes a tenant's data unreachable at once. Until the grace is over, ward tenant restore brings it back. Then its key is destroyed, so that nothing of it can
be read any more wherever it is, backups included, and its rows and blobs are removed.

Examples:
  ward tenant delete st-marys --dry-run
  ward tenant delete st-marys --yes
  ward tenant delete st-marys --yes --grace 1h`
}

// Run deletes the tenant.
func (c *tenantDeleteCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error {
		if c.DryRun || !c.Yes {
			s, err := d.ShowTenant(ctx, c.Slug)
			if err != nil {
				return err
			}
			fmt.Fprintf(w.out, "%s (%s) would be unreachable at once, and destroyed %s later. To do it: ward tenant delete %s --yes\n", s.Tenant.Slug, s.Tenant.Name, c.Grace, c.Slug)
			return nil
		}
		due, err := d.DeleteTenant(ctx, c.Slug, max(c.Grace, time.Millisecond))
		if err == nil {
			fmt.Fprintf(w.out, "Deleted %s. It can be restored until %s: ward tenant restore %s\n", c.Slug, due.Format(time.RFC3339), c.Slug)
		}
		return err
	})
}

type tenantRestoreCmd struct {
	place `embed:""`
	Slug  string `arg:"" help:"The tenant."`
}

// Help is shown by --help.
func (tenantRestoreCmd) Help() string {
	return `Example:
  ward tenant restore st-marys`
}

// Run restores the tenant.
func (c *tenantRestoreCmd) Run(ctx context.Context, w *world) error {
	return c.with(ctx, w, func(d desk) error { return d.RestoreTenant(ctx, c.Slug) })
}

type tenantExportCmd struct {
	place          `embed:""`
	Slug           string   `arg:"" help:"The tenant."`
	Out            string   `help:"The archive." required:"" placeholder:"FILE"`
	Recipient      []string `help:"Age public key of who may open it; may be given several times." placeholder:"age1..."`
	PassphraseFile string   `help:"File of a passphrase instead; - reads standard input." placeholder:"FILE"`
}

// Help is shown by --help.
func (tenantExportCmd) Help() string {
	return `Writes one encrypted file with all that the tenant has: every version of every resource, everything else that it keeps, and its blobs, with a manifest of
hashes. Any Ward of this version or a later one imports it, on either database. See docs/tenancy.md.

Examples:
  age-keygen -o key.txt
  ward tenant export st-marys --out st-marys.ward.age --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
  ward tenant export st-marys --out st-marys.ward.age --passphrase-file secret.txt`
}

// Run exports the tenant.
func (c *tenantExportCmd) Run(ctx context.Context, w *world) error {
	passphrase, err := readSecret(c.PassphraseFile, w.in)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(c.Out)
	if err != nil {
		return fault.Invalid("%s is no path", c.Out)
	}
	return c.with(ctx, w, func(d desk) error {
		bar := newRows(w)
		j, err := d.Order(ctx, tiers.Order{Kind: tiers.ExportJob, Tenant: c.Slug, Path: path, Recipients: c.Recipient, Passphrase: passphrase}, bar.show)
		bar.finish()
		if err != nil {
			return err
		}
		var t tiers.Totals
		if err := json.Unmarshal(j.Result, &t); err != nil {
			return fault.Internal("the report of the export can't be read").With(err)
		}
		fmt.Fprintf(w.out, "Exported %s: %d rows and %d blobs, %d bytes in %s\n", c.Slug, t.Rows, t.Blobs, t.Bytes, c.Out)
		return nil
	})
}

type tenantImportCmd struct {
	place          `embed:""`
	Archive        string `arg:"" help:"The archive." type:"existingfile"`
	Slug           string `help:"Slug of the new tenant; default the archive's." placeholder:"SLUG"`
	Database       string `help:"URL of a database of its own; default the shared one." placeholder:"URL"`
	Identity       string `help:"File of age keys that opens it." placeholder:"FILE"`
	PassphraseFile string `help:"File of its passphrase; - reads standard input." placeholder:"FILE"`
}

// Help is shown by --help.
func (tenantImportCmd) Help() string {
	return `Makes a tenant of an archive. The archive is verified whole before anything is written; one that is damaged is refused, and leaves nothing.
Tokens are not in it: mint new ones.

Examples:
  ward tenant import st-marys.ward.age --identity key.txt
  ward tenant import st-marys.ward.age --passphrase-file secret.txt --slug st-marys-copy`
}

// Run imports the archive.
func (c *tenantImportCmd) Run(ctx context.Context, w *world) error {
	passphrase, err := readSecret(c.PassphraseFile, w.in)
	if err != nil {
		return err
	}
	keys, err := readSecret(c.Identity, w.in)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(c.Archive)
	if err != nil {
		return fault.Invalid("%s is no path", c.Archive)
	}
	return c.with(ctx, w, func(d desk) error {
		bar := newRows(w)
		o := tiers.Order{Kind: tiers.ImportJob, Tenant: c.Slug, Path: path, Identities: keys, Passphrase: passphrase, Place: tiers.Place{Home: c.Database}}
		j, err := d.Order(ctx, o, bar.show)
		bar.finish()
		if err != nil {
			return err
		}
		var t tiers.Totals
		if err := json.Unmarshal(j.Result, &t); err != nil {
			return fault.Internal("the report of the import can't be read").With(err)
		}
		fmt.Fprintf(w.out, "Imported %s: %d rows and %d blobs, compared with the archive. Next: ward token create --tenant %s --role clinician\n", j.Tenant, t.Rows, t.Blobs, j.Tenant)
		return nil
	})
}

// readSecret is a file's text without the line's end; "" for no file.
func readSecret(path string, in io.Reader) (string, error) {
	var text []byte
	var err error
	switch path {
	case "":
		return "", nil
	case "-":
		text, err = io.ReadAll(io.LimitReader(in, 1<<20))
	default:
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fault.Invalid("%s can't be read", path).With(err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fault.Invalid("%s is empty", path)
	}
	return secret, nil
}

// rows shows how far work on rows is: a moving bar on a terminal, nothing where nobody watches.
type rows struct {
	*progressbar.ProgressBar
}

func newRows(w *world) *rows {
	if !w.terminal {
		return &rows{}
	}
	return &rows{progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w.err), progressbar.OptionSetWidth(30), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())}
}

func (b *rows) show(p tiers.Progress) {
	if b.ProgressBar == nil {
		return
	}
	b.Describe(p.Phase)
	if p.Total > 0 && b.GetMax64() != p.Total {
		b.ChangeMax64(p.Total)
	}
	if p.Total > 0 {
		p.Done = min(p.Done, p.Total-1)
	}
	_ = b.Set64(p.Done)
}

func (b *rows) finish() {
	if b.ProgressBar != nil {
		_ = b.Finish()
	}
}

// terms are the flags of a new tenant as the directory takes them.
func (c *tenantCreateCmd) terms() (tenancy.Terms, error) {
	settings, err := tenancy.ParseSettings(c.Settings)
	if err != nil {
		return tenancy.Terms{}, err
	}
	limits, err := tenancy.ParseLimits(c.Limits)
	return tenancy.Terms{
		Name: c.Name, Settings: settings, Tier: c.Tier, Home: c.Database, Cell: c.Cell, Region: c.Region, Plan: c.Plan, Limits: limits, KMS: c.KMS,
	}, err
}
