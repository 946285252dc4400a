// Package testenv gives tests the real servers that scripts/services starts.
package testenv

import (
	"os"
	"testing"
)

// URL is the value of the environment variable, such as WARD_TEST_POSTGRES. When it is not set the test is skipped, or
// fails where CI=true: in CI the real servers are there.
func URL(t testing.TB, name string) string {
	t.Helper()
	url := os.Getenv(name)
	if url == "" {
		Missing(t, name+" is not set: run scripts/services, or make test")
	}
	return url
}

// Has says whether the environment variable is set, for suites that add a server where there is one.
func Has(name string) bool { return os.Getenv(name) != "" }

// Missing ends the test because something it needs is not here: skipped locally, failed where CI=true.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
