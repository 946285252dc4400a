package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// demoBundles are the patients of the demo. WARD_TEST_BUNDLES names another archive, such as one of all of Synthea's.
const demoBundles = "../internal/app/demo/patients.tar.zst"

// TestImport_EveryResourceIsReadBackByteForByte imports an archive of transaction bundles and reads each of its resources:
// but for the version and the time in meta, and for the references that the bundle itself names, the bytes are those of
// the archive without its whitespace.
func TestImport_EveryResourceIsReadBackByteForByte(t *testing.T) {
	t.Parallel()
	archive := demoBundles
	if other := os.Getenv("WARD_TEST_BUNDLES"); other != "" {
		archive = other
	}
	archive, err := filepath.Abs(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			s := b.site(t)
			began := time.Now()
			t.Logf("%s", s.command(t, "import", "--tenant", "demo", archive))
			imported := time.Since(began)
			s.start(t)
			from := s.fhir(t)
			// Synthea's bundles share their organizations and practitioners, which differ from one to the next.
			texts := map[string][]string{}
			eachResource(t, archive, func(typ, id, json string) {
				texts["/"+typ+"/"+id] = append(texts["/"+typ+"/"+id], json)
			})
			work := make(chan string)
			var (
				readers      sync.WaitGroup
				read, differ atomic.Int64
			)
			for range 8 {
				readers.Go(func() {
					for path := range work {
						got, err := from.do(t.Context(), http.MethodGet, path, "")
						read.Add(1)
						if err != nil || got.status != http.StatusOK || !slices.Contains(texts[path], withoutStamp(string(got.body))) {
							if differ.Add(1) <= 3 {
								t.Errorf("%s: status %d, %v\n got %.600s\nwant %.600s", path, got.status, err, withoutStamp(string(got.body)), texts[path][0])
							}
						}
					}
				})
			}
			for path := range texts {
				work <- path
			}
			close(work)
			readers.Wait()
			t.Logf("%d resources, imported in %v (%.0f a second), %d differ", read.Load(), imported.Round(time.Millisecond),
				float64(read.Load())/imported.Seconds(), differ.Load())
			if read.Load() == 0 || differ.Load() > 0 {
				t.Errorf("%d of %d resources differ", differ.Load(), read.Load())
			}
		})
	}
}

var (
	versionInMeta = regexp.MustCompile(`,"versionId":"\d+","lastUpdated":"[^"]+"|"versionId":"\d+","lastUpdated":"[^"]+",?`)
	emptyMeta     = regexp.MustCompile(`,?"meta":\{\}`)
	ownName       = regexp.MustCompile(`urn:uuid:[0-9a-f-]{36}`)
)

// withoutStamp takes out of a stored resource what the server put in.
func withoutStamp(json string) string {
	return emptyMeta.ReplaceAllString(versionInMeta.ReplaceAllString(json, ""), "")
}

// eachResource gives the resources of an archive of transaction bundles as they are expected back.
func eachResource(t *testing.T, archive string, each func(typ, id, json string)) {
	t.Helper()
	f, err := os.Open(archive) //nolint:gosec // the test's own archive
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		var bundle struct {
			Entry []struct {
				FullURL  string          `json:"fullUrl"`
				Resource json.RawMessage `json:"resource"`
			} `json:"entry"`
		}
		if err := json.NewDecoder(files).Decode(&bundle); err != nil {
			t.Fatal(err)
		}
		names := map[string]string{}
		type head struct {
			ResourceType string `json:"resourceType"`
			ID           string `json:"id"`
		}
		heads := make([]head, len(bundle.Entry))
		for i, e := range bundle.Entry {
			if err := json.Unmarshal(e.Resource, &heads[i]); err != nil {
				t.Fatal(err)
			}
			names[e.FullURL] = heads[i].ResourceType + "/" + heads[i].ID
		}
		for i, e := range bundle.Entry {
			var compact bytes.Buffer
			if err := json.Compact(&compact, e.Resource); err != nil {
				t.Fatal(err)
			}
			each(heads[i].ResourceType, heads[i].ID, ownName.ReplaceAllStringFunc(emptyMeta.ReplaceAllString(compact.String(), ""), func(name string) string {
				if to, ok := names[name]; ok {
					return to
				}
				return name
			}))
		}
	}
}
