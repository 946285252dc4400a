package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ward/internal/app"
	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/testenv"
	"ward/internal/kernel/transfer"
)

// admin connects to the database at a URL as who may see all rows.
func admin(t *testing.T, at string) *pgconn.PgConn {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), pathOf(t, at).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		pid := c.PID()
		_ = c.Close(ctx)
		watch, err := pgconn.Connect(ctx, testenv.URL(t, "WARD_TEST_POSTGRES_ADMIN"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = watch.Close(ctx) }()
		awaited(t, "the server has let it go", func() bool { // whoever drops the database may not end it
			rows, err := watch.Exec(ctx, fmt.Sprintf("SELECT 1 FROM pg_stat_activity WHERE pid = %d", pid)).ReadAll()
			return err == nil && len(rows[0].Rows) == 0
		})
	})
	return c
}

func texts(t *testing.T, c *pgconn.PgConn, sql string) (out []string) {
	t.Helper()
	results, err := c.Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range results[len(results)-1].Rows {
		out = append(out, string(row[0]))
	}
	return out
}

const everyTableSQL = `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relname <> 'ward_migration' ORDER BY 1`

// everyTable is what COPY, and so a dump, gives of each table of a database.
func everyTable(t *testing.T, at string) map[string][]byte {
	t.Helper()
	c := admin(t, at)
	all := map[string][]byte{}
	for _, name := range texts(t, c, everyTableSQL) {
		var b bytes.Buffer
		if _, err := c.CopyTo(t.Context(), &b, "COPY "+name+" TO STDOUT (FORMAT binary)"); err != nil {
			t.Fatal(err)
		}
		all[name] = b.Bytes()
	}
	if len(all) < 20 {
		t.Fatalf("only %d tables", len(all))
	}
	return all
}

// tenantTables are those with a column for the tenant's number.
func tenantTables(t *testing.T, at string) []string {
	t.Helper()
	return texts(t, admin(t, at), `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\_%' AND c.relname <> 'seal_key' ORDER BY 1`)
}

