package records

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ward/internal/base/scope"
	"ward/internal/kernel/access"
)

// TestCare says by what somebody has a patient in care, and that it counts at once.
func TestCare(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		s.settings = func(context.Context) (Settings, error) { return Settings{CareOnly: true}, nil }
		doc := as(ctx, scope.Principal{ID: "d", Role: access.Clinician, Person: "Practitioner/doc"})
		nobody := as(ctx, scope.Principal{ID: "n", Role: access.Clinician})
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			put(t, s, ctx, `{"resourceType":"Patient","id":"`+id+`"}`)
		}
		for _, row := range []struct{ name, write, want string }{
			{"nothing", ``, ``},
			{"general practitioner", `{"resourceType":"Patient","id":"a","generalPractitioner":[{"reference":"Practitioner/doc"}]}`, `a`},
			{"a care team", `{"resourceType":"CareTeam","id":"t","subject":{"reference":"Patient/b"},"participant":[{"member":{"reference":"Practitioner/doc"}}]}`, `a b`},
			{"another's care team", `{"resourceType":"CareTeam","id":"u","subject":{"reference":"Patient/f"},"participant":[{"member":{"reference":"Practitioner/other"}}]}`, `a b`},
			{"an encounter", `{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"code":"AMB"},"subject":{"reference":"Patient/c"},"participant":[{"individual":{"reference":"Practitioner/doc"}}]}`, `a b c`},
			{"a panel", `{"resourceType":"Group","id":"g","type":"person","actual":true,"managingEntity":{"reference":"Practitioner/doc"},"member":[{"entity":{"reference":"Patient/d"}},{"entity":{"reference":"Patient/e"},"inactive":true}]}`, `a b c d`},
			{"a role's team", `{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"Patient/e"},"participant":[{"member":{"reference":"PractitionerRole/x"}}]}`, `a b c d`},
			{"the role", `{"resourceType":"PractitionerRole","id":"x","practitioner":{"reference":"Practitioner/doc"}}`, `a b c d e`},
			{"the role is another's", `{"resourceType":"PractitionerRole","id":"x","practitioner":{"reference":"Practitioner/other"}}`, `a b c d`},
			{"the care team ends", `{"resourceType":"CareTeam","id":"t","status":"inactive","subject":{"reference":"Patient/b"},"participant":[{"member":{"reference":"Practitioner/doc"}}]}`, `a c d`},
			{"the encounter was a mistake", `{"resourceType":"Encounter","id":"e","status":"entered-in-error","class":{"code":"AMB"},"subject":{"reference":"Patient/c"},"participant":[{"individual":{"reference":"Practitioner/doc"}}]}`, `a d`},
			{"the patient goes elsewhere", `{"resourceType":"Patient","id":"a","generalPractitioner":[{"reference":"Practitioner/other"}]}`, `d`},
			{"the panel ends", `{"resourceType":"Group","id":"g","active":false,"type":"person","actual":true,"managingEntity":{"reference":"Practitioner/doc"},"member":[{"entity":{"reference":"Patient/d"}}]}`, ``},
		} {
			if row.write != "" {
				put(t, s, ctx, row.write)
			}
			for range 2 { // the second time as it is kept
				if got := strings.Join(idsOf(walk(t, s, doc, "Patient", "", 2, nil)), " "); got != row.want {
					t.Errorf("%s: %q, want %q", row.name, got, row.want)
				}
			}
			if got := walk(t, s, nobody, "Patient", "", 2, nil); len(got) > 0 {
				t.Errorf("%s: who is nobody in the record sees %v", row.name, idsOf(got))
			}
		}
	})
}

// TestCare_BrokenGlass: a patient who was opened is seen until they are closed, by whom they were opened for.
func TestCare_BrokenGlass(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		s.settings = func(context.Context) (Settings, error) { return Settings{CareOnly: true}, nil }
		var open atomic.Bool
		s.opened = func(ctx context.Context) ([]string, error) {
			if sc, _ := scope.From(ctx); open.Load() && sc.Principal.ID == "d" {
				return []string{"b"}, nil
			}
			return nil, nil
		}
		put(t, s, ctx, `{"resourceType":"Patient","id":"a","generalPractitioner":[{"reference":"Practitioner/doc"}]}`)
		put(t, s, ctx, `{"resourceType":"Patient","id":"b"}`)
		put(t, s, ctx, `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/b"}}`)
		doc := as(ctx, scope.Principal{ID: "d", Role: access.Clinician, Person: "Practitioner/doc"})
		other := as(ctx, scope.Principal{ID: "other", Role: access.Clinician, Person: "Practitioner/doc"})
		for _, now := range []bool{false, true, false} {
			open.Store(now)
			_, err := s.Read(doc, "Observation", "o")
			if (err == nil) != now {
				t.Errorf("open %v: read: %v", now, err)
			}
			if got := idsOf(walk(t, s, doc, "Patient", "", 5, nil)); slices.Contains(got, "b") != now || !slices.Contains(got, "a") {
				t.Errorf("open %v: %v", now, got)
			}
			if got := idsOf(walk(t, s, other, "Patient", "", 5, nil)); !slices.Equal(got, []string{"a"}) {
				t.Errorf("open %v: another sees %v", now, got)
			}
		}
	})
}
