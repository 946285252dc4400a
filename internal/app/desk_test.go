package app_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ward/internal/app"
	"ward/internal/base/fault"
	"ward/internal/kernel/access"
	"ward/internal/kernel/tenancy"
)

// started runs the product on embedded backends until the test ends.
func started(t *testing.T, c app.Config) *app.App {
	t.Helper()
	return startedLogging(t, c, slog.New(slog.DiscardHandler))
}

func startedLogging(t *testing.T, c app.Config, log *slog.Logger) *app.App {
	t.Helper()
	a, err := app.Open(t.Context(), c, app.Options{Version: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// eachDesk runs a test on the data itself and through a running Ward that has it open.
func eachDesk(t *testing.T, test func(t *testing.T, d app.Desk)) {
	t.Helper()
	for _, remote := range []bool{false, true} {
		t.Run(map[bool]string{false: "itself", true: "through a running Ward"}[remote], func(t *testing.T) {
			t.Parallel()
			c := embedded(t)
			if remote {
				started(t, c)
			}
			d, err := app.OpenDesk(t.Context(), c, app.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
			test(t, d)
		})
	}
}

func TestDesk_TenantsAndTokens(t *testing.T) {
	t.Parallel()
	eachDesk(t, func(t *testing.T, d app.Desk) {
		ctx := t.Context()
		made, err := d.CreateTenant(ctx, "demo", "Demo Clinic", tenancy.Settings{ReferentialIntegrity: true})
		if err != nil || made.Slug != "demo" || made.ID == 0 {
			t.Fatalf("%+v %v", made, err)
		}
		if _, err := d.CreateTenant(ctx, "demo", "", tenancy.Settings{}); !fault.Is(err, fault.CodeConflict) || !strings.Contains(err.Error(), "demo already") {
			t.Error(err)
		}
		if err := d.SetTenantSettings(ctx, "demo", tenancy.Settings{}); err != nil {
			t.Error(err)
		}
		if err := d.SetTenantStatus(ctx, "demo", tenancy.Suspended); err != nil {
			t.Error(err)
		}
		list, err := d.ListTenants(ctx)
		if err != nil || len(list) != 1 || list[0].Name != "Demo Clinic" || list[0].Status != tenancy.Suspended || list[0].Settings.ReferentialIntegrity {
			t.Errorf("%+v %v", list, err)
		}
		secret, token, err := d.CreateToken(ctx, "demo", access.Clinician, "test", 0)
		if err != nil || !strings.HasPrefix(secret, "ward_demo_") || token.Role != access.Clinician {
			t.Errorf("%+v %v", token, err)
		}
		if _, _, err := d.CreateToken(ctx, "nobody", access.Clinician, "", 0); !fault.Is(err, fault.CodeNotFound) {
			t.Error(err)
		}
		if err := d.RevokeToken(ctx, token.ID); err != nil {
			t.Error(err)
		}
		tokens, err := d.ListTokens(ctx, "demo")
		if err != nil || len(tokens) != 1 || tokens[0].ID != token.ID || tokens[0].Revoked.IsZero() {
			t.Errorf("%+v %v", tokens, err)
		}
	})
}

const bundle = `{"resourceType":"Bundle","type":"transaction","entry":[
 {"fullUrl":"urn:uuid:0d3a9f1c-58a5-4c3e-9d6f-7a41c8a4a001","resource":{"resourceType":"Patient","active":true},"request":{"method":"POST","url":"Patient"}},
 {"fullUrl":"urn:uuid:0d3a9f1c-58a5-4c3e-9d6f-7a41c8a4a002","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},
  "subject":{"reference":"urn:uuid:0d3a9f1c-58a5-4c3e-9d6f-7a41c8a4a001"}},"request":{"method":"POST","url":"Observation"}}]}`

// folder writes files to import: a bundle, lines of which some are wrong, and what is no FHIR at all.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&lines, `{"resourceType":"Patient","id":"p%d","active":true}`+"\n", i)
	}
	lines.WriteString(`{"resourceType":"Patient","id":"bad","activ":true}` + "\n" + `{"resourceType":"Patient",` + "\n")
	f, err := os.Create(filepath.Join(dir, "patients.ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	_, _ = z.Write([]byte(lines.String()))
	_ = z.Close()
	_ = f.Close()
	for name, text := range map[string]string{"bundle.json": bundle, "broken.json": `{"resourceType":"Bundle","type":"transaction","entry":[{}]}`, "notes.txt": "no", "cut.json.gz": "\x1f\x8b\x08"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDesk_ImportReportsAndGoesOn(t *testing.T) {
	t.Parallel()
	eachDesk(t, func(t *testing.T, d app.Desk) {
		ctx := t.Context()
		if _, err := d.CreateTenant(ctx, "demo", "", tenancy.Settings{}); err != nil {
			t.Fatal(err)
		}
		dir := folder(t)
		sources, err := app.ImportSources([]string{dir}, nil)
		if err != nil || len(sources) != 4 {
			t.Fatalf("%d sources, %v", len(sources), err)
		}
		var refused []app.ImportRefusal
		var read atomic.Int64
		run := func() app.ImportReport {
			t.Helper()
			refused = nil
			r, err := d.Import(ctx, "demo", sources, app.ImportOptions{
				Progress: func(n int64, _ app.ImportReport) { read.Store(n) },
				Refused: func(r app.ImportRefusal) error {
					refused = append(refused, r)
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := run()
		if r.Created != 1202 || r.Updated != 0 || r.Refused != 4 || r.Skipped != 0 {
			t.Errorf("first: %+v", r)
		}
		var size int64
		for _, s := range sources {
			size += s.Size
		}
		if read.Load() != size {
			t.Errorf("progress ended at %d of %d", read.Load(), size)
		}
		said := map[string]bool{}
		for _, x := range refused {
			said[fmt.Sprintf("%s:%d %s", filepath.Base(x.File), x.Line, x.Type)] = true
			if x.Code == "" || x.Message == "" {
				t.Errorf("no reason: %+v", x)
			}
		}
		for _, want := range []string{"patients.ndjson.gz:1201 Patient", "patients.ndjson.gz:1202 ", "broken.json:1 Bundle", "cut.json.gz:0 "} {
			if !said[want] {
				t.Errorf("%q is not in %v", want, said)
			}
		}
		// Again: what was stored whole is skipped, what was refused is tried again and what is there stays as it is.
		if r := run(); r.Created != 0 || r.Updated != 0 || r.Refused != 4 || r.Skipped < 3 {
			t.Errorf("second: %+v", r)
		}
		if _, err := d.Import(ctx, "nobody", sources, app.ImportOptions{}); !fault.Is(err, fault.CodeNotFound) {
			t.Error(err)
		}
	})
}

func TestImport_StopsAndGoesOn(t *testing.T) {
	t.Parallel()
	a, err := app.Open(t.Context(), embedded(t), app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := a.Desk()
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	if _, err := d.CreateTenant(t.Context(), "demo", "", tenancy.Settings{}); err != nil {
		t.Fatal(err)
	}
	text := new(strings.Builder)
	for i := range 5000 {
		fmt.Fprintf(text, `{"resourceType":"Patient","id":"p%d","active":true}`+"\n", i)
	}
	sources := func() []app.ImportSource {
		s, err := app.ImportSources([]string{"-"}, strings.NewReader(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := d.Import(ctx, "demo", sources(), app.ImportOptions{Progress: func(_ int64, r app.ImportReport) {
		if r.Created >= 1000 {
			cancel()
		}
	}})
	if err == nil || first.Created < 1000 || first.Created == 5000 {
		t.Fatalf("it was not stopped: %+v %v", first, err)
	}
	second, err := d.Import(t.Context(), "demo", sources(), app.ImportOptions{})
	if err != nil || second.Skipped == 0 || first.Created+second.Created != 5000 {
		t.Errorf("%+v, then %+v, %v", first, second, err)
	}
}

func TestImportSources(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, paths := range map[string][]string{"nothing": nil, "missing": {"/no/such/file"}, "holds no .json": {empty}} {
		if _, err := app.ImportSources(paths, nil); !fault.Is(err, fault.CodeInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"zoe.json", "hospitalInformation1.json", "practitionerInformation1.json", ".hidden.json", "a.ndjson.zst"} {
		if err := os.WriteFile(filepath.Join(empty, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sources, err := app.ImportSources([]string{empty}, nil)
	var names []string
	for _, s := range sources {
		names = append(names, filepath.Base(s.Name))
	}
	if want := "hospitalInformation1.json practitionerInformation1.json a.ndjson.zst zoe.json"; err != nil || strings.Join(names, " ") != want {
		t.Errorf("%v %v", names, err)
	}
}

func TestExamine(t *testing.T) {
	t.Parallel()
	var findings []app.Finding
	look := func(c app.Config) string {
		findings = nil
		app.Examine(t.Context(), c, func(f app.Finding) { findings = append(findings, f) })
		var parts []string
		for _, f := range findings {
			mark := ""
			if f.Wrong {
				mark = "!"
			}
			if (f.Wrong || f.Warning) && f.Remedy == "" && f.Part != "config" {
				t.Errorf("%s: %s, and no remedy", f.Part, f.Says)
			}
			parts = append(parts, f.Part+mark)
		}
		return strings.Join(parts, " ")
	}
	c := embedded(t)
	if got := look(c); got != "config folder database bus cache blobs" {
		t.Errorf("%s: %+v", got, findings)
	}
	a := started(t, c)
	if got := look(a.Config); got != "config folder database" || !strings.Contains(findings[2].Says, "running Ward") {
		t.Errorf("%s: %+v", got, findings)
	}
	gone := embedded(t)
	gone.DB.URL, gone.Bus.URL, gone.Cache.URL = "postgres://ward:hunter2@127.0.0.1:1/ward", "nats://127.0.0.1:1", "redis://127.0.0.1:1"
	if got := look(gone); got != "config folder database! bus! cache blobs" {
		t.Errorf("%s: %+v", got, findings)
	}
	for _, f := range findings {
		if strings.Contains(f.Says, "hunter2") {
			t.Errorf("it tells the password: %s", f.Says)
		}
	}
	c.Target = "nonsense"
	if got := look(c); got != "config!" {
		t.Error(got)
	}
}
