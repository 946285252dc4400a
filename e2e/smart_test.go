package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

// clinic is a site with a clinician, two patients and a browser.
type clinic struct {
	*site
	t       *testing.T
	browser *browser
	secret  string   // of the clinician's authenticator app
	codes   []string // recovery codes
}

const (
	clinician = "ada@clinic.example.org"
	password  = "nine green umbrellas by the sea"
)

func newClinic(t *testing.T, b backend) *clinic {
	t.Helper()
	c := &clinic{site: b.site(t), t: t, browser: newBrowser(t)}
	c.start(t)
	f := c.fhir(t)
	for path, body := range map[string]string{
		"/Practitioner/ada": `{"resourceType":"Practitioner","id":"ada","name":[{"family":"Byron","given":["Ada"]}]}`,
		"/Patient/smart-1":  `{"resourceType":"Patient","id":"smart-1","name":[{"family":"Lindqvist","given":["Maja"]}],"birthDate":"1990-12-31"}`,
		"/Patient/smart-2":  `{"resourceType":"Patient","id":"smart-2","name":[{"family":"Lindgren","given":["Nils"]}],"birthDate":"1984-02-29"}`,
	} {
		f.want(t, http.StatusCreated, http.MethodPut, path, body)
	}
	f.want(t, http.StatusCreated, http.MethodPut, "/Encounter/enc-1", `{"resourceType":"Encounter","id":"enc-1","status":"in-progress","class":{"code":"AMB"},"subject":{"reference":"Patient/smart-1"}}`)
	for i, patient := range []string{"smart-1", "smart-1", "smart-2"} {
		f.want(t, http.StatusCreated, http.MethodPut, fmt.Sprintf("/Observation/obs-%d", i),
			fmt.Sprintf(`{"resourceType":"Observation","id":"obs-%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/%s"}}`, i, patient))
	}
	c.activate(strings.TrimSpace(c.command(t, "person", "invite", "--tenant", "demo", "--role", "clinician", "--person", "Practitioner/ada", "--name", "Ada Byron", "--by-hand", clinician)))
	return c
}

// activate follows the invitation as the clinician does: password, authenticator app, recovery codes.
func (c *clinic) activate(link string) {
	c.t.Helper()
	b := c.browser
	b.do(chromedp.Navigate(link), fill("#password", password), fill("#again", password), click("form[action*='/activate/'] button"))
	c.secret = b.text("code.secret")
	b.do(fill("#code", c.code(0)), click("form[action$='/second-factor'] button"), see("ul.codes"))
	if c.codes = eval[[]string](b, `[...document.querySelectorAll('ul.codes code')].map(c => c.textContent)`); len(c.codes) == 0 {
		c.t.Fatal("no recovery codes")
	}
}

// code is what the authenticator app shows some steps from now.
func (c *clinic) code(steps int) string {
	c.t.Helper()
	code, err := totp.GenerateCode(strings.ReplaceAll(c.secret, " ", ""), time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// signIn fills in the sign-in pages that an app led to. The second factor is a recovery code, each of which is good once.
func (c *clinic) signIn() {
	c.t.Helper()
	recovery := c.codes[0]
	c.codes = c.codes[1:]
	c.browser.do(fill("#email", clinician), fill("#password", password), click("form[action$='/signin'] button"),
		click("details summary"), fill("#recovery", recovery), click("details form button"))
}

// launch makes a launch context in the clinician's session, as the EHR's own page would, and opens the app.
func (c *clinic) launch(client string) {
	c.t.Helper()
	root := strings.TrimSuffix(c.base, "/fhir")
	c.browser.do(chromedp.Navigate(root+"/account"), see("main"))
	made := eval[string](c.browser, fmt.Sprintf(`fetch('/t/demo/oauth2/launch', {method: 'POST', headers: {'Content-Type': 'application/json'},
		body: JSON.stringify({client_id: %q, patient: 'smart-1', encounter: 'enc-1'})}).then(r => r.text())`, client))
	var out struct{ URL string }
	if err := json.Unmarshal([]byte(made), &out); err != nil || out.URL == "" {
		c.t.Fatalf("no launch: %s", made)
	}
	c.browser.do(chromedp.Navigate(out.URL))
}

func (c *clinic) register(args ...string) []string {
	c.t.Helper()
	return strings.Fields(c.command(c.t, append([]string{"client", "create", "--tenant", "demo"}, args...)...))
}

func needNode(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("node", "node_modules", "fhirclient")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the packages of e2e/node are not installed: make e2e installs them")
		}
		t.Skip("the packages of e2e/node are not installed: run scripts/node-packages")
	}
}

// TestSMART_AppsOfOthersLaunch has apps on the two SMART clients that people use complete a standalone and an EHR launch, with a browser on
// the sign-in, patient and consent pages.
func TestSMART_AppsOfOthersLaunch(t *testing.T) {
	needNode(t)
	for _, back := range backends(t) {
		t.Run(back.name, func(t *testing.T) {
			c := newClinic(t, back)
			t.Run("fhirclient in a browser", c.fhirclient)
			t.Run("fhir-kit-client on a server", c.fhirKit)
		})
	}
}

