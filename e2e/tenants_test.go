package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTenants_CommandLine takes a tenant through its life by the commands that an operator types, while Ward serves it: an archive and back under another slug, a move
// to a database of its own and back, deletion and its undoing.
func TestTenants_CommandLine(t *testing.T) {
	t.Parallel()
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := b.site(t)
			s.start(t)
			from := s.fhir(t)
			from.want(t, http.StatusCreated, "PUT", "/Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":"Windsor"}]}`)
			dir := t.TempDir()
			secret, archive := filepath.Join(dir, "secret.txt"), filepath.Join(dir, "demo.ward.age")
			if err := os.WriteFile(secret, []byte("correct horse battery\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			says := func(want string, args ...string) {
				t.Helper()
				if out := s.command(t, args...); !strings.Contains(out, want) {
					t.Errorf("ward %s says %q, want %q in it", strings.Join(args, " "), out, want)
				}
			}
			refuses := func(want string, args ...string) {
				t.Helper()
				if out, err := command(t, s.env, args...); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("ward %s says %q and %v, want %q in it", strings.Join(args, " "), out, err, want)
				}
			}
			says("Exported demo", "tenant", "export", "demo", "--out", archive, "--passphrase-file", secret)
			refuses("is there already", "tenant", "export", "demo", "--out", archive, "--passphrase-file", secret)
			says("Imported copy", "tenant", "import", archive, "--passphrase-file", secret, "--slug", "copy")
			refuses("there is a tenant copy already", "tenant", "import", archive, "--passphrase-file", secret, "--slug", "copy")
			token := s.mint(t, "copy", "admin")
			newFHIR(strings.Replace(s.base, "/demo/", "/copy/", 1), token).want(t, http.StatusOK, "GET", "/Patient/p1", "")

			if b.name == "embedded" {
				home := "sqlite:" + filepath.Join(dir, "own")
				says("would go from shared", "tenant", "move", "demo", "--to", "database", "--database", home, "--dry-run")
				says("each compared", "tenant", "move", "demo", "--to", "database", "--database", home)
				says("database", "tenant", "show", "demo")
				from.want(t, http.StatusOK, "GET", "/Patient/p1", "")
				says("Moved demo to shared", "tenant", "move", "demo", "--to", "pooled")
				from.want(t, http.StatusOK, "GET", "/Patient/p1", "")
			}
			refuses("is there already", "tenant", "move", "demo", "--to", "pooled")

			says("would be unreachable at once", "tenant", "delete", "copy")
			says("can be restored until", "tenant", "delete", "copy", "--yes")
			says("deleting", "tenant", "list")
			says("", "tenant", "restore", "copy")
			says("", "cell", "set", "eu1", "--url", "https://eu.example.org", "--region", "eu")
			says("https://eu.example.org", "cell", "list")
			for _, verb := range []string{"create", "list", "show", "move", "suspend", "resume", "delete", "restore", "export", "import"} {
				says("ward tenant "+verb, "tenant", verb, "--help")
			}
		})
	}
}
