package fhirpath

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

type function struct {
	least, most int  // arguments
	types       bool // the argument is the name of a type; call is nil
	call        func(e *evaluator, n *node, input []Item, s scope) ([]Item, error)
}

// functionOf is the function of that name.
func functionOf(name string) (f function, known bool) {
	switch name {
	case "is", "as", "ofType":
		return function{types: true}, true
	case "where", "all", "select":
		return function{least: 1, most: 1, call: each}, true
	case "exists":
		return function{most: 1, call: exists}, true
	case "empty", "not", "count", "hasValue", "getValue", "children", "resolve":
		return function{call: simple}, true
	case "first", "last", "single", "tail":
		return function{call: ends}, true
	case "skip", "take":
		return function{least: 1, most: 1, call: part}, true
	case "extension":
		return function{least: 1, most: 1, call: extension}, true
	case "startsWith", "endsWith", "contains":
		return function{least: 1, most: 1, call: text}, true
	case "length", "lower", "upper":
		return function{call: text}, true
	}
	return function{}, false
}

// criterion evaluates an argument for one item.
func (e *evaluator) criterion(n *node, item *Item, index int) (logical, error) {
	items, err := e.eval(n, scope{this: []Item{*item}, index: index})
	if err != nil {
		return unknown, err
	}
	return e.truth(n, items)
}

// each is where, all and select.
func each(e *evaluator, n *node, input []Item, _ scope) ([]Item, error) {
	var out []Item
	for i := range input {
		if err := e.spend(1); err != nil {
			return nil, err
		}
		if n.name == "select" {
			items, err := e.eval(n.args[0], scope{this: []Item{input[i]}, index: i})
			if err != nil {
				return nil, err
			}
			out = append(out, items...)
			continue
		}
		ok, err := e.criterion(n.args[0], &input[i], i)
		switch {
		case err != nil:
			return nil, err
		case n.name == "all" && ok != yes:
			return []Item{boolean(false)}, nil
		case n.name == "where" && ok == yes:
			out = append(out, input[i])
		}
	}
	if n.name == "all" {
		return []Item{boolean(true)}, nil
	}
	return out, nil
}

func exists(e *evaluator, n *node, input []Item, _ scope) ([]Item, error) {
	if len(n.args) == 0 {
		return []Item{boolean(len(input) > 0)}, nil
	}
	for i := range input {
		ok, err := e.criterion(n.args[0], &input[i], i)
		if err != nil {
			return nil, err
		}
		if ok == yes {
			return []Item{boolean(true)}, nil
		}
	}
	return []Item{boolean(false)}, nil
}

// simple is the functions without arguments that are neither about text nor about the ends of a collection.
func simple(e *evaluator, n *node, input []Item, _ scope) ([]Item, error) {
	switch n.name {
	case "empty":
		return []Item{boolean(len(input) == 0)}, nil
	case "count":
		return []Item{literalItem(numberScalar, strconv.Itoa(len(input)))}, nil
	case "not":
		t, err := e.truth(n, input)
		if t != unknown {
			t = yes + no - t
		}
		return t.items(), err
	case "hasValue":
		return []Item{boolean(len(input) == 1 && e.scalar(&input[0]).kind != noScalar)}, nil
	case "getValue":
		if len(input) != 1 {
			return nil, nil
		}
		return e.filter(input, func(i *Item) (bool, error) { return e.scalar(i).kind != noScalar, nil })
	case "children":
		var out []Item
		for i := range input {
			if t := elementsOf(&input[i]); t != nil {
				out = e.children(out, &input[i], t, nil)
			}
		}
		return out, e.spend(len(out))
	}
	return e.resolve(n, input)
}

