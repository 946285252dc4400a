package app_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"ward/internal/app"
	"ward/internal/base/fault"
)

// TestRun_RefusesToBeReachedWithoutTLS: the sentence names the setting and the remedies.
func TestRun_RefusesToBeReachedWithoutTLS(t *testing.T) {
	t.Parallel()
	stop := errors.New("it went on")
	for _, row := range []struct {
		name    string
		change  func(c *app.Config)
		refused string
	}{
		{"this machine alone", func(*app.Config) {}, ""},
		{"by its name", func(c *app.Config) { c.HTTP.Listen = "localhost:0" }, ""},
		{"IPv6", func(c *app.Config) { c.HTTP.Listen = "[::1]:0" }, ""},
		{"everywhere", func(c *app.Config) { c.HTTP.Listen = ":0" }, "http.listen"},
		{"everywhere in numbers", func(c *app.Config) { c.HTTP.Listen = "0.0.0.0:0" }, "http.listen"},
		{"one address", func(c *app.Config) { c.HTTP.Listen = "192.0.2.1:0" }, "http.listen"},
		{"a name", func(c *app.Config) { c.HTTP.Listen = "ward.example.org:0" }, "http.listen"},
		{"metrics", func(c *app.Config) { c.HTTP.OpsListen = ":0" }, "http.ops-listen"},
		{"told to", func(c *app.Config) { c.HTTP.Listen, c.Insecure = ":0", true }, ""},
		{"ACME", func(c *app.Config) { c.HTTP.Listen, c.HTTP.ACME = ":0", "ward.example.org" }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := embedded(t)
			row.change(&c)
			err := app.Run(t.Context(), c, app.Options{Prepare: func(context.Context, *app.App) error { return stop }})
			switch {
			case row.refused == "" && !errors.Is(err, stop):
				t.Errorf("refused: %v", err)
			case row.refused != "" && (!fault.Is(err, fault.CodeInvalid) || !strings.Contains(fault.Message(err), row.refused) ||
				!strings.Contains(fault.Message(err), "http.certificate") || !strings.Contains(fault.Message(err), "--insecure")):
				t.Errorf("want a refusal that names %s and the remedies, got %v", row.refused, err)
			}
		})
	}
}

// TestTLS_ACMEServesItsNamesOnly: the handshake asks for a name that is not among http.acme and is refused before any authority is asked; old TLS is
// refused too.
func TestTLS_ACMEServesItsNamesOnly(t *testing.T) {
	t.Parallel()
	c := embedded(t)
	c.HTTP.ACME, c.HTTP.ACMEDirectory = "ward.example.org", "http://127.0.0.1:1/directory"
	a, err := app.Open(t.Context(), c, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop(context.WithoutCancel(t.Context())) })
	for _, config := range []*tls.Config{
		{ServerName: "other.example.org", MinVersion: tls.VersionTLS12},
		{ServerName: "ward.example.org", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, //nolint:gosec // on purpose
	} {
		d := tls.Dialer{Config: config}
		if conn, err := d.DialContext(t.Context(), "tcp", a.Addr()); err == nil {
			_ = conn.Close()
			t.Errorf("%s got a connection", config.ServerName)
		}
	}
}
