package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"ward/internal/base/scope"
)

// Action is what is done with resources of a type. The actions are SMART's.
type Action uint8

// The actions.
const (
	Create Action = iota
	Read          // a resource, one of its versions, its history
	Update        // also a patch
	Delete
	Search // also the history of a type and of the system
	actions
)

const letters = "cruds"

// String is the action as a word.
func (a Action) String() string {
	return [...]string{"create", "read", "update", "delete", "search"}[a]
}

// Grant allows an action on some resources of a type: those of certain patients, or all, that meet a filter.
type Grant struct {
	// Among are the patients in whose compartments the resources stand; nil: everybody's, and what is no one's.
	Among *Set
	// Filter are search criteria that the resources meet, such as "category=laboratory"; empty: none.
	Filter string

	// Newcomers says that a Patient who is not there yet may be registered, though nobody new is among them.
	Newcomers bool

	care bool   // not resolved: Among, nobody so far, are to be those in the principal's care
	only string // of them, this one
}

// Whole says that the grant is for every resource of the type.
func (g Grant) Whole() bool { return g.Among == nil && g.Filter == "" }

// Rights are what a principal may do with records: what its role may, as far as its SMART scopes go. They don't change.
type Rights struct {
	role     string
	system   bool
	types    map[string]*typeRights
	cleared  Classes
	mark     string
	base     string // mark, before it was resolved
	care     bool   // grants are to be resolved
	patients *Set
	forAll   func() *Rights
}

type typeRights [actions][]Grant

// WithRights is the principal with its rights worked out. Whoever makes principals calls it once for each token or session and keeps
// what it gives: then no request pays for it.
func WithRights(p scope.Principal) scope.Principal {
	p = narrowed(p)
	p.Rights = rightsOf(&p)
	return p
}

// Of is the rights of the principal that ctx carries. Without one they are none.
func Of(ctx context.Context) *Rights {
	s, ok := scope.From(ctx)
	if !ok {
		return none()
	}
	if r, ok := s.Principal.Rights.(*Rights); ok {
		return r
	}
	return rightsOf(&s.Principal)
}

func none() *Rights { return &Rights{mark: "none", base: "none"} }

// ofRole keeps the rights that follow from a role alone.
//
//nolint:gochecknoglobals // worked out once from the constant tables
var ofRole = sync.OnceValue(func() map[string]*Rights {
	all := map[string]*Rights{}
	for _, role := range Roles() {
		all[role] = newRights(&scope.Principal{Role: role})
	}
	return all
})

func rightsOf(p *scope.Principal) *Rights {
	if p.Scopes == "" && len(p.Patients) == 0 && len(p.Sensitive) == 0 && p.OnBehalfOf == "" {
		if r := ofRole()[p.Role]; r != nil {
			return r
		}
		return none()
	}
	return newRights(p)
}

func newRights(p *scope.Principal) *Rights {
	r := &Rights{role: p.Role, cleared: ParseClasses(p.Sensitive), patients: NewSet(p.Patients)}
	sum := sha256.New()
	for _, part := range append([]string{p.Role, p.Scopes, p.Patient, p.OnBehalfOf, r.cleared.String()}, r.patients.List()...) {
		sum.Write(append([]byte(part), 0))
	}
	r.mark = hex.EncodeToString(sum.Sum(nil)[:12])
	r.base = r.mark
	r.forAll = sync.OnceValue(func() *Rights { return r.resolve(nil, " all") })
	if p.Role == System {
		r.system, r.cleared = true, allClasses
		return r
	}
	if p.Role == Operator && p.OnBehalfOf == "" {
		return r
	}
	r.types = map[string]*typeRights{}
	scopes := parseScopes(p)
	for _, row := range table {
		if row.Role != p.Role {
			continue
		}
		for _, group := range row.Groups {
			for _, typ := range TypesOf(group) {
				for a := range actions {
					if strings.IndexByte(row.Actions, letters[a]) >= 0 {
						r.grant(p, scopes, typ, a, row.Reach)
					}
				}
			}
		}
	}
	return r
}

// grant adds what a row of the table gives, as far as the scopes go.
func (r *Rights) grant(p *scope.Principal, scopes []smartScope, typ string, a Action, reach Reach) {
	base := Grant{}
	switch reach {
	case None:
		return
	case Own:
		if r.patients.Len() == 0 {
			return
		}
		base.Among = r.patients
	case Care:
		base.care, base.Among = true, NewSet(nil)
	case All:
	}
	if p.Scopes == "" {
		r.add(typ, a, base)
		return
	}
	for _, s := range scopes {
		if !s.covers(typ, a) {
			continue
		}
		g := base
		g.Filter = s.filter
		if s.context == patientContext && !Shared(typ) {
			switch {
			case p.Patient == "":
				continue // no patient was chosen at launch
			case g.care:
				g.only = p.Patient
			case g.Among != nil && !g.Among.Has(p.Patient):
				continue
			default:
				g.Among = NewSet([]string{p.Patient})
			}
		}
		r.add(typ, a, g)
	}
}

