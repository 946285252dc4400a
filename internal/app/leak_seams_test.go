package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"ward/internal/app"
	"ward/internal/backend/blob"
	"ward/internal/base/scope"
	"ward/internal/kernel/audit"
)

// paths are asked for as each tenant.
func paths() []string {
	return []string{
		"fhir/Patient/p0", "fhir/Patient/p0/_history", "fhir/Patient/p0/_history/1", "fhir/Patient?identifier=http://x|same", "fhir/Patient?name=word",
		"fhir/Observation?patient=p0&_count=5", "fhir/Observation?patient=p0&code=8867-4", "fhir/Observation?_count=5", "fhir/Observation?patient=p0&_include=Observation:patient",
		"fhir/Patient?_revinclude=Observation:patient&_count=3", "fhir/Observation/_history?_count=5", "fhir/_history?_count=5", "fhir/Patient/p0/$everything?_count=5", "fhir/Patient/p0/Observation",
		"fhir/Observation?patient.name=wordofother", "fhir/Patient?_has:Observation:patient:code=8867-4",
		"calendar/events?subscriber=Patient/p0&from=2026-03-01&to=2026-04-01", "calendar/events.ics?subscriber=Patient/p0", "calendar/sync?subscriber=Patient/p0",
	}
}

// records asks for everything as each tenant, at every process, and hands the cursors of one to the other.
func (s *street) records() {
	t := s.t
	t.Helper()
	for range 2 { // from the database, then from the cache
		for _, n := range s.both {
			seen, cursors := false, 0
			for i, path := range paths() {
				a := s.apps[i%len(s.apps)]
				status, body := s.ask(a, n.slug, n.token, http.MethodGet, path, "")
				if status != 200 {
					t.Errorf("%s %s: %d %s", n.slug, path, status, body)
				}
				if strings.Contains(body, n.other.word) {
					t.Errorf("%s %s: it has %s's word", n.slug, path, n.other.slug)
				}
				if !strings.Contains(body, n.word) && path != "fhir/Observation?patient.name=wordofother" && !strings.HasPrefix(path, "calendar/sync") {
					t.Errorf("%s %s: it has not its own word", n.slug, path)
				}
				seen = seen || strings.Contains(body, n.word)
				next := nextLink(body)
				if next == "" {
					continue
				}
				cursors++
				stolen := strings.Replace(next[strings.Index(next, "fhir"):], "/t/"+n.slug+"/", "/t/"+n.other.slug+"/", 1)
				status, body = s.ask(a, n.other.slug, n.other.token, http.MethodGet, stolen, "")
				if status == 200 || strings.Contains(body, n.word) {
					t.Errorf("%s takes a cursor of %s (%s): %d", n.other.slug, n.slug, path, status)
				}
				if status, body = s.ask(a, n.slug, n.token, http.MethodGet, next[strings.Index(next, "fhir"):], ""); status != 200 || strings.Contains(body, n.other.word) {
					t.Errorf("%s: the next page of %s: %d", n.slug, path, status)
				}
			}
			if !seen || cursors < 3 {
				t.Errorf("%s does not see its own (%v), or has %d cursors", n.slug, seen, cursors)
			}
			if status, body := s.ask(s.apps[0], n.slug, n.other.token, http.MethodGet, paths()[0], ""); status == 200 || strings.Contains(body, n.word) {
				t.Errorf("%s is read with a token of %s: %d", n.slug, n.other.slug, status)
			}
		}
	}
}

// accounts of the same address are two.
func (s *street) accounts() {
	for _, n := range s.both {
		who, err := s.apps[0].People.ByEmail(n.ctx, "same@example.org")
		if err != nil || who.Name.Reveal() != n.word {
			s.t.Errorf("%s: the account of the address is another's: %v", n.slug, err)
		}
		if _, err := s.apps[0].People.Get(n.other.ctx, who.ID); err == nil {
			s.t.Errorf("%s has the account of %s", n.other.slug, n.slug)
		}
	}
}

// cached values under the same key are two, in every process and in the second tier.
func (s *street) cached() {
	t := s.t
	t.Helper()
	for _, n := range s.both {
		if err := s.apps[0].Backends.Cache.SetFixed(n.ctx, []byte("same"), []byte(n.word), time.Hour); err != nil {
			t.Fatal(err)
		}
		awaited(t, "answers are kept", func() bool {
			lease, err := s.apps[0].Backends.Cache.Begin(n.ctx)
			if err != nil {
				t.Fatal(err)
			}
			lease.Store([]byte("same"), []byte(n.word))
			_, ok, err := s.apps[0].Backends.Cache.Get(n.ctx, []byte("same"))
			return ok && err == nil
		})
	}
	for _, a := range s.apps {
		for _, n := range s.both {
			for name, get := range map[string]func(context.Context, []byte) ([]byte, bool, error){"tagged": a.Backends.Cache.Get, "fixed": a.Backends.Cache.GetFixed} {
				value, ok, err := get(n.ctx, []byte("same"))
				if err != nil || ok && string(value) != n.word || !ok && a == s.apps[0] {
					t.Errorf("%s: the %s value is %q (%v) %v", n.slug, name, value, ok, err)
				}
			}
		}
	}
}

