package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// The parts of the definitions that are compiled.

type structure struct {
	URL            string
	Name           string
	Kind           string
	Abstract       bool
	Derivation     string
	BaseDefinition string
	Snapshot       struct{ Element []element }
}

type element struct {
	Path  string
	Short string
	Min   int
	Max   string
	Type  []struct {
		Code          string
		Profile       []string
		TargetProfile []string
		Extension     []struct{ URL, ValueURL string }
	}
	IsSummary        bool
	IsModifier       bool
	ContentReference string
	Binding          *struct{ Strength, ValueSet string }
}

type parameter struct {
	ID, URL, Name, Code, Type, Expression, Description, XPathUsage string
	Base, Target                                                   []string
	Component                                                      []struct{ Definition, Expression string }
	raw                                                            []byte
}

type compartment struct {
	URL, Code string
	Resource  []struct {
		Code  string
		Param []string
	}
}

type operation struct {
	URL, Name, Code, Title, Description string
	Resource                            []string
	System, Type, Instance              bool
	AffectsState                        bool
}

type codeSystem struct {
	URL, Content string
	Concept      []concept
}

type concept struct {
	Code     string
	Concept  []concept
	Property []struct{ Code, ValueCode string }
}

type valueSet struct {
	URL     string
	Compose struct{ Include, Exclude []composed }
}

type composed struct {
	System   string
	Concept  []struct{ Code string }
	Filter   []struct{ Property, Op, Value string }
	ValueSet []string
}

// read gives each line of folder/kind.ndjson.zst to each.
func read[T any](folder, kind string, each func(T, []byte)) error {
	f, err := os.Open(filepath.Join(folder, kind+".ndjson.zst"))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		each(v, append([]byte(nil), lines.Bytes()...))
	}
	return lines.Err()
}
