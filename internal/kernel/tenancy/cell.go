package tenancy

import (
	"context"
	"net/url"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Cell is a Ward of its own, with its own processes and backends, that serves some of the directory's tenants.
type Cell struct {
	Name   string
	Region string // where it is, such as "eu-central"
	URL    string // by which clients reach it, such as "https://eu.ward.example.org"
}

// elsewhere says by which address a tenant is served.
type elsewhere struct{ cell, base string }

func (e *elsewhere) Error() string { return "the tenant is served by the cell " + e.cell }

// BaseURL is where the request should have gone.
func (e *elsewhere) BaseURL() string { return e.base }

// SetCell adds a cell or changes it. It returns fault.Invalid for a name or URL that can't be.
func (d *Directory) SetCell(ctx context.Context, c Cell) (err error) {
	defer fault.Op(&err, "tenancy.SetCell", c.Name)
	if err := CheckSlug(c.Name); err != nil {
		return fault.Invalid("a cell is named as a tenant's slug is: %s", fault.Message(err))
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return fault.Invalid("a cell's address is a URL such as https://eu.ward.example.org")
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	err = d.deps.DB.Write(scope.WithSystem(ctx), func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Upsert(ctx, "tenancy_cell", []string{"name"}, db.Col("name", []string{c.Name}), db.Col("region", []string{c.Region}), db.Col("url", []string{c.URL}))
		return err
	})
	d.cells.Invalidate()
	return err
}

// Cells is every cell, by name.
func (d *Directory) Cells(ctx context.Context) (all []Cell, err error) {
	defer fault.Op(&err, "tenancy.Cells")
	err = d.deps.DB.Read(scope.WithSystem(ctx), func(ctx context.Context, q db.Querier) error {
		all = nil
		return q.Query(ctx, "SELECT name, region, url FROM tenancy_cell ORDER BY name", func(r db.Row) error {
			all = append(all, Cell{Name: r.Text(0), Region: r.Text(1), URL: r.Text(2)})
			return nil
		})
	})
	return all, err
}

// cell is the cell of that name, from memory when it was asked for lately. It returns fault.NotFound for a name that no cell has.
func (d *Directory) cell(ctx context.Context, name string) (Cell, error) {
	c, err := d.cells.Get(ctx, name, func(ctx context.Context) (Cell, error) {
		all, err := d.Cells(ctx)
		for _, c := range all {
			if c.Name == name {
				return c, err
			}
		}
		return Cell{}, err
	})
	if err == nil && c.Name == "" {
		err = fault.NotFound("there is no cell %s: `ward cell list` lists them", name)
	}
	return c, err
}

// Away says whether another cell serves the tenant.
func (d *Directory) Away(t Tenant) bool { return t.Cell != "" && t.Cell != d.deps.Cell }

// refer is the fault for a tenant that another cell serves.
func (d *Directory) refer(ctx context.Context, t Tenant) error {
	c, err := d.cell(ctx, t.Cell)
	if err != nil {
		return fault.Unavailable("this tenant is served by the cell %s, whose address is not known here", t.Cell).With(err)
	}
	return fault.New(fault.CodeElsewhere, "this tenant is served by the cell %s, at %s", c.Name, c.URL).With(&elsewhere{c.Name, c.URL})
}
