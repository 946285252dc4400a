package spec

import (
	_ "embed" // the compiled definitions
	"sync"
)

//go:embed core.bin
var coreFile []byte

// loadCore reads core.bin in the order in which gen/core.go writes it.
func loadCore() *Definitions {
	r := open(coreFile)
	d := &Definitions{}
	d.terminology = sync.OnceValue(loadTerminology)
	d.readCodeSets(r)
	lists := readTypeRefs(r)
	d.readTypes(r, lists, d.readBindings(r))
	d.link()
	d.numberTypes()
	d.readParameters(r)
	d.readCompartments(r)
	d.readOperations(r)
	return d
}

func (d *Definitions) readCodeSets(r *reader) {
	d.codeSets = make([]CodeSet, r.num())
	for i := range d.codeSets {
		d.codeSets[i] = readCodeSet(r)
	}
}

func (d *Definitions) readBindings(r *reader) []Binding {
	list := make([]Binding, r.num())
	for i := range list {
		b := &list[i]
		b.Strength = Strength(r.num()) //nolint:gosec // the generator's own numbers are small
		b.ValueSet = r.str()
		if n := r.num(); n > 0 {
			b.Codes = &d.codeSets[n-1]
		}
	}
	return list
}

func readTypeRefs(r *reader) [][]TypeRef {
	refs := make([]TypeRef, r.num())
	for i := range refs {
		refs[i] = TypeRef{Code: r.str(), Simple: r.flag(), Targets: r.strs()}
	}
	lists := make([][]TypeRef, r.num())
	for i := range lists {
		list := make([]TypeRef, r.num())
		for k := range list {
			list[k] = refs[r.num()]
		}
		lists[i] = list
	}
	return lists
}

func (d *Definitions) readTypes(r *reader, lists [][]TypeRef, bindings []Binding) {
	d.types = make([]Type, r.num())
	d.byName = make(map[string]*Type, len(d.types))
	elements := make([]Element, r.num())
	fields := make([]Field, r.num())
	for i := range d.types {
		t := &d.types[i]
		t.Name, t.Base, t.Short = r.str(), r.str(), r.str()
		t.Index = i
		t.Kind = Kind(r.num()) //nolint:gosec // the generator's own numbers are small
		t.Abstract = r.flag()
		d.byName[t.Name] = t
		if t.Kind == PrimitiveKind {
			t.Primitive = primitiveOf(t.Name)
		}
		if t.Kind == ResourceKind && !t.Abstract {
			d.resources = append(d.resources, t.Name)
		}
		n := r.num()
		t.Elements, elements = elements[:n:n], elements[n:]
		total := 0
		for k := range t.Elements {
			e := &t.Elements[k]
			e.Name, e.Path = r.str(), r.str()
			e.Min, e.Max = r.num(), r.num()-1
			flags := r.num()
			e.Choice, e.Summary, e.Modifier = flags&1 != 0, flags&2 != 0, flags&4 != 0
			e.Types = lists[r.num()]
			if b := r.num(); b > 0 {
				e.Binding = &bindings[b-1]
			}
			e.ContentReference = r.str()
			for m := range e.Types {
				f := &fields[total]
				f.Name, f.Element, f.Ref, f.Ordinal = e.Name, e, &e.Types[m], uint8(k)
				if e.Choice {
					f.Name = r.str()
				}
				total++
			}
		}
		t.Fields, fields = fields[:total:total], fields[total:]
	}
}

// link resolves the types of fields and builds the tables of names.
func (d *Definitions) link() {
	for i := range d.types {
		t := &d.types[i]
		for k := range t.Elements {
			if t.Elements[k].Min > 0 {
				t.Required = append(t.Required, uint8(k))
			}
		}
		if len(t.Fields) == 0 {
			continue
		}
		size := 4
		for size < 2*len(t.Fields) {
			size *= 2
		}
		t.slots = make([]uint8, size)
		for k := range t.Fields {
			f := &t.Fields[k]
			f.Type = d.byName[f.Ref.Code]
			f.Primitive = f.Type.Primitive
			at := int(hash([]byte(f.Name))) & (size - 1)
			for t.slots[at] != 0 {
				at = (at + 1) & (size - 1)
			}
			t.slots[at] = uint8(k + 1)
		}
	}
}

func (d *Definitions) readParameters(r *reader) {
	d.parameters = make([]SearchParameter, r.num())
	for i := range d.parameters {
		p := &d.parameters[i]
		p.URL, p.Name, p.Code, p.Type = r.str(), r.str(), r.str(), r.str()
		p.Base, p.Expression, p.Target = r.strs(), r.str(), r.strs()
		p.Description, p.XPathUsage = r.str(), r.str()
		if n := r.num(); n > 0 {
			p.Components = make([]Component, n)
			for k := range p.Components {
				p.Components[k] = Component{Definition: r.str(), Expression: r.str()}
			}
		}
	}
}

func (d *Definitions) readCompartments(r *reader) {
	d.compartments = make([]Compartment, r.num())
	for i := range d.compartments {
		c := &d.compartments[i]
		c.Name = r.str()
		c.Entries = make([]CompartmentEntry, r.num())
		for k := range c.Entries {
			c.Entries[k] = CompartmentEntry{ResourceType: r.str(), Params: r.strs()}
		}
	}
}

func (d *Definitions) readOperations(r *reader) {
	d.operations = make([]Operation, r.num())
	for i := range d.operations {
		o := &d.operations[i]
		o.URL, o.Name, o.Code, o.Resource = r.str(), r.str(), r.str(), r.strs()
		o.System, o.Type, o.Instance, o.Affects = r.flag(), r.flag(), r.flag(), r.flag()
		o.Title, o.FirstLine = r.str(), r.str()
	}
}
