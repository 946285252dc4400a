package records

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ward/internal/base/scope"
	"ward/internal/format/fhir/search"
	"ward/internal/kernel/access"
)

// rightsQuestions go every way that a search has to a resource.
//
//nolint:gochecknoglobals // constant table
var rightsQuestions = append([]string{
	"Observation?_include=Observation:patient", "Observation?_include=Observation:*", "Observation?_include=Observation:encounter&_include:iterate=Encounter:patient",
	"Encounter?_revinclude=Observation:encounter", "Practitioner?_revinclude=Observation:*&_revinclude=Encounter:participant", "Patient?_revinclude=Observation:patient&_revinclude=Condition:patient",
	"Practitioner?_has:Observation:performer:code=8867-4", "Practitioner?_has:Patient:general-practitioner:_has:Observation:patient:status=final",
	"Organization?_has:Patient:organization:gender=male", "Organization?_revinclude=Patient:organization&_revinclude:iterate=Observation:patient",
	"Encounter?patient.gender=male", "Observation?patient=p0&_include=Observation:performer", "Observation?_sort=-date", "Observation?_sort=code,_id", "?_type=Patient,Observation",
	"?_type=Observation,Condition&_sort=-_lastUpdated", "Patient?_sort=birthdate", "Observation?patient=p1,p2&_sort=-date", "Observation?_id=o1,o2,o3", "Condition?code:not=8867-4",
	"Observation?code=8867-4", "Observation?code=8867-4&_sort=-date", "Patient?_list=l1", "Observation?_list=l1",
}, worldQuestions...)

// TestRights_PropertyWhatIsNotSeenIsNotThere: for random data, random principals and random queries, a principal is answered as the system
// would be in a tenant that has nothing but what the principal may see.
func TestRights_PropertyWhatIsNotSeenIsNotThere(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		careOnly := false
		s.settings = func(context.Context) (Settings, error) { return Settings{CareOnly: careOnly}, nil }
		worlds := rapid.Custom(func(rt *rapid.T) uint64 { return rapid.Uint64().Draw(rt, "world") })
		for n := range 8 {
			seed := worlds.Example(n)
			r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // reproducible
			tenant := freshTenant(ctx)
			resources := labelledWorld(r)
			importAll(t, s, tenant, resources)
			for range 3 {
				p := randomPrincipal(r)
				careOnly = r.IntN(2) == 0
				s.leadPatients = r.IntN(2) * leadPatients // 0: every set of patients is a panel
				seen := seenBy(p, resources, careOnly)
				only := freshTenant(ctx)
				importAll(t, s, only, slices.Collect(maps.Values(seen)))
				mine := as(tenant, p)
				for range 25 {
					question := rightsQuestions[r.IntN(len(rightsQuestions))]
					if typ, _ := cutQuestion(question); typ != "" && len(access.Of(mine).May(typ, access.Search)) == 0 {
						continue // refused before anything is read: http tests
					}
					got, want := answered(t, s, mine, question), answered(t, s, only, question)
					if !slices.Equal(got, want) {
						t.Fatalf("world %d, %+v care=%v: %s\n got %v\nwant %v\nseen %v", seed, p, careOnly, question, got, want, slices.Sorted(maps.Keys(seen)))
					}
				}
			}
		}
	})
}

func as(ctx context.Context, p scope.Principal) context.Context {
	sc, _ := scope.From(ctx)
	sc.Principal = access.WithRights(p)
	return scope.With(ctx, sc)
}