func counted(t *testing.T, at, table string, tenant int32) int {
	t.Helper()
	n := 0
	if _, err := fmt.Sscan(texts(t, admin(t, at), fmt.Sprintf("SELECT count(*) FROM %s WHERE tenant = %d", table, tenant))[0], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// backup copies the databases as an operator does, and gives the configuration of a Ward that is restored from the copy, with the same key service and secret.
func (d *doomed) backup() app.Config {
	d.t.Helper()
	c := d.config
	c.Data = d.t.TempDir()
	if d.two != nil {
		c.DB.URL = d.restoredPostgres()
		return c
	}
	if c.Seal.KMS == "" && c.Key.Secret == "" {
		c.Seal.KMS = "file:" + filepath.Join(d.config.Data, "keys")
	}
	for _, name := range []string{"system.db", filepath.Join("tenants", fmt.Sprint(d.tenant.ID)+".db")} {
		to := filepath.Join(c.Data, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			d.t.Fatal(err)
		}
		vacuumInto(d.t, filepath.Join(d.config.Data, name), to)
	}
	if secret, err := os.ReadFile(filepath.Join(d.config.Data, "ward.key")); err == nil {
		if err := os.WriteFile(filepath.Join(c.Data, "ward.key"), secret, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	return c
}

func vacuumInto(t *testing.T, from, to string) {
	t.Helper()
	c, err := sqlite.OpenConn(from, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := sqlitex.ExecuteTransient(c, "VACUUM INTO '"+to+"'", nil); err != nil {
		t.Fatal(err)
	}
}

// restoredPostgres is another database with all rows of the first.
func (d *doomed) restoredPostgres() string {
	d.t.Helper()
	c := ownServers(d.t)
	a, err := app.Open(d.t.Context(), c, app.Options{}) // it makes the tables
	if err != nil {
		d.t.Fatal(err)
	}
	if err := a.Close(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	to := admin(d.t, c.DB.URL)
	texts(d.t, to, "SET session_replication_role = replica; SELECT ''")
	for name, rows := range everyTable(d.t, d.config.DB.URL) {
		texts(d.t, to, "DELETE FROM "+name+"; SELECT ''")
		if _, err := to.CopyFrom(d.t.Context(), bytes.NewReader(rows), "COPY "+name+" FROM STDIN (FORMAT binary)"); err != nil {
			d.t.Fatal(name, err)
		}
	}
	return c.DB.URL
}

// opened opens a Ward that was restored and says what of the tenant can be read there: its key, a resource, the blob.
func (d *doomed) opened(c app.Config, look func(a *app.App)) (can []string) {
	d.t.Helper()
	a, err := app.Open(d.t.Context(), c, app.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() {
		if err := a.Close(context.WithoutCancel(d.t.Context())); err != nil {
			d.t.Error(err)
		}
	}()
	if _, err := a.Backends.Seal.Of(d.t.Context(), d.tenant.ID); err == nil {
		can = append(can, "key")
	} else if !fault.Is(err, fault.CodeUnavailable) && !fault.Is(err, fault.CodeGone) {
		d.t.Error(err)
	}
	if v, err := a.Records.Read(d.ctx, "Patient", "p1"); err == nil && bytes.Contains(v.JSON, []byte(bodyMark)) {
		can = append(can, "resource")
	}
	if r, _, err := a.Backends.Blobs.Get(d.ctx, "study/1.dcm"); err == nil {
		text, err := io.ReadAll(r)
		if _ = r.Close(); err == nil && bytes.Contains(text, []byte(bodyMark)) {
			can = append(can, "blob")
		}
	}
	if look != nil {
		look(a)
	}
	return can
}

// marksIn are the tables of the tenant in which a mark stands in the clear.
func (d *doomed) marksIn(a *app.App) (body, name []string) {
	d.t.Helper()
	tables, err := transfer.Tables(d.ctx, a.Backends.DB)
	if err != nil {
		d.t.Fatal(err)
	}
	err = a.Backends.DB.Snapshot(d.ctx, func(ctx context.Context, q db.Querier) error {
		for _, table := range tables {
			err := transfer.Scan(ctx, q, table, func(b *transfer.Batch) error {
				inBody, inName := marked(transfer.Pack(nil, b))
				if inBody && !slices.Contains(body, table.Name) {
					body = append(body, table.Name)
				}
				if inName && !slices.Contains(name, table.Name) {
					name = append(name, table.Name)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return body, name
}

// TestShred_Backups: a backup from before the end, restored beside the very key service that opened it a moment ago, opens nothing. What it shows in
// the clear is what docs/security.md says: names in the index.
func TestShred_Backups(t *testing.T) {
	t.Parallel()
	eachDoomed(t, func(t *testing.T, d *doomed) {
		restored := d.backup()
		if restored.Blob.URL == "" && d.two == nil { // the blobs of both
			restored.Blob.URL = d.config.BlobURL()
		}
		if can := strings.Join(d.opened(restored, nil), " "); can != "key resource blob" {
			t.Fatalf("while the tenant is there its backup gives %q", can)
		}
		bare := bareBlobs(t, &d.config)
		blobs := d.stored(bare)
		d.destroy()
		for name, content := range blobs {
			if err := bare.Put(t.Context(), name, bytes.NewReader(content), int64(len(content))); err != nil {
				t.Fatal(err)
			}
		}
		can := d.opened(restored, func(a *app.App) {
			body, name := d.marksIn(a)
			if len(body) != 0 || strings.Join(name, " ") != "records_index" {
				t.Errorf("the backup shows bodies in %v and names in %v", body, name)
			}
		})
		if len(can) != 0 {
			t.Errorf("the backup still gives %v", can)
		}
	})
}

// TestShred_BackupsUnderOneSecret holds the exception that docs/security.md names: keys that are derived from key.secret can't be destroyed one by one, so a backup of both
// databases opens for who has the secret. What is there now opens no more.
func TestShred_BackupsUnderOneSecret(t *testing.T) {
	t.Parallel()
	c := embedded(t)
	c.Key.Secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
	d := newDoomed(t, c, 1)
	restored := d.backup()
	d.destroy()
	d.keyless()
	if can := d.opened(restored, nil); len(can) != 2 {
		t.Errorf("it gives %v: if key.secret got better, say so in docs/security.md", can)
	}
	if err := d.one.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	unmarked(t, d.config.Data)
}
