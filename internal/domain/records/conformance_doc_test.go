package records

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestConformance_Doc_NamesTestsThatExist holds docs/conformance.md to the tests: each that it names exists, and each
// conformance test of this package is named there.
func TestConformance_Doc_NamesTestsThatExist(t *testing.T) {
	t.Parallel()
	internal := filepath.Join("..", "..")
	doc, err := os.ReadFile(filepath.Join(internal, "..", "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	read := func(path string) string {
		text, ok := files[path]
		if !ok {
			b, err := os.ReadFile(path) //nolint:gosec // a test file that the document names
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			text = string(b)
			files[path] = text
		}
		return text
	}
	named := regexp.MustCompile(`([a-z0-9_/]+_test\.go): (Test\w+)`).FindAllStringSubmatch(string(doc), -1)
	if len(named) < 150 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, n := range named {
		path := n[1]
		if strings.Contains(path, "/") {
			path = filepath.Join(internal, filepath.FromSlash(path))
		}
		if !strings.Contains(read(path), "func "+n[2]+"(") {
			t.Errorf("%s has no %s", n[1], n[2])
		}
	}
	own, err := filepath.Glob("conformance_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range own {
		for _, f := range regexp.MustCompile(`func (TestConformance_\w+)\(`).FindAllStringSubmatch(read(path), -1) {
			if !strings.Contains(string(doc), path+": "+f[1]) && path != "conformance_doc_test.go" {
				t.Errorf("docs/conformance.md does not name %s of %s", f[1], path)
			}
		}
	}
}