// answered is what a search gives in all its pages: the matches, the includes with a plus sign before them, in order, and the total.
func answered(t *testing.T, s *Service, ctx context.Context, question string) []string {
	t.Helper()
	typ, criteria := cutQuestion(question)
	query, err := s.parse(ctx, typ, criteria, search.Options{})
	if err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	query.Count, query.HasCount, query.Total = 3, true, search.TotalAccurate
	found := map[string]bool{}
	for n := 0; ; n++ {
		page, err := s.Search(ctx, Request{Query: query})
		if err != nil {
			t.Fatalf("%s page %d: %v", question, n, err)
		}
		for _, v := range page.Matches {
			if found[v.Type+"/"+v.ID] {
				t.Fatalf("%s page %d: %s/%s is given twice", question, n, v.Type, v.ID)
			}
			found[v.Type+"/"+v.ID] = true
		}
		for _, v := range page.Includes {
			found["+"+v.Type+"/"+v.ID] = true
		}
		if page.Total != nil {
			found[fmt.Sprintf("total/%d", *page.Total)] = true
		}
		if page.Next == "" || n > 100 {
			return slices.Sorted(maps.Keys(found))
		}
		query.Cursor = page.Next
	}
}

func importAll(t *testing.T, s *Service, ctx context.Context, resources [][]byte) {
	t.Helper()
	report, err := s.ImportResources(ctx, resources)
	if err != nil || len(report.Refused) > 0 {
		t.Fatalf("import: %v %v", err, report.Refused)
	}
}

// labelledWorld is random resources of every id, some with security labels.
func labelledWorld(r *rand.Rand) (list [][]byte) {
	for _, typ := range slices.Sorted(maps.Keys(population)) {
		for n := range population[typ] {
			json := randomResource(r, typ, fmt.Sprintf("%c%d", typ[0]|0x20, n))
			if r.IntN(8) == 0 {
				label := pick(r, `{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}`, `{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}`)
				if bytes.Contains(json, []byte(`"meta":{`)) {
					json = bytes.Replace(json, []byte(`"meta":{`), []byte(`"meta":{"security":[`+label+`],`), 1)
				} else {
					json = bytes.Replace(json, []byte(`"id"`), []byte(`"meta":{"security":[`+label+`]},"id"`), 1)
				}
			}
			list = append(list, json)
		}
	}
	return append(list, []byte(`{"resourceType":"List","id":"l1","status":"current","mode":"working","subject":{"reference":"Patient/p1"},"entry":[
		{"item":{"reference":"Patient/p0"}},{"item":{"reference":"Patient/p1"}},{"item":{"reference":"Observation/o1"}}]}`),
		[]byte(`{"resourceType":"Group","id":"panel","type":"person","actual":true,"managingEntity":{"reference":"Practitioner/p2"},"member":[
		{"entity":{"reference":"Patient/p3"}},{"entity":{"reference":"Patient/p4"},"inactive":true}]}`))
}

func randomPrincipal(r *rand.Rand) scope.Principal {
	p := scope.Principal{ID: "test", Role: pick(r, access.Patient, access.Proxy, access.Clinician, access.Clinician, access.Nurse, access.Analyst, access.FrontDesk, access.Auditor, access.System)}
	switch p.Role {
	case access.Patient:
		p.Patients = []string{pick(r, "p0", "p1", "p2")}
	case access.Proxy:
		p.Patients = []string{"p1", pick(r, "p3", "p4")}
	case access.Clinician, access.Nurse:
		p.Person = pick(r, "Practitioner/p0", "Practitioner/p1", "Practitioner/p2")
	}
	if r.IntN(2) == 0 {
		p.Sensitive = [][]string{{"hiv"}, {"restricted"}, access.SensitiveClasses()}[r.IntN(3)]
	}
	if r.IntN(3) == 0 && p.Role != access.System {
		p.Scopes = pick(r, "user/*.read", "user/Observation.rs?category=laboratory user/Patient.rs", "patient/*.rs", "user/*.s user/Observation.r",
			"user/Observation.rs?category=laboratory user/Observation.rs?code=http://loinc.org|8867-4 user/Practitioner.rs")
		p.Patient = "p1"
	}
	return p
}

