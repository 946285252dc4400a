package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// desktop is a machine on which vdirsyncer keeps a folder of files in step with Ward, and khal shows and writes them.
type desktop struct {
	t    *testing.T
	env  []string
	home string
}

// need finds a program of Debian's.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed: make e2e installs it", name)
		}
		t.Skipf("%s is not installed: run scripts/calendars", name)
	}
	return path
}

func newDesktop(t *testing.T, root, password string) *desktop {
	t.Helper()
	d := &desktop{t: t, home: t.TempDir()}
	d.env = append(withoutWard(os.Environ()), "HOME="+d.home, "XDG_CONFIG_HOME="+d.home+"/config", "XDG_DATA_HOME="+d.home+"/data", "XDG_CACHE_HOME="+d.home+"/cache",
		"VDIRSYNCER_CONFIG="+d.home+"/vdirsyncer", "LC_ALL=C.UTF-8", "TZ=America/New_York")
	d.write("vdirsyncer", fmt.Sprintf(`[general]
status_path = %q
[pair ward]
a = "local"
b = "server"
collections = ["from b"]
conflict_resolution = "b wins"
[storage local]
type = "filesystem"
path = %q
fileext = ".ics"
[storage server]
type = "caldav"
url = %q
username = %q
password = %q
`, d.home+"/status", d.home+"/calendars", root+"/caldav/", clinician, password))
	d.write("khal", fmt.Sprintf(`[calendars]
[[ada]]
path = %s/calendars/Practitioner-ada
type = calendar
[locale]
local_timezone = America/New_York
default_timezone = America/New_York
timeformat = %%H:%%M
dateformat = %%Y-%%m-%%d
longdateformat = %%Y-%%m-%%d
datetimeformat = %%Y-%%m-%%d %%H:%%M
longdatetimeformat = %%Y-%%m-%%d %%H:%%M
[default]
default_calendar = ada
[sqlite]
path = %s/khal.db
`, d.home, d.home))
	return d
}

func (d *desktop) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.home, name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// try runs a program to its end.
func (d *desktop) try(stdin, name string, args ...string) (string, error) {
	c := exec.CommandContext(d.t.Context(), need(d.t, name), args...) //nolint:gosec // Debian's own programs
	c.Env, c.Dir, c.Stdin = d.env, d.home, strings.NewReader(stdin)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.String(), err
}

func (d *desktop) run(stdin, name string, args ...string) string {
	d.t.Helper()
	out, err := d.try(stdin, name, args...)
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (d *desktop) discover() {
	d.t.Helper()
	d.run(strings.Repeat("y\n", 5), "vdirsyncer", "discover", "ward")
}
func (d *desktop) sync() { d.t.Helper(); d.run("", "vdirsyncer", "sync") }

func (d *desktop) khal(args ...string) string {
	d.t.Helper()
	return d.run("", "khal", append([]string{"-c", d.home + "/khal"}, args...)...)
}

// shows is what khal shows of some days.
func (d *desktop) shows(from, to string) string {
	d.t.Helper()
	out := d.khal("list", "--day-format", "", "--format", "{start-long-full} {title}", from, to)
	lines := strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.TrimSpace(l) == "" || strings.HasPrefix(l, "No events") })
	return strings.Join(lines, "; ")
}

// file is the file of which the text has some word.
func (d *desktop) file(word string) (path, text string) {
	d.t.Helper()
	files, _ := filepath.Glob(d.home + "/calendars/Practitioner-ada/*.ics")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(b), word) {
			return f, string(b)
		}
	}
	d.t.Fatalf("none of %d files has %s", len(files), word)
	return "", ""
}

func (d *desktop) edit(word, replacement string) {
	d.t.Helper()
	path, text := d.file(word)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, word, replacement)), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// window is what Ward shows of March 2027 in the clinician's calendar.
func (c *clinic) window() string {
	c.t.Helper()
	var out struct {
		Occurrences []struct{ Start, Title string }
	}
	text := c.calendar(http.StatusOK, http.MethodGet, "events?subscriber=Practitioner/ada&from=2027-03-01&to=2027-04-01&tz=America/New_York", "")
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		c.t.Fatal(err)
	}
	var list []string
	for _, o := range out.Occurrences {
		list = append(list, strings.Replace(strings.TrimSuffix(o.Start, ":00"), "T", " ", 1)+" "+o.Title)
	}
	return strings.Join(list, "; ")
}

