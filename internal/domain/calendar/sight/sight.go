// Package sight says what the calendar asks about whoever asks it: which patients they may see. What they may not see in the records is not in
// the calendar for them either: no event says who it is, no visit is found, moved or cancelled, nobody waits.
package sight

import (
	"context"
	"slices"
	"strings"

	"ward/internal/base/scope"
	"ward/internal/kernel/access"
)

// Sight is which patients the caller may see; the records give it. Patients are named by their ids. It is not asked inside a transaction.
type Sight interface {
	// Print is the same for callers who see the same patients, and for no others.
	Print() string
	// Among gives the patients in reach; confined is false where that is everybody. Some of them may be hidden.
	Among() (patients []string, confined bool)
	// Hidden gives those of the patients whom the caller does not see, or who are not there.
	Hidden(ctx context.Context, patients []string) ([]string, error)
	// Must fails with NotFound unless the caller sees all of the patients.
	Must(ctx context.Context, patients ...string) error
}

// Finder gives the sight of the principal in the context. It is not called inside a transaction.
type Finder func(ctx context.Context) (Sight, error)

// Patient is the id in a reference to a Patient.
func Patient(reference string) (id string, ok bool) { return strings.CutPrefix(reference, "Patient/") }

// Reads says whether SMART scopes, where there are any, let an app read one of these types at all, for whomever. Scopes with search criteria are
// about some resources and count for nothing here.
func Reads(p *scope.Principal, types ...string) bool {
	if p.Scopes == "" {
		return true
	}
	for one := range strings.FieldsSeq(p.Scopes) {
		level, rest, ok := strings.Cut(one, "/")
		typ, may, dot := strings.Cut(rest, ".")
		if !ok || !dot || strings.Contains(may, "?") || !slices.Contains([]string{"patient", "user", "system"}, level) || typ != "*" && !slices.Contains(types, typ) {
			continue
		}
		if may == "*" || may == "read" || may != "write" && strings.ContainsAny(may, "rs") {
			return true
		}
	}
	return false
}

// Own says whether the patient is the principal: they are told of themselves whatever their chart is labelled with.
func Own(p *scope.Principal, patient string) bool {
	return p.Role == access.Patient && p.Person == "Patient/"+patient
}
