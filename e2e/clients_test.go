package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestClients_OfOthersDriveWard runs FHIR clients that people write apps with.
func TestClients_OfOthersDriveWard(t *testing.T) {
	if _, err := os.Stat(filepath.Join("node", "node_modules", "fhirclient")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the packages of e2e/node are not installed: make e2e installs them")
		}
		t.Skip("the packages of e2e/node are not installed: run scripts/node-packages")
	}
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			s := b.site(t)
			p := s.start(t)
			for _, client := range []string{"fhir-kit-client", "fhirclient"} {
				t.Run(client, func(t *testing.T) {
					c := exec.CommandContext(t.Context(), "node", client+".mjs") //nolint:gosec // a constant
					c.Dir = "node"
					c.Env = append(os.Environ(), "BASE="+s.base, "TOKEN="+s.token)
					if out, err := c.CombinedOutput(); err != nil {
						t.Errorf("%v\n%s\nthe server said: %s", err, out, p.log.tail(2000))
					}
				})
			}
		})
	}
}
