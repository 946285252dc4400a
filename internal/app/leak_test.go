package app_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ward/internal/kernel/access"
	"ward/internal/kernel/tenancy"
)

// TestLeak_TenantsWithTheSameIDsSeeNothingOfEachOther fills two tenants with resources of the same ids and different words, asks for everything as each, hands
// the cursors of one to the other, and looks for the other's word in whatever comes back, in the metrics, and in what is kept on the disk.
func TestLeak_TenantsWithTheSameIDsSeeNothingOfEachOther(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		other, err := h.app.Tenants.Create(t.Context(), "other", "", tenancy.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		words := map[string]string{"general": "Wordofgeneral", "other": "Wordofother"}
		tokens := map[string]string{"general": h.token(access.Integration)}
		if tokens["other"], _, err = h.app.Tokens.Create(t.Context(), other.Tenant, access.Integration, "", 0); err != nil {
			t.Fatal(err)
		}
		ask := func(slug, token, method, path, body string) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.app.Addr()+"/t/"+slug+"/"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/fhir+json")
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return res.StatusCode, string(b)
		}
		for slug, word := range words {
			for i := range 12 {
				for _, json := range []string{
					fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","name":[{"family":"%s"}],"identifier":[{"system":"http://x","value":"same"}]}`, i, word),
					fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}],"text":"%s"},"subject":{"reference":"Patient/p0"},"valueString":"%s"}`, i, word, word),
				} {
					typ, id := "Patient", fmt.Sprint("p", i)
					if strings.Contains(json, "Observation") {
						typ, id = "Observation", fmt.Sprint("o", i)
					}
					for range 2 {
						if status, body := ask(slug, tokens[slug], http.MethodPut, "fhir/"+typ+"/"+id, json); status != 200 && status != 201 {
							t.Fatalf("%d %s", status, body)
						}
					}
				}
			}
		}
		paths := []string{
			"fhir/Patient/p0", "fhir/Patient/p0/_history", "fhir/Patient/p0/_history/1", "fhir/Patient?identifier=http://x|same", "fhir/Patient?name=word",
			"fhir/Observation?patient=p0&_count=5", "fhir/Observation?patient=p0&code=8867-4", "fhir/Observation?_count=5", "fhir/Observation?patient=p0&_include=Observation:patient",
			"fhir/Patient?_revinclude=Observation:patient&_count=3", "fhir/Observation/_history?_count=5", "fhir/_history?_count=5", "fhir/Patient/p0/$everything?_count=5", "fhir/Patient/p0/Observation",
			"fhir/Observation?patient.name=wordofother", "fhir/Patient?_has:Observation:patient:code=8867-4",
		}
		for range 2 { // from the database, then from the cache
			for slug, word := range words {
				foreign, foreignSlug := words["other"], "other"
				if slug == "other" {
					foreign, foreignSlug = words["general"], "general"
				}
				seen, cursors := false, 0
				for _, path := range paths {
					status, body := ask(slug, tokens[slug], http.MethodGet, path, "")
					if status != 200 {
						t.Errorf("%s %s: %d %s", slug, path, status, body)
					}
					if strings.Contains(body, foreign) {
						t.Errorf("%s %s: it has %s's word", slug, path, foreignSlug)
					}
					seen = seen || strings.Contains(body, word)
					next := nextLink(body)
					if next == "" {
						continue
					}
					cursors++
					stolen := strings.Replace(next[strings.Index(next, "fhir"):], "/t/"+slug+"/", "/t/"+foreignSlug+"/", 1)
					status, body = ask(foreignSlug, tokens[foreignSlug], http.MethodGet, stolen, "")
					if status == 200 || strings.Contains(body, word) {
						t.Errorf("%s takes a cursor of %s (%s): %d", foreignSlug, slug, path, status)
					}
					if status, body = ask(slug, tokens[slug], http.MethodGet, next[strings.Index(next, "fhir"):], ""); status != 200 || strings.Contains(body, foreign) {
						t.Errorf("%s: the next page of %s: %d", slug, path, status)
					}
				}
				if !seen || cursors < 3 {
					t.Errorf("%s does not see its own (%v), or has %d cursors", slug, seen, cursors)
				}
				if status, body := ask(slug, tokens[foreignSlug], http.MethodGet, paths[0], ""); status == 200 || strings.Contains(body, word) {
					t.Errorf("%s is read with a token of %s: %d", slug, foreignSlug, status)
				}
			}
		}
		_, metrics := do(t, "http://"+h.app.OpsAddr()+"/metrics", "")
		for slug, word := range words {
			if strings.Contains(metrics, word) || strings.Contains(metrics, `"`+slug+`"`) {
				t.Errorf("the metrics tell of %s", slug)
			}
		}
		shown(t, h)
	})
}

// nextLink is the address of the next page of a Bundle.
func nextLink(body string) string {
	for part := range strings.SplitSeq(body, `{"relation":"next","url":"`) {
		if part != body && !strings.HasPrefix(body, part) {
			address, _, _ := strings.Cut(part, `"`)
			return strings.ReplaceAll(address, `\u0026`, "&")
		}
	}
	return ""
}

// shown looks for words of bodies in the files of the data folder. Names are in the index as they are, folded, so the words keep their capital.
func shown(t *testing.T, h *hospital) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(h.app.Config.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("Wordof")) {
			t.Errorf("%s shows what was written", filepath.Base(path))
		}
		return err
	})
	if err != nil || files == 0 {
		t.Error(files, err)
	}
}
