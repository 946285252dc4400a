package patch

import (
	"strconv"

	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/fhirpath"
	"ward/internal/format/jsontape"
)

// FHIRPathPatch applies a FHIRPath Patch, given as a Parameters resource, to a resource and gives the new one without
// whitespace between its tokens (FHIR R4 fhirpatch.html). The bytes given are left alone. Whether the result is valid is for
// the caller to check.
func FHIRPathPatch(resource, parameters []byte) ([]byte, error) {
	var p jsontape.Doc
	name, err := fhir.Parse(&p, parameters)
	if err != nil {
		return nil, err
	}
	if name != "Parameters" {
		return nil, fault.Invalid("a FHIRPath Patch is a Parameters resource")
	}
	t, err := newTarget(jsontape.AppendCompact(nil, resource))
	if err != nil {
		return nil, err
	}
	list := p.Get(p.Root(), "parameter")
	if list >= 0 && p.Kind(list) != jsontape.Array {
		return nil, fault.Invalid("Parameters.parameter must be an array")
	}
	i := 0
	for n := p.First(list); n >= 0; n = p.Next(n) {
		o, err := readChange(&p, n)
		if err == nil {
			err = o.apply(t)
		}
		if err != nil {
			prefix := "operation[" + strconv.Itoa(i) + "]"
			if o.kind != "" {
				prefix += " " + o.kind
			}
			return nil, located(err, &p, n, prefix, "Parameters.parameter["+strconv.Itoa(i)+"]")
		}
		i++
	}
	return t.src, nil
}

// change is one operation (fhirpatch.html#format).
type change struct {
	patch *jsontape.Doc
	kind  string // add, insert, delete, replace or move
	path  *fhirpath.Expression
	name  string        // of the element to add
	value jsontape.Node // the part that holds it

	index, source, destination int
}

// needs are the parts that each kind of operation takes beside type and path.
func needs(kind string) (parts []string, known bool) {
	switch kind {
	case "add":
		return []string{"name", "value"}, true
	case "insert":
		return []string{"value", "index"}, true
	case "delete":
		return nil, true
	case "replace":
		return []string{"value"}, true
	case "move":
		return []string{"source", "destination"}, true
	}
	return nil, false
}

func readChange(p *jsontape.Doc, n jsontape.Node) (c change, err error) {
	c = change{patch: p, value: jsontape.Invalid}
	if string(p.Bytes(p.Get(n, "name"))) != "operation" {
		return c, fault.Invalid(`each parameter of a FHIRPath Patch has the name "operation"`)
	}
	list := p.Get(n, "part")
	if p.Kind(list) != jsontape.Array {
		return c, fault.Invalid("an operation has parts: type, path and what the type needs")
	}
	parts := make(map[string]jsontape.Node, 6)
	for part := p.First(list); part >= 0; part = p.Next(part) {
		name := p.Text(p.Get(part, "name"))
		switch name {
		case "type", "path", "name", "value", "index", "source", "destination":
		default:
			return c, fault.Invalid("the parts of an operation are type, path, name, value, index, source and destination")
		}
		if _, twice := parts[name]; twice {
			return c, fault.Invalid("the part %s occurs twice", name)
		}
		parts[name] = part
	}
	kind, err := c.text(parts, "type", "valueCode", "valueString")
	if err != nil {
		return c, err
	}
	wanted, known := needs(kind)
	if !known {
		return c, fault.Invalid("the type of an operation is add, insert, delete, replace or move")
	}
	c.kind = kind
	path, err := c.text(parts, "path", "valueString")
	if err != nil {
		return c, err
	}
	if c.path, err = fhirpath.Parse(path); err != nil {
		return c, err
	}
	for _, name := range wanted {
		if err := c.read(parts, name); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *change) read(parts map[string]jsontape.Node, name string) (err error) {
	switch name {
	case "name":
		c.name, err = c.text(parts, name, "valueString", "valueCode")
	case "value":
		n, ok := parts[name]
		if !ok {
			return fault.Invalid("the part value is missing")
		}
		c.value = n
	case "index":
		c.index, err = c.number(parts, name)
	case "source":
		c.source, err = c.number(parts, name)
	case "destination":
		c.destination, err = c.number(parts, name)
	}
	return err
}

// text is the string in a part, under one of these members.
func (c *change) text(parts map[string]jsontape.Node, name string, members ...string) (string, error) {
	part, ok := parts[name]
	if !ok {
		return "", fault.Invalid("the part %s is missing", name)
	}
	for _, m := range members {
		if n := c.patch.Get(part, m); c.patch.Kind(n) == jsontape.String {
			return c.patch.Text(n), nil
		}
	}
	return "", fault.Invalid("the part %s needs a %s", name, members[0])
}

func (c *change) number(parts map[string]jsontape.Node, name string) (int, error) {
	part, ok := parts[name]
	if !ok {
		return 0, fault.Invalid("the part %s is missing", name)
	}
	for _, m := range []string{"valueInteger", "valueUnsignedInt", "valuePositiveInt"} {
		n := c.patch.Get(part, m)
		if i, err := strconv.Atoi(string(c.patch.Bytes(n))); c.patch.Kind(n) == jsontape.Number && err == nil && i >= 0 {
			return i, nil
		}
	}
	return 0, fault.Invalid("the part %s needs a valueInteger that is not negative", name)
}