// seenBy decides by itself, on decoded JSON, what the principal may see, by "Type/id".
func seenBy(p scope.Principal, resources [][]byte, careOnly bool) map[string][]byte {
	type ref struct{ Reference string }
	type coded struct {
		Coding []struct{ System, Code string }
	}
	type resource struct {
		ResourceType, ID string
		Meta             struct{ Security []struct{ Code string } }
		Subject          ref
		Performer        []ref
		Asserter         ref
		Category         []coded
		Code             json.RawMessage
		Participant      []struct{ Individual ref }
		Practitioner     []ref `json:"generalPractitioner"`
		Managing         ref   `json:"managingEntity"`
		Member           []struct {
			Entity   ref
			Inactive bool
		}
		Active *bool
	}
	all := make([]resource, len(resources))
	inCare := map[string]bool{}
	for i, raw := range resources {
		x := &all[i]
		if err := json.Unmarshal(raw, x); err != nil {
			panic(err)
		}
		switch {
		case x.ResourceType == "Patient" && slices.Contains(x.Practitioner, ref{p.Person}) && (x.Active == nil || *x.Active):
			inCare["Patient/"+x.ID] = true
		case x.ResourceType == "Encounter" && len(x.Participant) > 0 && x.Participant[0].Individual.Reference == p.Person:
			inCare[x.Subject.Reference] = true
		case x.ResourceType == "Group" && x.Managing.Reference == p.Person:
			for _, m := range x.Member {
				if !m.Inactive {
					inCare[m.Entity.Reference] = true
				}
			}
		}
	}
	delete(inCare, "") // an encounter of nobody
	own := map[string]bool{}
	for _, id := range p.Patients {
		own["Patient/"+id] = true
	}
	seen := map[string][]byte{}
	for i := range all {
		x := &all[i]
		shared := x.ResourceType == "Practitioner" || x.ResourceType == "Organization"
		hidden := false
		for _, label := range x.Meta.Security {
			class := map[string]string{"R": "restricted", "HIV": "hiv"}[label.Code]
			hidden = hidden || p.Role != access.System && !slices.Contains(p.Sensitive, class)
		}
		about := []string{x.Subject.Reference, x.Asserter.Reference}
		for _, performer := range x.Performer {
			about = append(about, performer.Reference)
		}
		for _, m := range x.Member {
			about = append(about, m.Entity.Reference)
		}
		switch x.ResourceType {
		case "Patient":
			about = []string{"Patient/" + x.ID}
		case "MedicationRequest", "Encounter", "List":
			about = about[:1]
		}
		some := func(set map[string]bool) bool {
			return slices.ContainsFunc(about, func(a string) bool { return set[a] })
		}
		allowed := map[string]bool{
			access.Analyst: x.ResourceType != "", access.System: true, access.Auditor: shared,
			access.FrontDesk: shared || x.ResourceType == "Patient" || x.ResourceType == "Encounter",
		}[p.Role]
		switch p.Role {
		case access.Patient, access.Proxy:
			allowed = shared || some(own)
		case access.Clinician, access.Nurse:
			allowed = shared || !careOnly || some(inCare)
		}
		if p.Scopes != "" {
			laboratory := slices.ContainsFunc(x.Category, func(c coded) bool { return c.Coding[0].Code == "laboratory" })
			heart := bytes.Contains(x.Code, []byte(`{"system":"http://loinc.org","code":"8867-4"}`))
			switch {
			case strings.HasPrefix(p.Scopes, "user/*"):
			case strings.HasPrefix(p.Scopes, "patient/"):
				allowed = allowed && (shared || some(map[string]bool{"Patient/p1": true}))
			case strings.HasSuffix(p.Scopes, "user/Patient.rs"):
				allowed = allowed && (x.ResourceType == "Patient" || x.ResourceType == "Observation" && laboratory)
			default:
				allowed = allowed && (x.ResourceType == "Practitioner" || x.ResourceType == "Observation" && (laboratory || heart))
			}
		}
		if allowed && !hidden {
			seen[x.ResourceType+"/"+x.ID] = resources[i]
		}
	}
	return seen
}
