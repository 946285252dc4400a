package main

import (
	"context"
	"fmt"
	"os"

	"ward/internal/app"
)

type routesCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is shown by --help.
func (routesCmd) Help() string {
	return `Examples:
  ward routes
  ward routes --json | jq '.[] | select(.public)'`
}

// Run builds the product in a folder that goes away and prints its routes: they don't depend on the data.
func (c *routesCmd) Run(ctx context.Context, w *world) (err error) {
	dir, err := os.MkdirTemp("", "ward-routes-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	config, err := app.Load("", nil, map[string]string{"data": dir})
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, config, app.Options{Version: version})
	if err != nil {
		return err
	}
	defer func() { _ = a.Close(context.WithoutCancel(ctx)) }()
	if !c.JSON {
		fmt.Fprint(w.out, app.RouteTable(a.Routes()))
		return nil
	}
	text, err := app.RouteJSON(a.Routes())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w.out, string(text))
	return err
}
