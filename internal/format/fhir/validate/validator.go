package validate

import (
	"slices"
	"strconv"
	"sync"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// MaxProblems is how many problems of one document are listed.
const MaxProblems = 100

// Validator checks resources. It is safe for many goroutines.
type Validator struct {
	defs  *spec.Definitions
	rules [][]rule // by Type.Index
	hooks []hook   // by Type.Index; nil for most

	codeableConcept, coding, reference, extension, element, narrative *spec.Type

	runs sync.Pool
}

// New prepares a validator for the definitions. Make one and share it.
func New(defs *spec.Definitions) *Validator {
	v := &Validator{
		defs:            defs,
		codeableConcept: defs.Type("CodeableConcept"),
		coding:          defs.Type("Coding"),
		reference:       defs.Type("Reference"),
		extension:       defs.Type("Extension"),
		element:         defs.Type("Element"),
		narrative:       defs.Type("Narrative"),
	}
	v.rules = compileRules(defs)
	v.hooks = compileHooks(defs)
	return v
}

// Options say what else must hold.
type Options struct {
	// ResourceType is the only type that is welcome, such as that of the URL. Empty: any.
	ResourceType string
}

// Resource lists what is wrong with the resource at n, in the order of the document; nil when nothing is. All details have severity
// "error", but for a last one of severity "information" when there were more than [MaxProblems].
func (v *Validator) Resource(doc *jsontape.Doc, n jsontape.Node, opts Options) []fault.Detail {
	r, _ := v.runs.Get().(*run)
	if r == nil {
		r = &run{}
	}
	r.v, r.doc = v, doc
	r.root(n, opts)
	var list []fault.Detail
	if len(r.problems) > 0 {
		list = r.details()
	}
	r.release()
	v.runs.Put(r)
	return list
}

// run is the state of one validation.
type run struct {
	v        *Validator
	doc      *jsontape.Doc
	path     []step
	problems []problem
	scope    scope
	tags     [][]byte // open tags of the narrative being read
}

// step is one part of the path to the node being checked.
type step struct {
	name  string // element name, without the type of a choice
	index int    // from 0 within a repeating element, -1 otherwise
}

type problem struct {
	offset int
	detail fault.Detail
}

func (r *run) release() {
	clear(r.tags[:cap(r.tags)])
	clear(r.problems)
	r.doc, r.path, r.problems, r.tags, r.scope = nil, r.path[:0], r.problems[:0], r.tags[:0], scope{inside: -1}
}

func (r *run) push(name string, index int) { r.path = append(r.path, step{name, index}) }

func (r *run) pop() { r.path = r.path[:len(r.path)-1] }

// full says that no more problems are wanted.
func (r *run) full() bool { return len(r.problems) > MaxProblems }

// The FHIR issue types (IssueType) that the validator gives.
const (
	kindStructure = "structure"
	kindRequired  = "required"
	kindValue     = "value"
	kindCode      = "code-invalid"
	kindInvariant = "invariant"
)

// report adds a problem with the value at n.
func (r *run) report(n jsontape.Node, kind, message string) {
	r.reportAt(r.doc.Offset(n), kind, message)
}

// reportMember adds a problem with the member whose value is n: its place is that of the key.
func (r *run) reportMember(n jsontape.Node, kind, message string) {
	r.reportAt(r.doc.KeyOffset(n), kind, message)
}

func (r *run) reportAt(offset int, kind, message string) {
	if r.full() {
		return
	}
	r.problems = append(r.problems, problem{offset, fault.Detail{
		Severity: "error", Kind: kind, Expression: r.expression(), Message: message,
	}})
}

// expression is the FHIRPath of the path: "Observation.component[1].code".
func (r *run) expression() string {
	b := make([]byte, 0, 64)
	for i, s := range r.path {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, s.name...)
		if s.index >= 0 {
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
		}
	}
	return string(b)
}

// details sorts the problems by their place and counts lines and columns in one pass.
func (r *run) details() []fault.Detail {
	more := r.full()
	if more {
		r.problems = r.problems[:MaxProblems]
	}
	slices.SortStableFunc(r.problems, func(a, b problem) int { return a.offset - b.offset })
	src := r.doc.Src()
	list := make([]fault.Detail, 0, len(r.problems)+1)
	line, start, at := 1, 0, 0
	for i := range r.problems {
		p := &r.problems[i]
		for ; at < p.offset && at < len(src); at++ {
			if src[at] == '\n' {
				line++
				start = at + 1
			}
		}
		p.detail.Line = line
		_, p.detail.Column = jsontape.Position(src[start:at:at], at-start)
		list = append(list, p.detail)
	}
	if more {
		list = append(list, fault.Detail{
			Severity: "information", Kind: "too-long",
			Message: "there are more problems; only the first " + strconv.Itoa(MaxProblems) + " are listed",
		})
	}
	return list
}