// heard: events come to consumers in the scope of their tenant, and messages on the bus show no word.
func (s *street) heard() {
	t := s.t
	t.Helper()
	awaited(t, "both events are heard", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.seen[s.both[0].tenant.ID]) > 0 && len(s.seen[s.both[1].tenant.ID]) > 0
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.both {
		for _, data := range s.seen[n.tenant.ID] {
			if data != `"`+n.word+`"` {
				t.Errorf("%s was told %s", n.slug, data)
			}
		}
	}
	if len(s.seen) != 2 || len(s.raw) == 0 {
		t.Errorf("%d tenants were told, %d messages seen", len(s.seen), len(s.raw))
	}
	for _, m := range s.raw {
		if strings.Contains(m, "Wordof") {
			t.Errorf("a message shows what it says: %.60q", m)
		}
	}
}

// blobs under the same key are two; what one tenant stored does not open in the place of the other's.
func (s *street) blobs() {
	t := s.t
	t.Helper()
	read := func(a *app.App, n *neighbour) (string, error) {
		r, _, err := a.Backends.Blobs.Get(n.ctx, "same/blob")
		if err != nil {
			return "", err
		}
		defer r.Close()
		text, err := io.ReadAll(r)
		return string(text), err
	}
	stored := func(n *neighbour) string { return fmt.Sprintf("t/%d/same/blob", n.tenant.ID) }
	bare := bareBlobs(t, &s.config)
	kept := map[*neighbour][]byte{}
	for _, n := range s.both {
		for _, a := range s.apps {
			if text, err := read(a, n); err != nil || text != n.word {
				t.Errorf("%s reads %q %v", n.slug, text, err)
			}
		}
		for b, err := range s.apps[0].Backends.Blobs.List(n.ctx, "same", "") {
			if err != nil || b.Key != "same/blob" {
				t.Errorf("%s lists %q %v", n.slug, b.Key, err)
			}
		}
		o, err := bare.Open(t.Context(), stored(n), blob.Span{Length: -1})
		if err != nil {
			t.Fatal(err)
		}
		kept[n], err = io.ReadAll(o.Body)
		if _ = o.Body.Close(); err != nil || bytes.Contains(kept[n], []byte("Wordof")) {
			t.Errorf("%s: it shows what it holds, or %v", stored(n), err)
		}
	}
	put := func(n *neighbour, content []byte) {
		if err := bare.Put(t.Context(), stored(n), bytes.NewReader(content), int64(len(content))); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range s.both {
		put(n, kept[n.other])
		if text, err := read(s.apps[0], n); err == nil || strings.Contains(text, n.other.word) {
			t.Errorf("%s reads what %s stored: %q", n.slug, n.other.slug, text)
		}
		put(n, kept[n])
	}
}

// exports hold nothing of the other, opened as far as they open.
func (s *street) exports() {
	t := s.t
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.both {
		var archive bytes.Buffer
		if _, err := s.apps[0].Tiers.Export(t.Context(), n.slug, &archive, []age.Recipient{key.Recipient()}, nil); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(bytes.ToLower(archive.Bytes()), []byte("wordof")) {
			t.Errorf("the archive of %s can be read", n.slug)
		}
		opened, err := age.Decrypt(&archive, key)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := zstd.NewReader(opened)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(plain)
		plain.Close()
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ToLower(text) // names are in the index, folded
		if bytes.Contains(text, []byte(strings.ToLower(n.other.word))) || !bytes.Contains(text, []byte(strings.ToLower(n.word))) || bytes.Contains(text, []byte(n.other.id)) {
			t.Errorf("the archive of %s has what is %s's, or not its own", n.slug, n.other.slug)
		}
	}
}

// trails tell of what was done in their own tenant, by its own.
func (s *street) trails() {
	t := s.t
	t.Helper()
	for _, n := range s.both {
		for _, path := range []string{"audit/events?_count=200", "audit/events?patient=Patient/p0&_count=200", "audit/export"} {
			status, body := s.ask(s.apps[0], n.slug, n.auditor, http.MethodGet, path, "")
			if status != 200 || strings.Contains(body, "Wordof") || strings.Contains(body, n.other.id) || !strings.Contains(body, n.id) {
				t.Errorf("%s %s: %d, of the other %v, of its own %v", n.slug, path, status, strings.Contains(body, n.other.id), strings.Contains(body, n.id))
			}
		}
		ctx := scope.WithTenant(t.Context(), n.tenant.Tenant)
		page, err := s.apps[0].Audit.Find(ctx, audit.Query{Patient: "p0", Count: 500})
		if err != nil || len(page.Entries) == 0 || slices.ContainsFunc(page.Entries, func(e audit.Entry) bool { return e.By.ID == n.other.id }) {
			t.Errorf("%s finds %d events %v", n.slug, len(page.Entries), err)
		}
		if status, body := s.ask(s.apps[0], n.slug, n.other.auditor, http.MethodGet, "audit/export", ""); status == 200 {
			t.Errorf("%s reads the log of %s: %.100s", n.other.slug, n.slug, body)
		}
	}
}

// outside are the metrics and the lines that were logged.
func (s *street) outside() {
	for _, a := range s.apps {
		_, metrics := do(s.t, "http://"+a.OpsAddr()+"/metrics", "")
		for _, n := range s.both {
			if strings.Contains(metrics, n.word) || strings.Contains(metrics, `"`+n.slug+`"`) || strings.Contains(metrics, n.id) {
				s.t.Errorf("the metrics tell of %s", n.slug)
			}
		}
	}
	if text := s.log.String(); strings.Contains(strings.ToLower(text), "wordof") || strings.Contains(text, "same@example.org") {
		s.t.Error("the log shows what was written")
	}
}