func (c *clinic) fhirclient(t *testing.T) {
	b := &browser{t, c.browser.ctx}
	var client string
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fhir-client.js" {
			http.ServeFile(w, r, filepath.Join("node", "node_modules", "fhirclient", "build", "fhir-client.js"))
			return
		}
		page, err := os.ReadFile(filepath.Join("node", "fhirclient-app.html"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(strings.Replace(string(page), "CLIENT,", fmt.Sprintf("%q,", client), 1)))
	}))
	t.Cleanup(app.Close)
	client = c.register("--name", "Growth chart", "--redirect", app.URL+"/app.html", "--launch-url", app.URL+"/launch.html",
		"--scope", "openid fhirUser launch launch/patient offline_access patient/*.cruds user/Practitioner.rs")[0]

	b.signOut()
	b.do(chromedp.Navigate(app.URL + "/launch.html?iss=" + c.base))
	c.signIn()
	b.do(fill("#search", "lindqv"), click("#find"), click("#patient-0"), click("#choose"), see("#allow"))
	if page := b.text("main"); !strings.Contains(page, "Growth chart") || !strings.Contains(page, "Maja Lindqvist") || !strings.Contains(page, "Ada Byron") ||
		!strings.Contains(page, "Read and search all records of this patient") {
		t.Errorf("the consent page does not say what is asked: %s", page)
	}
	b.do(click("#allow"))
	same(t, b.out(), map[string]any{
		"patient": "Lindqvist", "observations": 2., "visible": 2., "refreshed": true, "encounter": nil, "fhirUser": "Practitioner/ada", "other": 404., "write": 403.,
		"scope": "openid fhirUser launch/patient patient/*.rs offline_access",
	})

	c.launch(client)
	b.do(click("#scope-4"), click("#allow")) // the last scope, user/Practitioner.rs, is taken out
	same(t, b.out(), map[string]any{
		"patient": "Lindqvist", "observations": 2., "visible": 2., "refreshed": false, "encounter": "enc-1", "fhirUser": "Practitioner/ada", "other": 404., "write": 403.,
		"scope": "launch openid fhirUser patient/*.rs",
	})

	b.do(chromedp.Navigate(app.URL+"/launch.html?iss="+c.base), fill("#search", "lindqv"), click("#find"), click("#patient-0"), click("#choose"), click("#deny"))
	if out := b.text("#out"); !strings.Contains(out, "access_denied") {
		t.Errorf("the app was not told: %s", out)
	}
}

func (c *clinic) fhirKit(t *testing.T) {
	b := &browser{t, c.browser.ctx}
	listen := freeAddress(t)
	made := c.register("--name", "Ward round", "--secret", "--redirect", "http://"+listen+"/callback", "--launch-url", "http://"+listen+"/launch",
		"--scope", "openid fhirUser launch launch/patient offline_access online_access patient/*.rs")
	app := exec.CommandContext(t.Context(), "node", "smart-app.mjs")
	app.Dir = "node"
	app.Env = append(os.Environ(), "LISTEN="+listen, "ISS="+c.base, "CLIENT="+made[0], "SECRET="+made[1])
	var said lockedBuffer
	app.Stdout, app.Stderr = &said, &said
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = app.Process.Kill()
		_ = app.Wait()
		if t.Failed() {
			t.Logf("the app said: %s", said.tail(4000))
		}
	})
	within := time.Now().Add(20 * time.Second)
	for ok := false; !ok; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(within) {
			t.Fatalf("the app does not start: %s", said.tail(2000))
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listen+"/ready", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			ok = true
		}
	}
	want := func(changes map[string]any) map[string]any {
		out := map[string]any{
			"patient": "Lindqvist", "observations": 2., "visible": 2., "scope": "openid fhirUser launch/patient patient/Observation.rs patient/Patient.r offline_access",
			"encounter": nil, "active": true, "fhirUser": "Practitioner/ada", "nonce": true, "amr": []any{"pwd", "rec"},
		}
		maps.Copy(out, changes)
		return out
	}

	b.signOut()
	b.do(chromedp.Navigate("http://" + listen + "/launch"))
	c.signIn()
	b.do(fill("#search", "Maja Lindqvist"), click("#find"), click("#patient-0"), click("#choose"), click("#allow"))
	same(t, b.out(), want(nil))

	c.launch(made[0])
	b.do(click("#allow"))
	same(t, b.out(), want(map[string]any{"scope": "openid fhirUser launch patient/*.read online_access", "encounter": "enc-1"}))

	// It proved who it is and was agreed to: the second launch asks nothing.
	c.launch(made[0])
	same(t, b.out(), want(map[string]any{"scope": "openid fhirUser launch patient/*.read online_access", "encounter": "enc-1"}))
}

func same(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name, v := range want {
		if !reflect.DeepEqual(got[name], v) {
			t.Errorf("%s: %v, want %v", name, got[name], v)
		}
	}
}

// TestSMART_BackendServices has the two clients work for a backend service that authenticates by key.
func TestSMART_BackendServices(t *testing.T) {
	needNode(t)
	for _, back := range backends(t) {
		t.Run(back.name, func(t *testing.T) {
			s := back.site(t)
			p := s.start(t)
			s.fhir(t).want(t, http.StatusCreated, http.MethodPut, "/Patient/smart-1", `{"resourceType":"Patient","id":"smart-1","name":[{"family":"Lindqvist"}]}`)
			dir := t.TempDir()
			node := func(env []string, args ...string) {
				t.Helper()
				c := exec.CommandContext(t.Context(), "node", append([]string{"smart-backend.mjs"}, args...)...) //nolint:gosec // constants
				c.Dir = "node"
				c.Env = append(os.Environ(), env...)
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s\nthe server said: %s", err, out, p.log.tail(2000))
				}
			}
			node(nil, "keys", dir)
			client := strings.TrimSpace(s.command(t, "client", "create", "--tenant", "demo", "--name", "Laboratory", "--backend",
				"--jwks", filepath.Join(dir, "jwks.json"), "--scope", "system/Observation.cruds system/Patient.rs"))
			node([]string{"BASE=" + s.base, "CLIENT=" + client}, "run", dir)
		})
	}
}
