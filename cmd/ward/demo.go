package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"text/template"

	"ward/internal/app"
	"ward/internal/kernel/observe"
)

type demoCmd struct {
	place     `embed:""`
	Listen    string `help:"Address that answers requests." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	OpsListen string `help:"Address of /healthz, /readyz and /metrics." default:"127.0.0.1:8081" placeholder:"HOST:PORT"`
}

// Help is shown by --help.
func (demoCmd) Help() string {
	return `It keeps everything in one folder, writes demo.json there (addresses, tenants, a token per role) when it is ready, and
ends on Ctrl-C. Remove the folder to begin anew.

Examples:
  ward demo
  ward demo --data /tmp/ward --listen 127.0.0.1:0 --ops-listen 127.0.0.1:0`
}

const welcome = `
Ward is ready. Everybody in it is made up.

  FHIR base    {{(index .Tenants 0).FHIR}}
  Health       {{.Ops}}/readyz
  Metrics      {{.Ops}}/metrics
  Sign in      {{.Base}}/t/{{(index .Tenants 0).Slug}}/signin
  All of this  {{.File}} (and a token per role; a second tenant, {{(index .Tenants 1).Slug}})

A clinician's token:

  TOKEN={{.Tokens.clinician}}

People who can sign in, all with the password {{(index .People 0).Password}}:
{{range .People}}
  {{printf "%-10s" .Role}} {{.Email}}{{end}}

The code that is asked for besides: ward person code EMAIL

Worth trying:

  curl -s -H "Authorization: Bearer $TOKEN" '{{(index .Tenants 0).FHIR}}/Patient?_count=3&_sort=-birthdate&_pretty=true'
  curl -s -H "Authorization: Bearer $TOKEN" '{{(index .Tenants 0).FHIR}}/Observation?code=http://loinc.org|8302-2&_sort=-date&_count=5&_include=Observation:patient&_pretty=true'
  curl -s '{{(index .Tenants 0).FHIR}}/metadata?_summary=true&_pretty=true'

Ctrl-C ends it.
`

// Run serves the demo until the signal.
func (c *demoCmd) Run(ctx context.Context, w *world) error {
	config, err := app.Load(w.config, w.environ, map[string]string{
		"data": c.Data, "http-listen": c.Listen, "http-ops-listen": c.OpsListen, "http-drain-wait": "0s", "log-format": "text",
	})
	if err != nil {
		return err
	}
	text, err := template.New("welcome").Parse(welcome)
	if err != nil {
		return err
	}
	level := slog.LevelWarn // the terminal is for people here
	if config.Log.Level == "debug" {
		level = slog.LevelDebug
	}
	progress := newBar(w, "Loading made-up patients", -1)
	var loaded int
	err = app.Run(ctx, config, app.Options{
		Version: version, Log: observe.NewLogger(w.err, level, true), HashCommand: hashCommand(),
		Prepare: func(ctx context.Context, a *app.App) error {
			defer progress.finish()
			return a.FillDemo(ctx, func(read, total int64, r app.ImportReport) {
				if loaded == 0 && progress.ProgressBar != nil {
					progress.ChangeMax64(total)
				}
				loaded = r.Resources()
				progress.show(read, "Loading made-up patients", r)
			})
		},
		Ready: func(ctx context.Context, a *app.App) error {
			d, err := a.WriteDemo(ctx)
			if err != nil {
				return err
			}
			if loaded > 0 {
				fmt.Fprintf(w.out, "Loaded %d resources.\n", loaded)
			}
			return text.Execute(w.out, struct {
				app.Demo
				File string
			}{d, app.DemoFile(config.Data)})
		},
	})
	if err != nil && strings.Contains(err.Error(), "can't listen") {
		return fmt.Errorf("another program has %s or %s: choose others with --listen and --ops-listen", c.Listen, c.OpsListen)
	}
	return err
}
