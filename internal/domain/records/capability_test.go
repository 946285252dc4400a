package records

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ward/internal/format/fhir/search"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a test's flag

// TestCapabilities_Golden shows in review what is offered for each type.
func TestCapabilities_Golden(t *testing.T) {
	t.Parallel()
	s := pureService()
	var b bytes.Buffer
	statement := s.statement(search.Standard(), testBase)
	rest := statement.Rest[0]
	fmt.Fprintf(&b, "FHIR %s, %s\nsystem: %s; operations %s\n", statement.FHIRVersion, strings.Join(statement.Format, " "), codes(rest.Interaction), names(rest.Operation))
	last := ""
	for _, r := range rest.Resource {
		common := fmt.Sprintf("interactions %s; %s; conditional read %s, create %v, update %v, delete %s",
			codes(r.Interaction), r.Versioning, r.ConditionalRead, r.ConditionalCreate, r.ConditionalUpdate, r.ConditionalDelete)
		if common != last {
			fmt.Fprintf(&b, "%s and on: %s\n", r.Type, common)
			last = common
		}
		fmt.Fprintf(&b, "%s: operations %s; params", r.Type, names(r.Operation))
		for _, p := range r.SearchParam {
			fmt.Fprintf(&b, " %s:%s", p.Name, p.Type)
		}
		b.WriteByte('\n')
	}
	path := filepath.Join("testdata", "capabilities.golden")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("what is offered has changed: look at it with go test -run Golden -update and git diff")
	}
}

func codes(list []capabilityCode) string {
	var all []string
	for _, c := range list {
		all = append(all, c.Code)
	}
	return strings.Join(all, " ")
}

func names(list []capabilityOperation) string {
	var all []string
	for _, o := range list {
		all = append(all, "$"+o.Name)
	}
	return strings.Join(all, " ")
}
