package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ward/internal/base/scope"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
)

// raw sends bytes as they are and gives the answer.
func (h *hospital) raw(request string) (status int, kind, body string) {
	h.t.Helper()
	c, err := (&net.Dialer{}).DialContext(h.ctx, "tcp", h.app.Addr())
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, request) }() // the answer may come before all of it is taken
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(text)
}

// TestAttack_TooMuch sends headers, URLs, bodies and JSON beyond every limit to what speaks FHIR, OAuth and neither: each is answered with the right status, in the words of who
// asks, and is one security event.
func TestAttack_TooMuch(t *testing.T) {
	eachHospital(t, func(t *testing.T, h *hospital) {
		admin := h.token(access.Admin)
		clinician := h.token(access.Clinician)
		chunked := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text), text) }
		deep := func(n int) string {
			return `{"resourceType":"Patient","extension":` + strings.Repeat(`[{"extension":`, n) + "1" + strings.Repeat("}]", n) + "}"
		}
		const (
			fhir, form, object = "application/fhir+json", "application/x-www-form-urlencoded", "application/json"
			fhirBody           = `"resourceType":"OperationOutcome"`
			oauthBody          = `"error":"invalid_request"`
			otherBody          = `"status":`
		)
		known := map[string]bool{}
		for name, row := range map[string]struct {
			token, method, path, more, kind, body string
			status                                int
			says                                  string
			system                                bool // the guard comes before the tenant
		}{
			"a header, FHIR":          {clinician, "GET", "fhir/Patient", "X-Long: " + strings.Repeat("a", 70<<10) + "\r\n", "", "", 431, fhirBody, true},
			"many headers, FHIR":      {clinician, "GET", "fhir/Patient", strings.Repeat("X-Many: aaaaaaaaaaaaaaaaaaaaaaaa\r\n", 3000), "", "", 431, fhirBody, true},
			"a header, OAuth":         {"", "POST", "oauth2/token", "X-Long: " + strings.Repeat("a", 70<<10) + "\r\n", form, "grant_type=x", 431, oauthBody, true},
			"a cookie, OAuth":         {"", "GET", "oauth2/authorize", "Cookie: a=" + strings.Repeat("a", 200<<10) + "\r\n", "", "", 431, oauthBody, true},
			"a token, neither":        {strings.Repeat("a", 100<<10), "GET", "audit/events", "", "", "", 431, otherBody, true},
			"a URL, FHIR":             {clinician, "GET", "fhir/Patient?name=" + strings.Repeat("a", 100<<10), "", "", "", 414, fhirBody, true},
			"a URL, OAuth":            {"", "GET", "oauth2/authorize?state=" + strings.Repeat("a", 9<<10), "", "", "", 414, oauthBody, true},
			"a URL, neither":          {clinician, "GET", "audit/events?user=" + strings.Repeat("a", 9<<10), "", "", "", 414, otherBody, true},
			"a body announced, FHIR":  {clinician, "POST", "fhir/Patient", "Content-Length: 17000000\r\n", fhir, "", 413, fhirBody, false},
			"a bundle, FHIR":          {clinician, "POST", "fhir", "Content-Length: 70000000\r\n", fhir, "", 413, fhirBody, false},
			"a body in chunks, FHIR":  {clinician, "POST", "fhir/Patient/_search", "Transfer-Encoding: chunked\r\n", form, chunked("name=" + strings.Repeat("a", 1<<20)), 413, fhirBody, false},
			"a body announced, OAuth": {"", "POST", "oauth2/token", "Content-Length: 70000\r\n", form, "", 413, oauthBody, false},
			"a body in chunks, OAuth": {"", "POST", "oauth2/token", "Transfer-Encoding: chunked\r\n", form, chunked("grant_type=" + strings.Repeat("a", 70<<10)), 413, oauthBody, false},
			"consent in chunks":       {"", "POST", "oauth2/consent", "Transfer-Encoding: chunked\r\n", form, chunked("decision=" + strings.Repeat("a", 70<<10)), 413, oauthBody, false},
			"a body, neither":         {clinician, "POST", "break-glass", "Transfer-Encoding: chunked\r\n", object, chunked(`{"reason":"` + strings.Repeat("a", 20<<10)), 413, otherBody, false},
			"depth, FHIR":             {clinician, "POST", "fhir/Patient", "", fhir, deep(300), 400, fhirBody, false},
			"depth, a bundle":         {clinician, "POST", "fhir", "", fhir, `{"resourceType":"Bundle","type":"batch","entry":[{"resource":` + deep(200) + `}]}`, 400, fhirBody, false},
			"depth, $validate":        {clinician, "POST", "fhir/Patient/$meta", "", fhir, deep(1000), 400, fhirBody, false},
			"depth, a registration":   {admin, "POST", "oauth2/clients", "", object, `{"jwks":` + deep(60) + "}", 400, oauthBody, false},
			"depth, unclosed":         {admin, "POST", "oauth2/clients", "", object, strings.Repeat("[", 60_000), 400, oauthBody, false},
			"depth, neither":          {clinician, "POST", "break-glass", "", object, `{"patient":` + strings.Repeat("[", 8_000), 400, otherBody, false},
			"depth, an operation":     {clinician, "POST", "fhir/Appointment/$book", "", fhir, `{"resourceType":"Parameters","parameter":` + strings.Repeat("[", 8_000), 400, fhirBody, false},
		} {
			ctx := h.ctx
			if row.system {
				ctx = scope.WithSystem(t.Context())
			}
			count := func() (n int) {
				page, err := h.app.Audit.Find(ctx, audit.Query{Action: audit.Security})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Entries {
					if strings.HasPrefix(e.Detail, "too-much") {
						n++
					}
				}
				return n
			}
			text := row.method + " /t/general/" + row.path + " HTTP/1.1\r\nHost: ward.example\r\nConnection: close\r\n" + row.more
			if row.token != "" {
				text += "Authorization: Bearer " + row.token + "\r\n"
			}
			if row.kind != "" {
				text += "Content-Type: " + row.kind + "\r\n"
			}
			if row.body != "" && !strings.Contains(row.more, "chunked") {
				text += fmt.Sprintf("Content-Length: %d\r\n", len(row.body))
			}
			before := count()
			status, kind, body := h.raw(text + "\r\n" + row.body)
			if status != row.status || !strings.Contains(body, row.says) || !strings.Contains(kind, "json") || !json.Valid([]byte(body)) {
				t.Errorf("%s: %d %s %.300s", name, status, kind, body)
			}
			if row.says == fhirBody && !strings.Contains(kind, "fhir+json") || row.says == oauthBody && !strings.Contains(body, `"error_description":"`) {
				t.Errorf("%s: %s %.300s", name, kind, body)
			}
			// The same from the same is one event a minute; the guard knows of FHIR and others alone.
			same, want := row.token+" "+row.method+" "+row.path, 1
			if row.system {
				same = fmt.Sprint("guard ", row.says == fhirBody)
			}
			if known[same] {
				want = 0
			}
			known[same] = true
			if n := count() - before; n != want {
				t.Errorf("%s: %d events, want %d", name, n, want)
			}
		}
		// What is larger than is read at all is refused by net/http itself.
		if status, _, _ := h.raw("GET /t/general/fhir/Patient HTTP/1.1\r\nHost: ward.example\r\nX-Long: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"); status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a header of 1 MB: %d", status)
		}
		if status, body := h.send(clinician, "GET", "fhir/Patient", ""); status != http.StatusOK {
			t.Errorf("afterwards: %d %s", status, body)
		}
	})
}
