package main

import (
	"context"

	"ward/internal/app"
	"ward/internal/kernel/observe"
)

type serveCmd struct {
	app.Config `embed:""`
}

// Help is shown by --help.
func (serveCmd) Help() string {
	return `Settings come from flags, then WARD_* variables, then the YAML file of --config (or WARD_CONFIG). The flag
--http-listen is WARD_HTTP_LISTEN, and listen below http in YAML.

Examples:
  ward serve                                     everything embedded, in ./data
  ward serve --data /var/lib/ward --http-listen :443 --http-acme ward.example.org
  ward serve --http-listen :8443 --http-certificate cert.pem --http-key key.pem
  ward serve --config /etc/ward.yaml --target api
  ward serve --target api,worker --db-url postgres://ward_app:…@db/ward --bus-url nats://nats:4222 \
      --blob-url s3://KEY:SECRET@s3/ward --cache-url redis://redis:6379

It stops on SIGINT or SIGTERM when the requests in flight are answered.`
}

// Run serves until the signal.
func (c *serveCmd) Run(ctx context.Context, w *world) error {
	if err := c.Check(); err != nil {
		return err
	}
	level, err := observe.ParseLevel(c.Log.Level)
	if err != nil {
		return err
	}
	log := observe.NewLogger(w.err, level, c.Log.Format == "text")
	return app.Run(ctx, c.Config, app.Options{Version: version, Log: log, HashCommand: hashCommand()})
}
