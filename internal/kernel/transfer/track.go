package transfer

import (
	"context"
	"fmt"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// lockClass is the class of the advisory locks that writers of a tracked tenant hold on PostgreSQL, shared, until they have committed.
const lockClass = "7237470"

// Track puts triggers on all tables of the scope's tenant, which note the keys of rows that change.
func Track(ctx context.Context, d *db.DB) (err error) {
	defer fault.Op(&err, "transfer.Track")
	tables, dialect, tenant, err := tracked(ctx, d)
	if err != nil {
		return err
	}
	return alter(ctx, d, dialect, tables, func(b *strings.Builder, t *Table) {
		if dialect.Name == db.PostgreSQL {
			postgresTriggers(b, t, tenant)
		} else {
			sqliteTriggers(b, t)
		}
	})
}

// alter runs the scripts for the tables: on PostgreSQL one after another, since who locks several tables may wait in a circle with those who write to them, on SQLite at
// once. A table's script may run again.
func alter(ctx context.Context, d *db.DB, dialect db.Dialect, tables []*Table, script func(b *strings.Builder, t *Table)) error {
	var b strings.Builder
	for _, t := range tables {
		script(&b, t)
		if dialect.Name == db.PostgreSQL {
			if err := d.Alter(ctx, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return d.Alter(ctx, b.String())
}

// Untrack takes the triggers away, opens what was closed and forgets what was noted.
func Untrack(ctx context.Context, d *db.DB) (err error) {
	defer fault.Op(&err, "transfer.Untrack")
	tables, dialect, tenant, err := tracked(ctx, d)
	if err != nil {
		return err
	}
	err = alter(ctx, d, dialect, tables, func(b *strings.Builder, t *Table) {
		for _, on := range []string{"i", "u", "k", "d"} {
			if dialect.Name == db.PostgreSQL {
				fmt.Fprintf(b, "DROP TRIGGER IF EXISTS transfer_%d_%s ON %s; ", tenant, on, t.Name)
			} else {
				fmt.Fprintf(b, "DROP TRIGGER IF EXISTS transfer_%s_%s; ", t.Name, on)
			}
		}
	})
	if err != nil {
		return err
	}
	return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM transfer_change"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM transfer_fence")
		return err
	})
}

func tracked(ctx context.Context, d *db.DB) ([]*Table, db.Dialect, int32, error) {
	sc, _ := scope.From(ctx)
	if sc.Tenant.ID == 0 {
		return nil, db.Dialect{}, 0, fault.Internal("only a tenant's tables are tracked")
	}
	dialect, err := d.DialectOf(ctx)
	if err != nil {
		return nil, dialect, 0, err
	}
	tables, err := Tables(ctx, d)
	return tables, dialect, sc.Tenant.ID, err
}

// sqliteTriggers note a row under its key, and under the key that it had when that is another.
func sqliteTriggers(b *strings.Builder, t *Table) {
	key := func(of string) string {
		var parts []string
		for i, at := range t.keyColumns() {
			part := of + "." + t.Key[i]
			if k := t.Columns[at].Kind; k == Text || k == Bytes {
				part = "hex(" + part + ")"
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " || ',' || ")
	}
	note := func(on, event, of string) {
		fmt.Fprintf(b, "CREATE TRIGGER IF NOT EXISTS transfer_%s_%s AFTER %s ON %s BEGIN INSERT INTO transfer_change (tab, key) VALUES ('%s', %s); END; ",
			t.Name, on, event, t.Name, t.Name, key(of))
	}
	note("i", "INSERT", "NEW")
	note("u", "UPDATE", "NEW")
	note("k", "UPDATE OF "+strings.Join(t.Key, ", "), "OLD")
	note("d", "DELETE", "OLD")
}

// postgresTriggers do the same for one tenant's rows, and refuse a write after the fence was closed. A writer holds the advisory lock until its end, so that whoever
// has the lock alone knows that nobody is writing.
func postgresTriggers(b *strings.Builder, t *Table, tenant int32) {
	key := func(of string) string {
		var parts []string
		for i, at := range t.keyColumns() {
			part := of + "." + t.Key[i]
			switch t.Columns[at].Kind {
			case Text:
				part = "upper(encode(convert_to(" + part + ", 'UTF8'), 'hex'))"
			case Bytes:
				part = "upper(encode(" + part + ", 'hex'))"
			case Bool:
				part += "::int4::text"
			case Int, Float:
				part += "::text"
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, " || ',' || ")
	}
	fmt.Fprintf(b, `CREATE OR REPLACE FUNCTION transfer_note_%[1]s() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(%[2]s, current_setting('ward.tenant')::int4);
	IF EXISTS (SELECT 1 FROM ward.transfer_fence) THEN
		RAISE EXCEPTION USING ERRCODE = 'WM001', MESSAGE = 'the tenant has left this database';
	END IF;
	IF TG_OP <> 'INSERT' THEN
		INSERT INTO ward.transfer_change (tab, key) VALUES ('%[1]s', %[3]s);
	END IF;
	IF TG_OP <> 'DELETE' THEN
		INSERT INTO ward.transfer_change (tab, key) VALUES ('%[1]s', %[4]s);
	END IF;
	RETURN NULL;
END $body$; `, t.Name, lockClass, key("OLD"), key("NEW"))
	for _, on := range []struct{ name, event, of string }{{"i", "INSERT", "NEW"}, {"u", "UPDATE", "OLD"}, {"d", "DELETE", "OLD"}} {
		fmt.Fprintf(b, "CREATE OR REPLACE TRIGGER transfer_%d_%s AFTER %s ON %s FOR EACH ROW WHEN (%s.tenant = %d) EXECUTE FUNCTION transfer_note_%s(); ",
			tenant, on.name, on.event, t.Name, on.of, tenant, t.Name)
	}
}

// Close waits until nobody writes to the tracked tenant's tables, and refuses all writes from then on, with [db.ErrMoved]: those of processes that don't know yet that
// the tenant leaves. On SQLite there are no other processes.
func Close(ctx context.Context, d *db.DB) (err error) {
	defer fault.Op(&err, "transfer.Close")
	dialect, err := d.DialectOf(ctx)
	if err != nil || dialect.Name == db.SQLite {
		return err
	}
	sc, _ := scope.From(ctx)
	return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if err := tx.Query(ctx, "SELECT pg_advisory_xact_lock("+lockClass+", $1)", nil, sc.Tenant.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO transfer_fence (closed) VALUES (1) ON CONFLICT DO NOTHING")
		return err
	})
}

// Reopen takes back what Close did.
func Reopen(ctx context.Context, d *db.DB) (err error) {
	defer fault.Op(&err, "transfer.Reopen")
	return d.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM transfer_fence")
		return err
	})
}
