// Command gen compiles the FHIR R4 definitions into the files that package spec embeds.
//
//	go run ./internal/format/fhir/spec/gen -in <folder of definitions> -out internal/format/fhir/spec
//
// The folder holds StructureDefinition, SearchParameter, ValueSet, CodeSystem, CompartmentDefinition and OperationDefinition as
// <type>.ndjson.zst, one resource a line. The same input gives the same files.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	in := flag.String("in", "", "folder of the definitions")
	out := flag.String("out", ".", "folder of package spec")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	t, err := readTerminology(in)
	if err != nil {
		return err
	}
	c, err := readCore(in, t)
	if err != nil {
		return err
	}
	var raw bytes.Buffer
	for _, p := range c.parameters {
		raw.Write(p.raw)
		raw.WriteByte('\n')
	}
	for name, data := range map[string][]byte{
		"core.bin":        c.encode(),
		"terminology.bin": t.encode(),
		"parameters.bin":  compress(raw.Bytes()),
	} {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s: %d bytes\n", name, len(data))
	}
	return nil
}
