package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the folders of internal/, lowest first: a package imports its own layer and those before it.
// load drives a server from outside and is imported by cmd/ward and app's benchmarks alone.
var layers = []string{"base", "format", "backend", "kernel", "event", "web", "domain", "app", "load"}

// outside are the modules that reach a server or a disk. Only backend knows them; load measures their limits bare.
var outside = []string{
	"github.com/jackc/pgx/", "zombiezen.com/go/sqlite", "modernc.org/sqlite", "database/sql", "github.com/redis/rueidis",
	"github.com/minio/minio-go/", "github.com/nats-io/", "github.com/maypok86/otter/",
}

type source struct {
	file    string // slash-separated, from the module's root
	test    bool
	imports []string
	strings []string // the string literals
}

func (s source) folder() string { return path.Dir(s.file) }

// layer is the index of the file's layer, and the folder below it; -1 outside internal/.
func layer(folder string) (int, string) {
	rest, ok := strings.CutPrefix(folder, "internal/")
	if !ok {
		return -1, ""
	}
	first, below, _ := strings.Cut(rest, "/")
	return slices.Index(layers, first), below
}

func first(p string) string {
	name, _, _ := strings.Cut(p, "/")
	return name
}

// TestImports_PointLeftward holds the rules of ARCHITECTURE.md: which package may import which.
func TestImports_PointLeftward(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		own, below := layer(s.folder())
		if strings.HasPrefix(s.file, "internal/") && s.folder() != "internal" && own < 0 {
			t.Errorf("%s: internal/ has the folders %s and no other", s.file, strings.Join(layers, " "))
		}
		for _, imported := range s.imports {
			for _, complaint := range complaints(s, own, below, imported) {
				t.Errorf("%s imports %s: %s", s.file, imported, complaint)
			}
		}
	}
}

func complaints(s source, own int, below, imported string) []string {
	var out []string
	theirFolder, ours := strings.CutPrefix(imported, "ward/")
	if !ours {
		for _, m := range outside {
			if strings.HasPrefix(imported+"/", m) && own >= 0 && !slices.Contains([]string{"backend", "load"}, layers[own]) && !s.test {
				out = append(out, "only backend talks to servers and disks")
			}
		}
		return out
	}
	their, theirBelow := layer(theirFolder)
	if their < 0 {
		return []string{"a command is not a library"}
	}
	measures := s.test && own >= 0 && layers[own] == "app" && layers[their] == "load" // app's benchmarks drive it from outside, too
	if own >= 0 && their > own && !measures {
		out = append(out, layers[own]+" may not import "+layers[their])
	}
	if own == their && own >= 0 && layers[own] == "domain" && first(below) != first(theirBelow) {
		out = append(out, "a domain never imports another: declare the methods it needs as an interface, app hands it over")
	}
	if own >= 0 && layers[own] == "load" && !slices.Contains([]string{"base", "format", "load"}, layers[their]) && !s.test {
		out = append(out, "load drives the server from outside")
	}
	if own < 0 && !slices.Contains([]string{"base", "format", "app", "load", "kernel"}, layers[their]) && !s.test {
		out = append(out, "commands go through app")
	}
	if layers[their] == "backend" && strings.Contains(theirBelow, "/") {
		suite := strings.HasSuffix(theirBelow, "test")
		switch {
		case suite && !s.test && !strings.HasSuffix(s.folder(), "test"):
			out = append(out, "a conformance suite is for tests")
		case !suite && !s.test && layers[max(own, 0)] != "app" && first(theirBelow) != first(below):
			out = append(out, "only app imports a driver")
		}
	}
	return out
}

// TestFormats_DoNoIO: formats are pure functions; generators, which are commands, and helpers of tests may read files.
func TestFormats_DoNoIO(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !strings.HasPrefix(s.file, "internal/format/") || s.test || path.Base(s.folder()) == "gen" || strings.HasSuffix(s.folder(), "test") {
			continue
		}
		for _, i := range s.imports {
			if slices.Contains([]string{"os", "os/exec", "net"}, i) {
				t.Errorf("%s imports %s: a format does no I/O", s.file, i)
			}
		}
	}
}

// TestTables_BelongToOnePackage: a table carries the prefix of the domain or kernel package that owns it, and no other
// package's SQL names it.
func TestTables_BelongToOnePackage(t *testing.T) {
	t.Parallel()
	owners := map[string]string{} // table → folder
	create := regexp.MustCompile(`(?i)create\s+(?:virtual\s+|unlogged\s+)?table\s+(?:if\s+not\s+exists\s+)?(?:[a-z_]+\.)?"?([a-z0-9_]+)`)
	root := os.DirFS("..")
	err := fs.WalkDir(root, "internal", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".sql" || strings.Contains(name, "/testdata/") {
			return err
		}
		folder := path.Dir(path.Dir(name))
		if path.Base(path.Dir(name)) != "migrations" && !strings.HasPrefix(path.Base(path.Dir(name)), "system") {
			folder = path.Dir(name)
		}
		own, below := layer(folder)
		if own < 0 || !slices.Contains([]string{"kernel", "domain"}, layers[own]) {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, m := range create.FindAllStringSubmatch(string(text), -1) {
			if prefix := first(below) + "_"; !strings.HasPrefix(m[1], prefix) {
				t.Errorf("%s creates %s: the name must begin with %s", name, m[1], prefix)
			}
			owners[m[1]] = layers[own] + "/" + first(below)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`[a-z][a-z0-9]*_[a-z0-9_]+`)
	for _, s := range sources(t) {
		own, below := layer(s.folder())
		if own < 0 || s.test || !slices.Contains([]string{"kernel", "domain", "app", "web"}, layers[own]) {
			continue
		}
		for _, text := range s.strings {
			for _, w := range word.FindAllString(text, -1) {
				if owner, ok := owners[w]; ok && owner != layers[own]+"/"+first(below) {
					t.Errorf("%s names the table %s, which belongs to %s", s.file, w, owner)
				}
			}
		}
	}
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != ".." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"testdata", "node_modules", "bin", "data"}, d.Name())) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := source{file: strings.TrimPrefix(filepath.ToSlash(name), "../"), test: strings.HasSuffix(name, "_test.go")}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				p, _ := strconv.Unquote(n.Path.Value)
				s.imports = append(s.imports, p)
				return false
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					s.strings = append(s.strings, n.Value)
				}
			}
			return true
		})
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d files found: the test looks in the wrong place", len(out))
	}
	return out
}
