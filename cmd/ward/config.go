package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"ward/internal/app"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Print the configuration that results, secrets masked, or say what is wrong with it."`
}

type configCheckCmd struct {
	app.Config `embed:""`
}

// Help is shown by --help.
func (configCheckCmd) Help() string {
	return `Examples:
  ward config check
  ward config check --config /etc/ward.yaml --target api`
}

// Run prints the settings as YAML with a comment each.
func (c *configCheckCmd) Run(w *world) error {
	if err := c.Check(); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	section := ""
	for _, s := range c.Settings() {
		head, name, nested := strings.Cut(s.Key, ".")
		indent := ""
		if nested {
			if head != section {
				section = head
				fmt.Fprintf(t, "%s:\n", section)
			}
			indent = "  "
		} else {
			name = head
		}
		value := s.Value
		if value == "" || strings.ContainsAny(value, ":#{}[],&*!|>'\"%@` ") {
			value = "'" + strings.ReplaceAll(value, "'", "''") + "'"
		}
		unit := ""
		if s.Unit != "" {
			unit = s.Unit + "; "
		}
		def := s.Default
		if def == "" {
			def = "none"
		}
		fmt.Fprintf(t, "%s%s: %s\t# %sdefault %s; %s\n", indent, name, value, unit, def, s.Env)
	}
	return t.Flush()
}
