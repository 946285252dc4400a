package main

import (
	"fmt"
	"runtime"
)

type versionCmd struct{}

// Help is shown by --help.
func (versionCmd) Help() string { return "Example:\n  ward version" }

// Run prints the version.
func (versionCmd) Run(w *world) error {
	_, err := fmt.Fprintf(w.out, "ward %s (%s, %s, %s/%s)\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
