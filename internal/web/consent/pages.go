package consent

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/kernel/identity/oauth"
)

//go:embed pages/*.html pages/style.css
var files embed.FS

// Pages draws. Make it with [New].
type Pages struct {
	pages *template.Template
	style string // its source in a Content-Security-Policy
}

// New reads the pages.
func New() (*Pages, error) {
	style, err := files.ReadFile("pages/style.css")
	if err != nil {
		return nil, fault.Internal("the pages' style can't be read").With(err)
	}
	pages, err := template.New("").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // embedded
	}).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fault.Internal("the pages can't be read").With(err)
	}
	sum := sha256.Sum256(style)
	return &Pages{pages, "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"}, nil
}

// Consent asks what the user agrees to.
func (p *Pages) Consent(w http.ResponseWriter, v oauth.ConsentPage) error {
	return p.draw(w, http.StatusOK, "consent.html", v.Origin, v)
}

// Pick asks for the patient.
func (p *Pages) Pick(w http.ResponseWriter, v oauth.PickPage) error {
	return p.draw(w, http.StatusOK, "pick.html", "", v)
}

// Consents lists the apps that the user let in.
func (p *Pages) Consents(w http.ResponseWriter, v oauth.ConsentsPage) error {
	return p.draw(w, http.StatusOK, "consents.html", "", v)
}

// Failed says why the app can't go on.
func (p *Pages) Failed(w http.ResponseWriter, status int, v oauth.FailedPage) error {
	return p.draw(w, status, "failed.html", "", v)
}

// Onward leads to the app.
func (p *Pages) Onward(w http.ResponseWriter, to, app string) error {
	u, err := url.Parse(to)
	if err != nil {
		return fault.Internal("the way to the app can't be read").With(err)
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "https" && scheme != "http" && !strings.Contains(scheme, ".") {
		return fault.Internal("the way to the app is none")
	}
	return p.draw(w, http.StatusOK, "onward.html", "", struct {
		App     string
		To      template.URL
		Refresh string
	}{app, template.URL(to), "0;url=" + to}) //nolint:gosec // a registered redirect URI, of a scheme that is looked at above
}

// draw answers with the page. formTo is where its form may lead besides this site.
func (p *Pages) draw(w http.ResponseWriter, status int, name, formTo string, v any) error {
	var body bytes.Buffer
	if err := p.pages.ExecuteTemplate(&body, name, v); err != nil {
		return fault.Internal("the page %s can't be drawn", name).With(err)
	}
	if strings.ContainsAny(formTo, "; ,'\"\t\r\n") {
		formTo = ""
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", strings.TrimSpace("default-src 'none'; style-src "+p.style+"; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+formTo))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err := body.WriteTo(w)
	return err
}
