package main

import (
	"cmp"
	"slices"
	"strings"
)

// terms are the code systems and value sets, by URL.
type terms struct {
	systems []codeSystem
	sets    []valueSet
}

func readTerminology(in string) (*terms, error) {
	t := &terms{}
	err := read(in, "CodeSystem", func(s codeSystem, _ []byte) {
		// Codes of systems that are older versions (their URL carries one) or that are no systems of their own are left out.
		if !strings.Contains(s.URL, "|") && s.Content != "supplement" && s.Content != "not-present" {
			t.systems = append(t.systems, s)
		}
	})
	if err != nil {
		return nil, err
	}
	if err = read(in, "ValueSet", func(v valueSet, _ []byte) { t.sets = append(t.sets, v) }); err != nil {
		return nil, err
	}
	slices.SortFunc(t.systems, func(a, b codeSystem) int { return cmp.Compare(a.URL, b.URL) })
	slices.SortFunc(t.sets, func(a, b valueSet) int { return cmp.Compare(a.URL, b.URL) })
	return t, nil
}

func (t *terms) encode() []byte {
	w := newWriter()
	w.num(len(t.systems))
	for _, s := range t.systems {
		encodeSystem(w, s)
	}
	w.num(len(t.sets))
	for _, v := range t.sets {
		w.str(v.URL)
		encodeClauses(w, v.Compose.Include)
		encodeClauses(w, v.Compose.Exclude)
	}
	return w.bytes()
}

// flat is a code system as a list, parents before their children.
type flat struct {
	codes   []string
	parents []int // position + 1
	at      map[string]int
	more    [][2]int // further (child, parent) positions
}

func flatten(s codeSystem) flat {
	f := flat{at: map[string]int{}}
	children := map[string][]string{}
	var walk func(list []concept, parent int)
	walk = func(list []concept, parent int) {
		for _, c := range list {
			f.codes, f.parents = append(f.codes, c.Code), append(f.parents, parent)
			f.at[c.Code] = len(f.codes) - 1
			for _, p := range c.Property {
				if p.Code == "child" {
					children[c.Code] = append(children[c.Code], p.ValueCode)
				}
			}
			walk(c.Concept, len(f.codes))
		}
	}
	walk(s.Concept, 0)
	for i, code := range f.codes {
		for _, child := range children[code] {
			if k, ok := f.at[child]; ok && f.parents[k] != i+1 {
				f.more = append(f.more, [2]int{k, i})
			}
		}
	}
	return f
}

func encodeSystem(w *writer, s codeSystem) {
	f := flatten(s)
	if len(f.codes) > 65000 {
		panic(s.URL + " has more codes than two bytes count")
	}
	w.str(s.URL)
	w.flag(s.Content == "complete")
	w.strs(f.codes)
	deep := len(f.more) > 0
	for _, p := range f.parents {
		deep = deep || p > 0
	}
	w.flag(deep)
	if deep {
		for _, p := range f.parents {
			w.num(p)
		}
	}
	w.num(len(f.more))
	for _, edge := range f.more {
		w.num(edge[0])
		w.num(edge[1])
	}
}

func encodeClauses(w *writer, list []composed) {
	w.num(len(list))
	for _, c := range list {
		w.str(c.System)
		codes := make([]string, len(c.Concept))
		for i := range c.Concept {
			codes[i] = c.Concept[i].Code
		}
		slices.Sort(codes)
		w.strs(codes)
		w.num(len(c.Filter))
		for _, f := range c.Filter {
			w.str(f.Property)
			w.str(f.Op)
			w.str(f.Value)
		}
		w.strs(c.ValueSet)
	}
}

// codeSet is the expansion of a value set that a required binding names.
type codeSet struct {
	url     string
	systems []string
	codes   [][]string // for each system
}

func (s codeSet) encode(w *writer) {
	w.str(s.url)
	w.num(len(s.systems))
	for i, system := range s.systems {
		w.str(system)
		w.strs(s.codes[i])
	}
}

// requiredSets are the value sets of required bindings whose codes can all be listed.
func (c *core) requiredSets(types []compiled) []codeSet {
	seen := map[string]bool{}
	var list []codeSet
	for _, t := range types {
		for _, e := range t.elements {
			if e.strength != 1 || seen[e.valueSet] {
				continue
			}
			seen[e.valueSet] = true
			if s, ok := c.terms.expand(e.valueSet); ok {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, func(a, b codeSet) int { return cmp.Compare(a.url, b.url) })
	return list
}

// expand lists a value set that is made of listed codes and of whole, complete systems; false for any other.
func (t *terms) expand(url string) (codeSet, bool) {
	out := codeSet{url: url}
	i, ok := slices.BinarySearchFunc(t.sets, url, func(v valueSet, u string) int { return cmp.Compare(v.URL, u) })
	if !ok || len(t.sets[i].Compose.Exclude) > 0 {
		return out, false
	}
	for _, c := range t.sets[i].Compose.Include {
		if len(c.Filter) > 0 || len(c.ValueSet) > 0 || c.System == "" {
			return out, false
		}
		var codes []string
		for _, x := range c.Concept {
			codes = append(codes, x.Code)
		}
		if len(codes) == 0 {
			k, ok := slices.BinarySearchFunc(t.systems, c.System, func(s codeSystem, u string) int { return cmp.Compare(s.URL, u) })
			if !ok || t.systems[k].Content != "complete" {
				return out, false
			}
			codes = flatten(t.systems[k]).codes
		}
		out.systems, out.codes = append(out.systems, c.System), append(out.codes, codes)
	}
	return out, true
}