// resolve finds contained resources. Other resources can't be reached from here (fhirpatch.html#concept).
func (e *evaluator) resolve(n *node, input []Item) ([]Item, error) {
	var out []Item
	for i := range input {
		reference := e.scalar(&input[i])
		if input[i].Type != nil && input[i].Type.Name == "Reference" {
			reference = scalar{stringScalar, e.doc.Bytes(e.doc.Get(input[i].Node, "reference"))}
		}
		id, ok := strings.CutPrefix(string(reference.text), "#")
		if !ok {
			return nil, e.fail(n, "resolve() reaches contained resources only")
		}
		if id == "" {
			out = append(out, e.root)
			continue
		}
		resources, err := e.contained()
		if err != nil {
			return nil, err
		}
		for _, r := range resources {
			if string(e.doc.Bytes(e.doc.Get(r.Node, "id"))) == id {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

func (e *evaluator) contained() ([]Item, error) {
	element := e.root.Type.Named("contained")
	if element == nil { // a Bundle, Binary or Parameters
		return nil, nil
	}
	resources := e.children(nil, &e.root, e.root.Type, element)
	return resources, e.spend(len(resources))
}

func ends(e *evaluator, n *node, input []Item, _ scope) ([]Item, error) {
	if n.name == "single" && len(input) > 1 {
		return nil, e.fail(n, "single() found %d items", len(input))
	}
	switch {
	case len(input) == 0:
		return nil, nil
	case n.name == "tail":
		return input[1:], nil
	case n.name == "last":
		return input[len(input)-1:], nil
	}
	return input[:1:1], nil
}

func part(e *evaluator, n *node, input []Item, s scope) ([]Item, error) {
	items, err := e.eval(n.args[0], s)
	if err != nil {
		return nil, err
	}
	count, ok := e.integer(items)
	if !ok {
		return nil, e.fail(n, "%s() takes a whole number", n.name)
	}
	count = min(max(count, 0), len(input))
	if n.name == "skip" {
		return input[count:], nil
	}
	return input[:count:count], nil
}

// extension(url) is extension.where(url = …).
func extension(e *evaluator, n *node, input []Item, s scope) ([]Item, error) {
	url, err := e.argument(n, s)
	if err != nil {
		return nil, err
	}
	var out []Item
	for i := range input {
		t := elementsOf(&input[i])
		if t == nil {
			continue
		}
		element := t.Named("extension")
		if element == nil {
			continue
		}
		extensions := e.children(nil, &input[i], t, element)
		if err := e.spend(1 + len(extensions)); err != nil {
			return nil, err
		}
		for _, x := range extensions {
			if bytes.Equal(e.doc.Bytes(e.doc.Get(x.Node, "url")), []byte(url)) {
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// argument is a string argument.
func (e *evaluator) argument(n *node, s scope) (string, error) {
	items, err := e.eval(n.args[0], s)
	if err != nil {
		return "", err
	}
	if len(items) != 1 || e.scalar(&items[0]).kind != stringScalar {
		return "", e.fail(n, "%s() takes a string", n.name)
	}
	return string(e.scalar(&items[0]).text), nil
}

// text is the functions about strings.
func text(e *evaluator, n *node, input []Item, s scope) ([]Item, error) {
	if len(input) == 0 {
		return nil, nil
	}
	v := scalar{}
	if len(input) == 1 {
		v = e.scalar(&input[0])
	}
	if v.kind == noScalar || v.kind == boolScalar || v.kind == numberScalar {
		return nil, e.fail(n, "%s() works on a single string", n.name)
	}
	if err := e.spend(len(v.text) / 64); err != nil {
		return nil, err
	}
	argument := ""
	if len(n.args) == 1 {
		var err error
		if argument, err = e.argument(n, s); err != nil {
			return nil, err
		}
	}
	switch n.name {
	case "startsWith":
		return []Item{boolean(bytes.HasPrefix(v.text, []byte(argument)))}, nil
	case "endsWith":
		return []Item{boolean(bytes.HasSuffix(v.text, []byte(argument)))}, nil
	case "contains":
		return []Item{boolean(bytes.Contains(v.text, []byte(argument)))}, nil
	case "lower":
		return []Item{literalItem(stringScalar, strings.ToLower(string(v.text)))}, nil
	case "upper":
		return []Item{literalItem(stringScalar, strings.ToUpper(string(v.text)))}, nil
	}
	return []Item{literalItem(numberScalar, strconv.Itoa(utf8.RuneCount(v.text)))}, nil
}