// calendar asks the calendar's routes as the administrator.
func (c *clinic) calendar(status int, method, path, body string, header ...string) string {
	c.t.Helper()
	f := newFHIR(strings.TrimSuffix(c.base, "/fhir")+"/calendar/", c.token)
	defer f.client.CloseIdleConnections()
	return string(f.want(c.t, status, method, path, body, header...).body)
}

// password has the clinician make a calendar password in the browser, as a page would.
func (c *clinic) password() string {
	c.t.Helper()
	made := eval[string](c.browser, `fetch('/t/demo/calendar/passwords', {method: 'POST', headers: {'Content-Type': 'application/json'},
		body: JSON.stringify({name: 'khal on the laptop'})}).then(r => r.text())`)
	var out struct{ Password string }
	if err := json.Unmarshal([]byte(made), &out); err != nil || out.Password == "" {
		c.t.Fatalf("no calendar password: %s", made)
	}
	return out.Password
}

// TestCalDAV_ProgramsOfOthersSyncBothWays has vdirsyncer and khal of Debian keep a folder in step with a clinician's calendar: what is made,
// changed and deleted on either side, a series with a changed occurrence, and a change on both sides.
func TestCalDAV_ProgramsOfOthersSyncBothWays(t *testing.T) {
	need(t, "vdirsyncer")
	need(t, "khal")
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			c := newClinic(t, b)
			root := strings.TrimSuffix(c.base, "/fhir")
			d := newDesktop(t, root, c.password())
			same := func(step, want string) {
				t.Helper()
				if got := c.window(); got != want {
					t.Fatalf("%s: Ward shows\n%s\nwant\n%s", step, got, want)
				}
				if got := d.shows("2027-03-01", "2027-03-31"); got != want {
					t.Fatalf("%s: khal shows\n%s\nwant\n%s", step, got, want)
				}
			}
			event := func(title, start, end, more string) string {
				t.Helper()
				text := c.calendar(http.StatusCreated, http.MethodPost, "events", fmt.Sprintf(`{"organization":"Organization/1","subscribers":["Practitioner/ada"],"title":%q,"start":%q,"end":%q,"tz":"America/New_York"%s}`, title, start, end, more))
				var made struct{ ID string }
				if err := json.Unmarshal([]byte(text), &made); err != nil {
					t.Fatal(err)
				}
				return made.ID
			}

			// what is in Ward comes to khal: an event, and a series with a moved and a cancelled occurrence over a clock change (14 March)
			visit := event("Visit", "2027-03-02T09:00:00", "2027-03-02T09:30:00", "")
			event("Clinic", "2027-03-01T08:00:00", "2027-03-01T12:00:00",
				`,"rrule":"FREQ=WEEKLY;COUNT=5","overrides":[{"recurrence":"2027-03-08T08:00:00","start":"2027-03-09T10:00:00","title":"Clinic on Tuesday"},{"recurrence":"2027-03-22T08:00:00","cancelled":true}]`)
			d.discover()
			d.sync()
			same("from Ward", "2027-03-01 08:00 Clinic; 2027-03-02 09:00 Visit; 2027-03-09 10:00 Clinic on Tuesday; 2027-03-15 08:00 Clinic; 2027-03-29 08:00 Clinic")

			// what khal makes comes to Ward
			d.khal("new", "2027-03-03", "14:00", "15:00", "Lunch talk")
			d.khal("new", "--repeat", "daily", "--until", "2027-03-13", "2027-03-10", "07:00", "07:15", "Round")
			d.sync()
			same("from khal", "2027-03-01 08:00 Clinic; 2027-03-02 09:00 Visit; 2027-03-03 14:00 Lunch talk; 2027-03-09 10:00 Clinic on Tuesday; 2027-03-10 07:00 Round; 2027-03-11 07:00 Round; 2027-03-12 07:00 Round; 2027-03-15 08:00 Clinic; 2027-03-29 08:00 Clinic")

			// a change on one side comes to the other: an occurrence of khal's series moved in its file, Ward's event renamed in Ward
			path, text := d.file("SUMMARY:Round")
			series, rest, _ := strings.Cut(text, "END:VEVENT")
			_, uid, _ := strings.Cut(series, "UID:")
			uid, _, _ = strings.Cut(uid, "\n")
			override := fmt.Sprintf("END:VEVENT\r\nBEGIN:VEVENT\r\nUID:%s\r\nDTSTAMP:20270101T000000Z\r\nRECURRENCE-ID;TZID=America/New_York:20270311T070000\r\nSUMMARY:Late round\r\nDTSTART;TZID=America/New_York:20270311T083000\r\nDTEND;TZID=America/New_York:20270311T084500\r\nEND:VEVENT", strings.TrimSpace(uid))
			if err := os.WriteFile(path, []byte(series+override+rest), 0o600); err != nil {
				t.Fatal(err)
			}
			c.calendar(http.StatusOK, http.MethodPost, "events/"+visit+"/$edit", `{"scope":"all","recurrence":"2027-03-02T09:00:00","title":"Visit at home"}`)
			d.sync()
			same("changes", "2027-03-01 08:00 Clinic; 2027-03-02 09:00 Visit at home; 2027-03-03 14:00 Lunch talk; 2027-03-09 10:00 Clinic on Tuesday; 2027-03-10 07:00 Round; 2027-03-11 08:30 Late round; 2027-03-12 07:00 Round; 2027-03-15 08:00 Clinic; 2027-03-29 08:00 Clinic")

			// both sides changed the same event: the program sees it and follows its own rule, "b wins"
			d.edit("SUMMARY:Visit at home", "SUMMARY:Visit by phone")
			c.calendar(http.StatusOK, http.MethodPost, "events/"+visit+"/$edit", `{"scope":"all","recurrence":"2027-03-02T09:00:00","title":"Visit by video"}`)
			d.sync()
			d.sync()
			if got := d.shows("2027-03-02", "2027-03-02"); got != "2027-03-02 09:00 Visit by video" {
				t.Fatalf("after a conflict khal shows %s", got)
			}
			// whoever writes over a version that is not there any more gets 412
			me := c.account()
			dav := newFHIR(root+"/caldav/calendars/"+url.PathEscape(me)+"/Practitioner-ada/", "")
			dav.client.Transport = basic{c.password(), dav.client.Transport}
			defer dav.client.CloseIdleConnections()
			was := dav.want(t, http.StatusOK, http.MethodGet, visit+".ics", "")
			changed := strings.Replace(string(was.body), "by video", "by letter", 1)
			dav.want(t, http.StatusNoContent, http.MethodPut, visit+".ics", changed, "Content-Type: text/calendar", "If-Match: "+was.header.Get("ETag"))
			dav.want(t, http.StatusPreconditionFailed, http.MethodPut, visit+".ics", changed, "Content-Type: text/calendar", "If-Match: "+was.header.Get("ETag"))

			// deletes on either side
			c.calendar(http.StatusNoContent, http.MethodDelete, "events/"+visit, "")
			path, _ = d.file("SUMMARY:Lunch talk")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			d.sync()
			same("deletes", "2027-03-01 08:00 Clinic; 2027-03-09 10:00 Clinic on Tuesday; 2027-03-10 07:00 Round; 2027-03-11 08:30 Late round; 2027-03-12 07:00 Round; 2027-03-15 08:00 Clinic; 2027-03-29 08:00 Clinic")
			if out := d.run("", "vdirsyncer", "-v", "INFO", "sync"); strings.Contains(out, "Copying") || strings.Contains(out, "Deleting") {
				t.Errorf("there is still something to do: %s", out)
			}

			// a password that is revoked opens nothing
			c.revoke()
			if out, err := d.try("", "vdirsyncer", "sync"); err == nil {
				t.Errorf("a revoked password is taken: %s", out)
			}
		})
	}
}

