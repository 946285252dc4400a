package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"ward/internal/base/fault"
)

// Sources gives settings from a YAML file and from WARD_* variables, which come before the file. It is a kong.Resolver, so
// that flags come before both.
type Sources struct {
	Unknown []string // WARD_* variables that are no setting: worth a warning, since an orchestrator may have set them

	values map[string]sourced // by flag
}

type sourced struct{ text, from string }

// NewSources reads the file, if one is named, and the variables (NAME=value, as os.Environ gives them). It returns fault.Invalid
// naming an unknown key or a wrong value, where it stands and what would be right.
func NewSources(path string, environ []string) (*Sources, error) {
	s := &Sources{values: map[string]sourced{}}
	settings := new(Config).Settings()
	if path != "" {
		if err := s.file(path, settings); err != nil {
			return nil, err
		}
	}
	return s, s.env(environ, settings)
}

func (s *Sources) file(path string, settings []Setting) error {
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		if _, missing := os.Stat(path); missing != nil {
			return fault.Invalid("the configuration %s can't be opened: %s", path, plain(missing))
		}
		return fault.Invalid("the configuration %s is no YAML: %s", path, err)
	}
	for key, value := range k.All() {
		i := slices.IndexFunc(settings, func(x Setting) bool { return x.Key == key })
		if i < 0 {
			if slices.ContainsFunc(settings, func(x Setting) bool { return strings.HasPrefix(x.Key, key+".") }) && value == nil {
				continue // an empty section
			}
			return fault.Invalid("%s: there is no setting %s: %s", path, key, nearest(key, settings))
		}
		text := fmt.Sprint(value)
		if list, ok := value.([]any); ok {
			var parts []string
			for _, v := range list {
				parts = append(parts, fmt.Sprint(v))
			}
			text = strings.Join(parts, ",")
		}
		if value == nil {
			continue
		}
		if wrong := settings[i].check(text); wrong != "" {
			return fault.Invalid("%s: the setting %s: %s", path, key, wrong)
		}
		s.values[settings[i].Flag] = sourced{text, path}
	}
	return nil
}

func (s *Sources) env(environ []string, settings []Setting) error {
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{Prefix: "WARD_", EnvironFunc: func() []string { return environ }, TransformFunc: func(name, value string) (string, any) {
		i := slices.IndexFunc(settings, func(x Setting) bool { return x.Env == name })
		switch {
		case i >= 0:
			return settings[i].Key, value
		case name != "WARD_CONFIG" && !strings.HasPrefix(name, "WARD_TEST_"):
			s.Unknown = append(s.Unknown, name)
		}
		return "", nil
	}}), nil)
	if err != nil {
		return fault.Internal("the environment can't be read").With(err)
	}
	for i := range settings {
		x := &settings[i]
		if !k.Exists(x.Key) {
			continue
		}
		text := k.String(x.Key)
		if wrong := x.check(text); wrong != "" {
			return fault.Invalid("%s (the setting %s): %s", x.Env, x.Key, wrong)
		}
		s.values[x.Flag] = sourced{text, x.Env}
	}
	return nil
}

// Validate is part of kong.Resolver; everything is checked when it is read.
func (s *Sources) Validate(*kong.Application) error { return nil }

// Resolve gives a flag's value, nil when neither file nor variables have it.
func (s *Sources) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if v, ok := s.values[flag.Name]; ok {
		return v.text, nil
	}
	return nil, nil //nolint:nilnil // what kong wants
}

// Load is the configuration for commands that have no flag for each setting: defaults, file, variables, and the settings
// given here by flag name. It is checked.
func Load(path string, environ []string, given map[string]string) (Config, error) {
	sources, err := NewSources(path, environ)
	if err != nil {
		return Config{}, err
	}
	var c Config
	parser, err := kong.New(&c, kong.Resolvers(sources), kong.Exit(func(int) {}))
	if err != nil {
		return c, fault.Internal("the configuration's description is wrong").With(err)
	}
	var args []string
	for name, value := range given {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	if _, err := parser.Parse(args); err != nil {
		return c, fault.Invalid("%s", err)
	}
	return c, c.Check()
}

// nearest is the setting that was probably meant.
func nearest(key string, settings []Setting) string {
	best, distance := "", 4
	for _, s := range settings {
		if d := edits(key, s.Key); d < distance {
			best, distance = s.Key, d
		}
		if strings.HasSuffix(s.Key, "."+key[strings.LastIndexByte(key, '.')+1:]) && distance > 3 {
			best = s.Key
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "`ward config check` lists them"
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// plain is the reason of a file's error without the path, which the caller names.
func plain(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
