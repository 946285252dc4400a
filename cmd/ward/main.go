// Command ward is the whole product in one binary. `ward demo` shows it, `ward serve` runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"ward/internal/app"
	"ward/internal/base/fault"
)

// Set by the linker.
var (
	version = "dev"
	commit  = "unknown"
)

type cli struct {
	ConfigFile configFile `name:"config" help:"YAML file of settings." placeholder:"FILE" env:"WARD_CONFIG"`

	Demo       demoCmd       `cmd:"" help:"Try it: two tenants and a hundred made-up patients, with nothing installed."`
	Serve      serveCmd      `cmd:"" help:"Run it."`
	Import     importCmd     `cmd:"" help:"Store bundles, NDJSON and archives of them."`
	Tenant     tenantCmd     `cmd:"" help:"Create, move, export, import, suspend and delete tenants."`
	Cell       cellCmd       `cmd:"" help:"Name the cells that serve tenants elsewhere."`
	Token      tokenCmd      `cmd:"" help:"Mint, list and revoke tokens."`
	Client     clientCmd     `cmd:"" help:"Register, list and delete apps and backend services."`
	Person     personCmd     `cmd:"" help:"Invite people, list and disable them, end their sessions."`
	Audit      auditCmd      `cmd:"" help:"See who did what, and prove that the record is whole."`
	Routes     routesCmd     `cmd:"" help:"Print every route with its lane, permission and objective."`
	Config     configCmd     `cmd:"" help:"Look at the configuration."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the databases up to date."`
	Doctor     doctorCmd     `cmd:"" help:"Check every backend and say what is wrong."`
	Deadletter deadletterCmd `cmd:"" help:"List, replay and discard events that could not be handled."`
	Seal       sealCmd       `cmd:"" help:"Look after the keys that tenants' data are encrypted with."`
	Calendar   calendarCmd   `cmd:"" help:"Compute with calendars."`
	Load       loadCmd       `cmd:"" help:"Measure a running server beside the limits of the machine."`
	Hash       hashCmd       `cmd:"" name:"hash-passwords" hidden:"" help:"Compute password hashes for another process of this program."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// world is what a command may touch outside of itself.
type world struct {
	out, err io.Writer
	in       io.Reader
	environ  []string
	config   string // path of the YAML file
	terminal bool   // err is one
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { // a second signal ends it at once
		<-ctx.Done()
		stop()
	}()
	info, err := os.Stderr.Stat()
	w := &world{out: os.Stdout, err: os.Stderr, in: os.Stdin, environ: os.Environ(), terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
	os.Exit(run(ctx, w, os.Args[1:]))
}

// run is the program with its surroundings given: 0 when all went well, 1 when something failed, 2 when it was asked
// wrongly.
func run(ctx context.Context, w *world, args []string) (code int) {
	var c cli
	sources, err := app.NewSources("", w.environ)
	if err != nil {
		return complain(w, err, 2)
	}
	type exited int
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(exited)
			if !ok {
				panic(p)
			}
			code = int(e)
		}
	}()
	parser, err := kong.New(&c, kong.Name("ward"), kong.Description("Ward: clinical records, multi-tenant, in one binary."),
		kong.Writers(w.out, w.err), kong.Exit(func(code int) { panic(exited(code)) }), kong.Resolvers(sources), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(w), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}), kong.ValueFormatter(describe),
		configWorld{w})
	if err != nil {
		return complain(w, err, 2)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		return complain(w, err, 2)
	}
	w.config = string(c.ConfigFile)
	for _, name := range sources.Unknown {
		fmt.Fprintf(w.err, "ward: %s is no setting and is not looked at (`ward config check` lists them)\n", name)
	}
	if err := command.Run(); err != nil {
		if errors.Is(err, errSilent) {
			return 1
		}
		code := 1
		if fault.Is(err, fault.CodeInvalid) {
			code = 2
		}
		return complain(w, err, code)
	}
	return 0
}

// errSilent fails a command that has said why itself.
var errSilent = errors.New("failed")

// complain says what is wrong in one sentence: for operators, so with the cause.
func complain(w *world, err error, code int) int {
	text := err.Error()
	if f, ok := fault.Of(err); ok {
		text = f.Message
		if f.Cause != nil {
			text += ": " + f.Cause.Error()
		}
		for _, d := range f.Details {
			text += "\n  " + d.Message
		}
	}
	fmt.Fprintln(w.err, "ward:", strings.TrimSpace(text))
	return code
}

// describe adds to a setting's help what it is measured in, its key, its variable.
func describe(v *kong.Value) string {
	help := v.Help
	for _, s := range new(app.Config).Settings() {
		if v.Flag == nil || s.Flag != v.Name || s.Help != v.OrigHelp {
			continue
		}
		facts := []string{}
		if s.Unit != "" {
			facts = append(facts, s.Unit)
		}
		if s.Default == "" {
			facts = append(facts, "default none")
		} else {
			facts = append(facts, "default "+s.Default)
		}
		return help + " (" + strings.Join(append(facts, s.Env), "; ") + ")"
	}
	return kong.DefaultHelpValueFormatter(v)
}

// configFile is the flag that names the YAML file, whose settings count for all flags not given.
type configFile string

// BeforeResolve reads the file.
func (c configFile) BeforeResolve(k *kong.Context, path *kong.Path, w *world) error {
	name, _ := k.FlagValue(path.Flag).(configFile)
	sources, err := app.NewSources(string(name), w.environ)
	if err != nil {
		return err
	}
	k.AddResolver(sources)
	return nil
}

// configWorld reads the file that WARD_CONFIG names, for which no flag is given.
type configWorld struct{ w *world }

// Apply adds the file's settings; the flag --config replaces them.
func (c configWorld) Apply(k *kong.Kong) error {
	for _, v := range c.w.environ {
		if path, ok := strings.CutPrefix(v, "WARD_CONFIG="); ok && path != "" {
			sources, err := app.NewSources(path, c.w.environ)
			if err != nil {
				return err
			}
			return kong.Resolvers(sources).Apply(k)
		}
	}
	return nil
}

// place is what commands need that work on the data without serving.
type place struct {
	Data string `help:"Folder of the embedded backends." placeholder:"DIR" default:"data"`
}

// load reads the configuration. Everything but the folder comes from the file and the variables.
func (p place) load(w *world) (app.Config, error) {
	return app.Load(w.config, w.environ, map[string]string{"data": p.Data})
}

// desk is what operators ask for.
type desk = app.Desk

// with does something with the data: itself, or through the Ward that has it open.
func (p place) with(ctx context.Context, w *world, do func(d desk) error) error {
	c, err := p.load(w)
	if err != nil {
		return err
	}
	d, err := app.OpenDesk(ctx, c, app.Options{Version: version})
	if err != nil {
		return err
	}
	return errors.Join(do(d), d.Close(context.WithoutCancel(ctx)))
}
