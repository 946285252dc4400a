package spec

import (
	"bytes"
	_ "embed" // the search parameters as resources
	"slices"

	"github.com/klauspost/compress/zstd"
)

//go:embed parameters.bin
var parametersFile []byte

// EachParameterResource gives the standard search parameters as JSON resources, in the order of [Definitions.SearchParameters], until
// each returns false. Nothing is kept: each call decompresses them again (a few milliseconds, 1.5 MB while it runs).
func (d *Definitions) EachParameterResource(each func(p *SearchParameter, resource []byte) bool) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		panic("spec: " + err.Error())
	}
	defer z.Close()
	all, err := z.DecodeAll(parametersFile, nil)
	if err != nil {
		panic("spec: the embedded parameters are damaged: " + err.Error())
	}
	for i := range d.parameters {
		line, rest, _ := bytes.Cut(all, []byte{'\n'})
		if !each(&d.parameters[i], slices.Clip(line)) {
			return
		}
		all = rest
	}
}