// basic sends a calendar password.
type basic struct {
	password string
	next     http.RoundTripper
}

func (b basic) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth(clinician, b.password)
	return b.next.RoundTrip(r)
}

// account is the clinician's id.
func (c *clinic) account() string {
	c.t.Helper()
	var out struct{ People []struct{ ID, Email string } }
	f := newFHIR(strings.TrimSuffix(c.base, "/fhir"), c.token)
	defer f.client.CloseIdleConnections()
	r := f.want(c.t, http.StatusOK, http.MethodGet, "/people", "")
	if err := json.Unmarshal(r.body, &out); err != nil {
		c.t.Fatal(err)
	}
	for _, p := range out.People {
		if p.Email == clinician {
			return p.ID
		}
	}
	c.t.Fatalf("the clinician has no account: %s", r.body)
	return ""
}

// revoke has the clinician revoke all calendar passwords in the browser.
func (c *clinic) revoke() {
	c.t.Helper()
	left := eval[float64](c.browser, `(async () => {
		const list = async () => (await (await fetch('/t/demo/calendar/passwords')).json()).passwords;
		for (const p of await list()) await fetch('/t/demo/calendar/passwords/' + p.id, {method: 'DELETE'});
		return (await list()).length;
	})()`)
	if left != 0 {
		c.t.Fatalf("%v calendar passwords are left", left)
	}
}
