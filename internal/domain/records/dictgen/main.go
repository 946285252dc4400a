// Command dictgen makes the compression dictionaries of the record store from sample resources.
//
//	go run ./internal/domain/records/dictgen -out internal/domain/records/dict examples.ndjson.zst bundles.tar.zst
//
// A dictionary is up to 60 KB of whole resources of one type, picked one after another where the dictionary so far
// helps least. Dictionaries are part of the stored format: new ones get new numbers, released ones stay.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

const (
	dictionarySize = 60 << 10
	largestSample  = 6 << 10
	samplesPerType = 3000
	fewestSamples  = 8
)

func main() {
	out := flag.String("out", "dict", "folder to write NNN-Type.zst to")
	first := flag.Int("first", 1, "number of the first dictionary")
	flag.Parse()
	samples := map[string][][]byte{}
	for _, name := range flag.Args() {
		if err := read(name, samples); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
	}
	types := make([]string, 0, len(samples))
	for typ, list := range samples {
		if len(list) >= fewestSamples {
			types = append(types, typ)
		}
	}
	sort.Strings(types)
	for i, typ := range types {
		dict := pick(append([]byte(nil), fmt.Sprintf(stamped, typ)...), samples[typ])
		if err := write(filepath.Join(*out, fmt.Sprintf("%03d-%s.zst", *first+i, typ)), dict); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%-25s %6d samples, dictionary %6d bytes\n", typ, len(samples[typ]), len(dict))
	}
}

func read(name string, samples map[string][][]byte) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	if !strings.Contains(name, ".tar") {
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			add(samples, lines.Bytes())
		}
		return lines.Err()
	}
	for files := tar.NewReader(z); ; {
		if _, err := files.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var bundle struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.NewDecoder(files).Decode(&bundle); err != nil {
			return err
		}
		for _, e := range bundle.Entry {
			add(samples, e.Resource)
		}
	}
}

func add(samples map[string][][]byte, resource []byte) {
	var head struct{ ResourceType string }
	if json.Unmarshal(resource, &head) != nil || head.ResourceType == "" {
		return
	}
	var b bytes.Buffer
	if json.Compact(&b, resource) != nil {
		return
	}
	list := samples[head.ResourceType]
	if len(list) < samplesPerType {
		samples[head.ResourceType] = append(list, b.Bytes())
	}
}

// stamped is how the store's own part of a resource looks.
const stamped = `{"resourceType":"%s","id":"","meta":{"versionId":"1","lastUpdated":"2026-11-20T12:00:00.000Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/`

// pick fills a dictionary with the samples that it would compress worst, drawn in a fixed random order.
func pick(dict []byte, samples [][]byte) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
	for worst := 2.0; worst <= 64 && len(dict) < dictionarySize; worst *= 1.3 {
		coder := s2.MakeDict(dict, nil)
		for _, sample := range samples {
			if len(sample) > largestSample || len(dict)+len(sample) > dictionarySize {
				continue
			}
			if coder != nil && float64(len(sample))/float64(len(coder.Encode(nil, sample))) > worst {
				continue
			}
			dict = append(dict, sample...)
			coder = s2.MakeDict(dict, nil)
		}
	}
	return dict
}

func write(name string, dict []byte) error {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	if _, err := w.Write(dict); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
