package access_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ward/internal/kernel/access"
)

//nolint:gochecknoglobals // a flag
var update = flag.Bool("update", false, "write the tables into docs/security.md")

// TestDocument holds the tables of docs/security.md against the code.
func TestDocument(t *testing.T) {
	t.Parallel()
	const path = "../../../docs/security.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, want := range map[string]string{"table": markdownTable(), "groups": markdownGroups(), "classes": markdownClasses()} {
		begin, end := "<!-- access "+name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(text, begin)
		got, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("the document has no part %q", name)
		}
		if got != want {
			if !*update {
				t.Errorf("the %s in %s is not what the code says; if that is meant, run: go test ./internal/kernel/access -run Document -update", name, path)
			}
			text = before + begin + want + end + after
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// markdownTable has a line for each group and a column for each role.
func markdownTable() string {
	roles := slices.DeleteFunc(access.Roles(), func(r string) bool { return r == access.System })
	var b strings.Builder
	b.WriteString("| | " + strings.Join(roles, " | ") + " |\n|---" + strings.Repeat("|---", len(roles)) + "|\n")
	for _, g := range access.Groups() {
		b.WriteString("| " + g)
		for _, role := range roles {
			b.WriteString(" |")
			for _, row := range access.Table() {
				if row.Role == role && slices.Contains(row.Groups, g) {
					fmt.Fprintf(&b, " %s %s", row.Actions, row.Reach)
				}
			}
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

func markdownGroups() string {
	var b strings.Builder
	for _, g := range access.Groups() {
		shared := ""
		if access.Shared(access.TypesOf(g)[0]) {
			shared = " (no one's)"
		}
		b.WriteString("- **" + g + "**" + shared + ": " + strings.Join(access.TypesOf(g), ", ") + "\n")
	}
	return b.String()
}

func markdownClasses() string {
	return strings.Join(access.SensitiveClasses(), ", ") + "\n"
}
