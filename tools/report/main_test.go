package main

import (
	"strings"
	"testing"
)

func TestReport_CIForgivesNoSkippedTest(t *testing.T) {
	t.Parallel()
	const (
		pass = `{"Action":"pass","Package":"p","Test":"TestA"}`
		skip = `{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: no server\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestB"}`
		fail = `{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:1: wrong\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestC"}` + "\n" + `{"Action":"fail","Package":"p"}`
		line = `{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`
	)
	for name, test := range map[string]struct {
		lines []string
		ci    bool
		code  int
		want  []string
	}{
		"all pass":              {[]string{pass, line}, true, 0, []string{"ok  \tp\t0.1s", "1 passed, 0 failed, 0 skipped"}},
		"one skips":             {[]string{pass, skip, line}, false, 0, []string{"--- SKIP: p TestB: b_test.go:1: no server", "1 passed, 0 failed, 1 skipped"}},
		"one skips in CI":       {[]string{pass, skip, line}, true, 1, []string{"a skipped test counts as failed"}},
		"one fails":             {[]string{pass, fail}, false, 1, []string{"c_test.go:1: wrong", "1 passed, 1 failed, 0 skipped"}},
		"nothing was tested":    {[]string{line}, false, 1, nil},
		"it could not be built": {[]string{"x.go:1: undefined: y", `{"Action":"fail","Package":"p"}`, pass}, false, 1, []string{"x.go:1: undefined: y", "--- FAIL: package p"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := &report{out: &out, lines: map[string][]string{}}
			if err := r.read(strings.NewReader(strings.Join(test.lines, "\n") + "\n")); err != nil {
				t.Fatal(err)
			}
			if code := r.close(test.ci); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, text := range test.want {
				if !strings.Contains(out.String(), text) {
					t.Errorf("no %q in\n%s", text, out.String())
				}
			}
		})
	}
}