// add takes a grant unless a wider one is there, and drops those that it is wider than.
func (r *Rights) add(typ string, a Action, g Grant) {
	t := r.types[typ]
	if t == nil {
		t = &typeRights{}
		r.types[typ] = t
	}
	if slices.ContainsFunc(t[a], func(other Grant) bool { return other.wider(g) }) {
		return
	}
	t[a] = append(slices.DeleteFunc(t[a], func(other Grant) bool { return g.wider(other) }), g)
	r.care = r.care || g.care
}

// wider says that whatever other allows, g allows too.
func (g Grant) wider(other Grant) bool {
	if g.Filter != "" && g.Filter != other.Filter {
		return false
	}
	switch {
	case g.Among == nil:
		return true
	case g.care:
		return other.care && (g.only == "" || g.only == other.only)
	case other.care || other.Among == nil:
		return false
	}
	return !slices.ContainsFunc(other.Among.List(), func(id string) bool { return !g.Among.Has(id) })
}

// May are the grants for an action on a type; any of them is enough. None: it is not allowed at all.
func (r *Rights) May(typ string, a Action) []Grant {
	if r.system {
		return whole[:]
	}
	if t := r.types[typ]; t != nil {
		return t[a]
	}
	return nil
}

//nolint:gochecknoglobals // constant
var whole = [1]Grant{{}}

// MayAll says whether the action is allowed on every resource of the type.
func (r *Rights) MayAll(typ string, a Action) bool {
	g := r.May(typ, a)
	return len(g) == 1 && g[0].Whole()
}

// Any says whether the action is allowed on some resource of some type.
func (r *Rights) Any(a Action) bool {
	if r.system {
		return true
	}
	for _, t := range r.types {
		if len(t[a]) > 0 {
			return true
		}
	}
	return false
}

// ChooseIDs says whether the principal may create resources under ids of its choice. Somebody who could, and does not see everything, could
// find out which ids are taken. Systems that bring their own ids may.
func (r *Rights) ChooseIDs(typ string) bool {
	switch r.role {
	case System, Integration, Admin:
		return r.MayAll(typ, Create)
	}
	return false
}

// Clears says whether records of all these sensitive classes may be seen.
func (r *Rights) Clears(c Classes) bool { return c&^r.cleared == 0 }

// ClearsAll says whether records of any class may be seen.
func (r *Rights) ClearsAll() bool { return r.cleared == allClasses }

// Fingerprint is the same for principals that may do the same, and for no others.
func (r *Rights) Fingerprint() string { return r.mark }

// Base is the fingerprint without who is in the principal's care, which may change from one page to the next.
func (r *Rights) Base() string { return r.base }

// Role is whose lines of the table these are.
func (r *Rights) Role() string { return r.role }

// Patients are the principal's own patients.
func (r *Rights) Patients() *Set { return r.patients }

// ByCare says whether rights depend on who is in the principal's care: then they are to be resolved by [Rights.Caring] or
// [Rights.CaringForAll] before they are used.
func (r *Rights) ByCare() bool { return r.care }

// CaringForAll are the rights in a tenant where clinicians see all charts.
func (r *Rights) CaringForAll() *Rights { return r.forAll() }

// Caring are the rights of somebody who has these patients in care.
func (r *Rights) Caring(patients *Set) *Rights { return r.resolve(patients, " "+patients.Print()) }

func (r *Rights) resolve(patients *Set, suffix string) *Rights {
	c := *r
	c.care, c.mark, c.types = false, r.mark+suffix, make(map[string]*typeRights, len(r.types))
	for typ, t := range r.types {
		c.types[typ] = &typeRights{}
		for a := range actions {
			for _, g := range t[a] {
				if !g.care {
					c.add(typ, a, g)
					continue
				}
				among := patients
				if g.only != "" {
					if patients != nil && !patients.Has(g.only) {
						continue
					}
					among = NewSet([]string{g.only})
				}
				c.add(typ, a, Grant{Among: among, Filter: g.Filter, Newcomers: g.only == ""})
			}
		}
	}
	return &c
}
