package main

import (
	"os"

	"ward/internal/kernel/identity/argon"
)

// hashCmd computes password hashes for another process of this program: in a heap of its own, and with --gentle where nobody else wants the CPU.
type hashCmd struct {
	Gentle bool `help:"Take the CPU only where nobody else wants it."`
}

// Run answers until standard input ends.
func (c *hashCmd) Run(w *world) error { return argon.Serve(w.in, w.out, c.Gentle) }

// hashCommand is this program as one that computes hashes; nil where it can't be found.
func hashCommand() []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{self, "hash-passwords"}
}
