package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ward/internal/app"
	"ward/internal/backend/blob"
	"ward/internal/backend/blob/file"
	"ward/internal/backend/blob/s3"
	"ward/internal/backend/bus/bustest"
	"ward/internal/backend/db"
	"ward/internal/backend/db/dbtest"
	"ward/internal/backend/kms/kmstest"
	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/identity/oauth"
	"ward/internal/kernel/identity/people"
	"ward/internal/kernel/module"
	"ward/internal/kernel/resilience"
	"ward/internal/kernel/tenancy"
)

// What is looked for in whatever is left: a word that stands in bodies, texts and secrets, and one that is a patient's name, which the index has in the clear.
const (
	bodyMark = "Quokkabody"
	nameMark = "Wombatname"
)

// marked says which of the marks the bytes hold, in any case.
func marked(b []byte) (body, name bool) {
	b = bytes.ToLower(b)
	return bytes.Contains(b, []byte(strings.ToLower(bodyMark))), bytes.Contains(b, []byte(strings.ToLower(nameMark)))
}

// doomed is a Ward with a tenant that has something of every kind, and will be destroyed.
type doomed struct {
	t        *testing.T
	config   app.Config
	one, two *app.App // two is another process, nil when there is none
	tenant   tenancy.Tenant
	ctx      context.Context //nolint:containedctx // the tenant's, as the system

	mu       sync.Mutex
	messages [][]byte // that were published
}

// eachDoomed fills a tenant in an embedded Ward with key files, and in two processes on PostgreSQL, Redis, NATS and S3 with a key server.
func eachDoomed(t *testing.T, test func(t *testing.T, d *doomed)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, newDoomed(t, embedded(t), 1))
	})
	t.Run("scaled out", func(t *testing.T) {
		t.Parallel()
		test(t, newDoomed(t, ownServers(t), 2))
	})
}

// ownServers is one process among several, with a database, a bus, a part of the bucket, and keys that no other test has.
func ownServers(t *testing.T) app.Config {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	c := onPostgres(t, dbtest.PostgresURL(t), base64.StdEncoding.EncodeToString(secret))
	server := bustest.NewServer(t)
	server.Start()
	c.Bus.URL = server.URL()
	bucket, query, _ := strings.Cut(c.Blob.URL, "?")
	c.Blob.URL = bucket + "/" + strings.ToLower(rand.Text()) + "?" + query
	c.Seal.KMS = kmstest.Transit(t)
	c.Cache.URL = strings.TrimSuffix(c.Cache.URL, "/0") + "/9" // a database that no other test looks through
	return c
}

// stubborn is a module whose consumer never manages, so that its events stay in the stream.
func stubborn() module.Module {
	return module.Module{Name: "stubborn", Consumers: []module.Consumer{{
		Name: "stubborn", Subject: "test.stubborn", Handle: func(context.Context, module.Event) error { return fault.Unavailable("not today") },
	}}}
}

