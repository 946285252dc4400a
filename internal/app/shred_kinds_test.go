package app_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"ward/internal/base/fault"
	"ward/internal/base/testenv"
)

// TestShred_Rows: no row is left of the tenant, in its own tables or in the system's, and no file of an embedded Ward holds a byte of what it had.
func TestShred_Rows(t *testing.T) {
	t.Parallel()
	eachDoomed(t, func(t *testing.T, d *doomed) {
		d.destroy()
		d.keyless()
		if _, err := d.one.Records.Read(d.ctx, "Patient", "p1"); err == nil {
			t.Error("a resource is read")
		}
		if d.two != nil {
			for name, text := range everyTable(t, d.config.DB.URL) {
				if body, name2 := marked(text); body || name2 {
					t.Errorf("the table %s has something left", name)
				}
			}
			for _, name := range tenantTables(t, d.config.DB.URL) {
				if n := counted(t, d.config.DB.URL, name, d.tenant.ID); n != 0 {
					t.Errorf("%d rows of %s are left", n, name)
				}
			}
			return
		}
		if left, err := filepath.Glob(filepath.Join(d.config.Data, "tenants", fmt.Sprint(d.tenant.ID)+".db*")); err != nil || len(left) > 0 {
			t.Errorf("%v are left: %v", left, err)
		}
		if err := d.one.Stop(context.WithoutCancel(t.Context())); err != nil { // what is in the journal of the file goes into it
			t.Error(err)
		}
		unmarked(t, d.config.Data)
	})
}

// unmarked says that no file of a folder holds a mark, but for mails that went out.
func unmarked(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == "mail" {
			return fs.SkipDir
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if body, name := marked(content); body || name {
			t.Errorf("%s shows what was written", path)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Error(files, err)
	}
}

// TestShred_Caches: what lies in Redis is sealed and opens for nobody; what processes had in memory is gone, also in those that did not do it.
func TestShred_Caches(t *testing.T) {
	t.Parallel()
	eachDoomed(t, func(t *testing.T, d *doomed) {
		if d.two != nil {
			d.await("a value is in Redis", func() bool { // not until it is connected
				if err := d.one.Backends.Cache.SetFixed(d.ctx, []byte("fixed"), []byte(bodyMark), time.Hour); err != nil {
					t.Fatal(err)
				}
				return d.inRedis() > 0
			})
		}
		d.destroy()
		d.keyless()
		for i, a := range d.processes() {
			d.await("caches are empty", func() bool {
				_, tagged, err := a.Backends.Cache.Get(d.ctx, []byte("tagged"))
				if err != nil {
					t.Fatal(err)
				}
				// In Redis it lies on, until its time is over.
				_, fixed, err := a.Backends.Cache.GetFixed(d.ctx, []byte("fixed"))
				if err != nil {
					t.Fatal(err)
				}
				return !tagged && !fixed
			})
			if status, text := d.send(a, "x", "GET", "fhir/Patient/p1", ""); status < 400 || strings.Contains(text, nameMark) {
				t.Errorf("process %d answers %d %s", i+1, status, text)
			}
		}
		if d.two != nil && d.inRedis() == 0 {
			t.Error("what was in Redis is not looked at any more")
		}
	})
}

// inRedis counts the values in Redis, none of which may show a mark.
func (d *doomed) inRedis() (values int) {
	d.t.Helper()
	option, err := rueidis.ParseURL(d.config.Cache.URL)
	if err != nil {
		d.t.Fatal(err)
	}
	client, err := rueidis.NewClient(option)
	if err != nil {
		d.t.Fatal(err)
	}
	defer client.Close()
	names, err := client.Do(d.t.Context(), client.B().Keys().Pattern("*").Build()).AsStrSlice()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range names {
		value, err := client.Do(d.t.Context(), client.B().Get().Key(name).Build()).AsBytes()
		if body, inName := marked(append(value, name...)); body || inName {
			d.t.Errorf("%s shows what it holds", name)
		}
		if err == nil && len(value) > 0 {
			values++
		}
	}
	return values
}

// TestShred_Streams: messages that were published are sealed, are taken out of the stream, and opened before but not after.
func TestShred_Streams(t *testing.T) {
	t.Parallel()
	eachDoomed(t, func(t *testing.T, d *doomed) {
		opens := func(message []byte) bool {
			key, err := d.one.Backends.Seal.Of(t.Context(), d.tenant.ID)
			if err != nil {
				return false
			}
			id, rest := message[1:17], message[17:] // after the format; see package outbox
			n, used := binary.Uvarint(rest)
			plain, err := key.Open(nil, rest[used:used+int(n)], append([]byte("outbox/"), id...)) //nolint:gosec // of a test's message
			body, _ := marked(plain)
			return err == nil && body
		}
		d.await("a message with the mark is published", func() bool { return slices.ContainsFunc(d.published(), opens) })
		for _, m := range d.published() {
			if body, name := marked(m); body || name {
				t.Error("a message shows what it says")
			}
		}
		if n, err := d.one.Backends.Bus.Pending(t.Context(), "WARD_EVENTS"); err != nil || n == 0 {
			t.Errorf("nothing waits in the stream: %v", err)
		}
		d.destroy()
		d.keyless()
		if n, err := d.one.Backends.Bus.Pending(t.Context(), "WARD_EVENTS"); err != nil || n != 0 {
			t.Errorf("%d messages are left in the stream: %v", n, err)
		}
		for _, m := range d.published() {
			if opens(m) {
				t.Error("a message opens still")
			}
		}
	})
}

// TestShred_Blobs: blobs are gone; copies that somebody kept of them are put back, and don't open.
func TestShred_Blobs(t *testing.T) {
	t.Parallel()
	eachDoomed(t, func(t *testing.T, d *doomed) {
		bare := bareBlobs(t, &d.config)
		kept := d.stored(bare)
		if len(kept) == 0 {
			t.Fatal("there are no blobs")
		}
		for name, content := range kept {
			if body, _ := marked(content); body || strings.Contains(name, bodyMark) {
				t.Errorf("%s shows what it holds", name)
			}
		}
		d.destroy()
		d.keyless()
		if left := d.stored(bare); len(left) != 0 {
			t.Errorf("%d blobs are left", len(left))
		}
		for name, content := range kept {
			if err := bare.Put(t.Context(), name, bytes.NewReader(content), int64(len(content))); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range d.processes() {
			if r, _, err := a.Backends.Blobs.Get(d.ctx, "study/1.dcm"); err == nil {
				_ = r.Close()
				t.Error("a copy that was put back opens")
			} else if !fault.Is(err, fault.CodeGone) {
				t.Error(err)
			}
		}
	})
}

// pathOf is what a database's URL names.
func pathOf(t *testing.T, at string) *url.URL {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := url.Parse(testenv.URL(t, "WARD_TEST_POSTGRES_ADMIN"))
	if err != nil {
		t.Fatal(err)
	}
	admin.Path = u.Path
	return admin
}
