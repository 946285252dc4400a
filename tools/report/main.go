// Command report reads the output of `go test -json` and prints what a person wants of it: go test's own line for
// each package, the whole output of each test that failed, and the tests that were skipped.
//
// It exits 1 when a package failed, and, with CI=true, when a test was skipped: in CI every server is there, so a
// skipped test is one that nobody runs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
}

type report struct {
	out            io.Writer
	lines          map[string][]string // output so far by package and test
	passed, failed int
	skipped        []string
	broken         []string // packages that failed
}

func main() {
	r := &report{out: os.Stdout, lines: map[string][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	os.Exit(r.close(os.Getenv("CI") == "true"))
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprintf(r.out, "%s", line) // not test2json's: a compiler's message, say
		return
	}
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.output(key, e)
	case "fail":
		if e.Test == "" {
			r.broken = append(r.broken, e.Package)
		} else {
			r.failed++
		}
		for _, text := range r.lines[key] {
			fmt.Fprint(r.out, text)
		}
		delete(r.lines, key)
	case "pass", "skip":
		if e.Test != "" && e.Action == "skip" {
			r.skipped = append(r.skipped, e.Package+" "+e.Test+": "+reason(r.lines[key]))
		} else if e.Test != "" {
			r.passed++
		}
		delete(r.lines, key)
	}
}

// output keeps a test's lines until it is known whether it failed; a package's closing line is printed at once.
func (r *report) output(key string, e event) {
	if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t") || strings.HasPrefix(e.Output, "?  ")) {
		fmt.Fprint(r.out, e.Output)
		return
	}
	r.lines[key] = append(r.lines[key], e.Output)
}

func reason(lines []string) string {
	for _, line := range lines {
		if !strings.HasPrefix(line, "=== ") && !strings.Contains(line, "--- SKIP") {
			return strings.TrimSpace(line)
		}
	}
	return "no reason given"
}

func (r *report) close(ci bool) int {
	for _, line := range r.skipped {
		fmt.Fprintln(r.out, "--- SKIP:", line)
	}
	for _, name := range r.broken {
		fmt.Fprintln(r.out, "--- FAIL: package", name)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skipped))
	switch {
	case len(r.broken) > 0 || r.failed > 0 || r.passed == 0:
		return 1
	case ci && len(r.skipped) > 0:
		fmt.Fprintln(r.out, "FAIL: CI=true, and a skipped test counts as failed")
		return 1
	}
	return 0
}