func (d *doomed) start() *app.App {
	d.t.Helper()
	a, err := app.Open(d.t.Context(), d.config, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler), Extra: []module.Module{stubborn()}})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = a.Stop(context.WithoutCancel(d.t.Context())) }) // some tests stop it themselves
	if err := a.Start(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func newDoomed(t *testing.T, c app.Config, processes int) *doomed {
	t.Helper()
	d := &doomed{t: t, config: c}
	d.one = d.start()
	if processes > 1 {
		d.two = d.start()
	}
	var err error
	settings := tenancy.Settings{SignIn: &tenancy.SignIn{Provider: &tenancy.Provider{Issuer: "https://idp.example.org", ClientID: "ward", ClientSecret: bodyMark + "-secret"}}}
	if d.tenant, err = d.one.Tenants.Create(t.Context(), "general", bodyMark+" General", settings); err != nil {
		t.Fatal(err)
	}
	d.ctx = scope.With(t.Context(), scope.Scope{Tenant: d.tenant.Tenant, Principal: scope.Principal{ID: "system", Role: "system"}})
	stop, err := d.one.Backends.Bus.Listen([]string{fmt.Sprintf("ward.event.%d.>", d.tenant.ID)}, func(_ string, data []byte) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.messages = append(d.messages, bytes.Clone(data))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	d.fillRecords()
	d.fillPeople()
	d.fillRest()
	return d
}

func (d *doomed) token(role string) string {
	d.t.Helper()
	token, _, err := d.one.Tokens.Create(d.t.Context(), d.tenant.Tenant, role, "", 0)
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

// send asks a process of the tenant.
func (d *doomed) send(a *app.App, token, method, path, body string) (int, string) {
	d.t.Helper()
	return asked(d.t, a, "general", token, method, path, body)
}

func (d *doomed) must(token, method, path, body string) string {
	d.t.Helper()
	status, text := d.send(d.one, token, method, path, body)
	if status >= 300 {
		d.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// fillRecords writes resources twice, so that there is history, a calendar's event, a booked visit and somebody who waits for one.
func (d *doomed) fillRecords() {
	d.t.Helper()
	all := d.token(access.Integration)
	for range 2 {
		for path, rest := range map[string]string{
			"Patient/p1":      `"name":[{"family":"` + nameMark + `"}],"birthDate":"1980-05-05","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + bodyMark + `</div>"}`,
			"Practitioner/dr": `"name":[{"family":"` + nameMark + `"}]`,
			"Observation/o1":  `"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/p1"},"note":[{"text":"` + bodyMark + `"}]`,
		} {
			typ, id, _ := strings.Cut(path, "/")
			d.must(all, "PUT", "fhir/"+path, `{"resourceType":"`+typ+`","id":"`+id+`",`+rest+`}`)
		}
	}
	desk := d.token(access.FrontDesk)
	d.must(desk, "POST", "calendar/events", `{"organization":"Organization/1","subscribers":["Patient/p1","Practitioner/dr"],"title":"`+bodyMark+`","start":"2026-03-12T09:00:00","end":"2026-03-12T10:00:00","tz":"UTC"}`)
	admin := d.token(access.Admin)
	d.must(admin, "PUT", "calendar/services/visit", `{"title":"Visit","minutes":30}`)
	d.must(admin, "PUT", "calendar/availability/dr", `{"actor":"Practitioner/dr","zone":"UTC","hours":[{"rrule":"FREQ=DAILY","start":"09:00","end":"17:00"}],"services":[{"service":"visit"}]}`)
	from := time.Now().UTC().AddDate(0, 0, 7)
	start := from.Format("2006-01-02") + "T15:00:00Z"
	d.must(admin, "POST", "fhir/Appointment/$book", fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"appointment-resource","resource":{"resourceType":"Appointment","status":"pending",
		"serviceType":[{"coding":[{"system":"urn:ward:service","code":"visit"}]}],"start":%q,"comment":%q,
		"participant":[{"actor":{"reference":"Practitioner/dr"},"status":"needs-action"},{"actor":{"reference":"Patient/p1"},"status":"needs-action"}]}}]}`, start, bodyMark))
	d.must(admin, "POST", "calendar/waitlist", fmt.Sprintf(`{"service":"visit","patient":"Patient/p1","actor":"Practitioner/dr","earliest":%q,"latest":%q}`,
		from.Format(time.RFC3339), from.AddDate(0, 0, 9).Format(time.RFC3339)))
}

// fillPeople makes an account with a second factor, a client, a key that signs, a patient that was opened in an emergency and an operator's grant.
func (d *doomed) fillPeople() {
	d.t.Helper()
	if err := d.one.People.Plant(d.ctx, people.Invitation{Email: bodyMark + "@example.org", Name: bodyMark, Role: access.Admin}, "a long enough password 7", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"); err != nil {
		d.t.Fatal(err)
	}
	if _, _, err := d.one.OAuth.CreateClient(d.ctx, oauth.Registration{Name: bodyMark, RedirectURIs: []string{"https://app.example.org/back"}, Scope: "openid"}); err != nil {
		d.t.Fatal(err)
	}
	if err := d.one.OAuth.RotateKeys(d.ctx); err != nil {
		d.t.Fatal(err)
	}
	clinician := scope.With(d.t.Context(), scope.Scope{Tenant: d.tenant.Tenant, Principal: access.WithRights(scope.Principal{ID: "user/1", Role: access.Clinician, Person: "Practitioner/dr"})})
	if _, err := d.one.Glass.Open(clinician, "p1", bodyMark+" came in unconscious", time.Hour); err != nil {
		d.t.Fatal(err)
	}
	admin := scope.With(d.t.Context(), scope.Scope{Tenant: d.tenant.Tenant, Principal: access.WithRights(scope.Principal{ID: "user/2", Role: access.Admin})})
	if _, err := d.one.Operators.Give(admin, "", bodyMark+" is to be looked into", time.Hour); err != nil {
		d.t.Fatal(err)
	}
	if err := d.one.Audit.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// fillRest puts a blob, cached values and events.
func (d *doomed) fillRest() {
	d.t.Helper()
	text := strings.Repeat(bodyMark+" ", 20_000)
	if _, err := d.one.Backends.Blobs.Put(d.ctx, "study/1.dcm", "application/dicom", strings.NewReader(text), int64(len(text))); err != nil {
		d.t.Fatal(err)
	}
	for _, a := range d.processes() {
		if err := a.Backends.Cache.SetFixed(d.ctx, []byte("fixed"), []byte(bodyMark), time.Hour); err != nil {
			d.t.Fatal(err)
		}
		d.await("answers are kept", func() bool { // not until the processes know each other
			lease, err := a.Backends.Cache.Begin(d.ctx)
			if err != nil {
				d.t.Fatal(err)
			}
			lease.Store([]byte("tagged"), []byte(bodyMark))
			_, ok, err := a.Backends.Cache.Get(d.ctx, []byte("tagged"))
			return ok && err == nil
		})
	}
	err := d.one.Backends.DB.Write(d.ctx, func(ctx context.Context, tx db.Tx) error {
		return d.one.Outbox.Enqueue(ctx, tx, module.Event{Subject: "test.stubborn", Data: []byte(`"` + bodyMark + `"`)})
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *doomed) processes() []*app.App {
	if d.two == nil {
		return []*app.App{d.one}
	}
	return []*app.App{d.one, d.two}
}

func (d *doomed) published() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.messages)
}

func (d *doomed) await(what string, happened func() bool) {
	d.t.Helper()
	awaited(d.t, what, happened)
}

func awaited(t *testing.T, what string, happened func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !happened(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("30 s passed before %s", what)
		}
	}
}

// destroy deletes the tenant and has it destroyed when its time is over.
func (d *doomed) destroy() {
	d.t.Helper()
	if _, err := d.one.Tiers.Delete(d.t.Context(), "general", time.Millisecond); err != nil {
		d.t.Fatal(err)
	}
	d.await("the tenant is destroyed", func() bool {
		if err := d.one.Tiers.Resume(d.t.Context(), false); err != nil {
			d.t.Fatal(err)
		}
		_, err := d.one.Tenants.Get(d.t.Context(), "general")
		return fault.Is(err, fault.CodeNotFound)
	})
}

// keyless says that no process gives the tenant's key any more.
func (d *doomed) keyless() {
	d.t.Helper()
	for i, a := range d.processes() {
		d.await("the keys are forgotten everywhere", func() bool {
			_, err := a.Backends.Seal.Of(d.t.Context(), d.tenant.ID)
			return fault.Is(err, fault.CodeGone)
		})
		d.t.Logf("process %d has no key", i+1)
	}
}

// bareBlobs is the blob store as it is, with nothing opened.
func bareBlobs(t *testing.T, c *app.Config) blob.Driver {
	t.Helper()
	if c.Embedded()[3] {
		b, err := file.Open(strings.TrimPrefix(c.BlobURL(), "file:"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	b, err := s3.Open(c.Blob.URL, s3.Deps{Guard: resilience.New(resilience.Config{Name: "s3"})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// stored is every object of the tenant as it is kept.
func (d *doomed) stored(b blob.Driver) map[string][]byte {
	d.t.Helper()
	all := map[string][]byte{}
	for e, err := range b.List(d.t.Context(), fmt.Sprintf("t/%d/", d.tenant.ID), "") {
		if err != nil {
			d.t.Fatal(err)
		}
		o, err := b.Open(d.t.Context(), e.Name, blob.Span{Length: -1})
		if err != nil {
			d.t.Fatal(err)
		}
		text, err := io.ReadAll(o.Body)
		_ = o.Body.Close()
		if err != nil {
			d.t.Fatal(err)
		}
		all[e.Name] = text
	}
	return all
}
