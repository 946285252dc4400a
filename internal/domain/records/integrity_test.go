package records

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/search"
	"ward/internal/format/jsontape"
)

// demanding runs a test on each database with a tenant that demands that references resolve.
func demanding(t *testing.T, test func(t *testing.T, s *Service, ctx context.Context)) {
	t.Helper()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		s.settings = func(context.Context) (Settings, error) { return Settings{ReferentialIntegrity: true}, nil }
		test(t, s, ctx)
	})
}

// group prepares changes: JSON is put under its id, "-Type/id" is deleted.
func group(t *testing.T, s *Service, ctx context.Context, texts ...string) []*Change {
	t.Helper()
	var cs []*Change
	for _, text := range texts {
		var c *Change
		var err error
		if ref, ok := strings.CutPrefix(text, "-"); ok {
			typ, id, _ := cutReference(ref)
			c, err = s.prepare(ctx, typ, id, OpDelete, nil)
		} else {
			var doc jsontape.Doc
			if err = doc.Parse([]byte(text)); err == nil {
				c, err = s.prepare(ctx, "", doc.Text(doc.Get(doc.Root(), "id")), OpUpdate, []byte(text))
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		cs = append(cs, c)
	}
	return cs
}

// together applies changes in one transaction, in which those that are refused leave no trace.
func together(t *testing.T, s *Service, ctx context.Context, texts ...string) []error {
	t.Helper()
	cs := group(t, s, ctx, texts...)
	var errs []error
	err := s.db.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		errs, err = s.apply(ctx, tx, cs)
		return err
	})
	if err == nil {
		err = s.announce(ctx, cs)
	}
	if err != nil {
		t.Fatal(err)
	}
	return errs
}

func codesOf(errs []error) string {
	var codes []string
	for _, err := range errs {
		code := "ok"
		if err != nil {
			code = fault.CodeOf(err).String()
		}
		codes = append(codes, code)
	}
	return strings.Join(codes, " ")
}

const (
	aPractitioner = `{"resourceType":"Practitioner","id":"dr"}`
	aPatient      = `{"resourceType":"Patient","id":"p"}`
	aTreated      = `{"resourceType":"Patient","id":"p","generalPractitioner":[{"reference":"Practitioner/dr"}]}`
	anObservation = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`
	aFree         = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"}}`
	ofNobody      = `{"resourceType":"Observation","id":"n","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/nobody"}}`
	derived       = `{"resourceType":"Observation","id":"d","status":"final","code":{"text":"x"},"derivedFrom":[{"reference":"Observation/n"}]}`
	ofVersion     = `{"resourceType":"Observation","id":"v","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p/_history/1"}}`
	ofContained   = `{"resourceType":"Observation","id":"c","status":"final","code":{"text":"x"},"contained":[{"resourceType":"Patient","id":"in"}],"subject":{"reference":"#in"}}`
	ofElsewhere   = `{"resourceType":"Observation","id":"e","status":"final","code":{"text":"x"},"subject":{"reference":"http://other.example/fhir/Patient/1"}}`
	ofExtension   = `{"resourceType":"Observation","id":"x","status":"final","code":{"text":"x"},"extension":[{"url":"urn:x","valueReference":{"reference":"Practitioner/dr"}}]}`
	linkedToSelf  = `{"resourceType":"Patient","id":"s","link":[{"other":{"reference":"Patient/s"},"type":"seealso"}]}`
)

// TestIntegrity goes through what a group of changes may and may not do, each after what was there before.
func TestIntegrity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, group []string
		want          string
	}{
		"a reference to nothing":                         {nil, []string{anObservation}, "unprocessable"},
		"a reference to what is there":                   {[]string{aPatient}, []string{anObservation}, "ok"},
		"a reference to what was deleted":                {[]string{aPatient, "-Patient/p"}, []string{anObservation}, "unprocessable"},
		"a reference to what the same group makes":       {nil, []string{anObservation, aPatient}, "ok ok"},
		"two that refer to each other's type":            {nil, []string{aTreated, aPractitioner}, "ok ok"},
		"a reference to what the group fails to make":    {nil, []string{derived, ofNobody}, "unprocessable unprocessable"},
		"a reference to what the group deletes":          {[]string{aPatient}, []string{anObservation, "-Patient/p"}, "ok conflict"},
		"a version of what is there":                     {[]string{aPatient}, []string{ofVersion}, "ok"},
		"a version of nothing":                           {nil, []string{ofVersion}, "unprocessable"},
		"a contained one, one elsewhere":                 {nil, []string{ofContained, ofElsewhere}, "ok ok"},
		"an extension's reference to nothing":            {nil, []string{ofExtension}, "unprocessable"},
		"to itself":                                      {nil, []string{linkedToSelf}, "ok"},
		"deleting what nobody refers to":                 {[]string{aPatient}, []string{"-Patient/p"}, "ok"},
		"deleting what is not there":                     {nil, []string{"-Patient/p"}, "ok"},
		"deleting a patient with a chart":                {[]string{aPatient, anObservation}, []string{"-Patient/p"}, "conflict"},
		"deleting one's practitioner":                    {[]string{aPractitioner, aTreated}, []string{"-Practitioner/dr"}, "conflict"},
		"deleting what refers to itself":                 {[]string{linkedToSelf}, []string{"-Patient/s"}, "ok"},
		"deleting both":                                  {[]string{aPatient, anObservation}, []string{"-Patient/p", "-Observation/o"}, "ok ok"},
		"deleting what the group stops referring to":     {[]string{aPatient, anObservation}, []string{aFree, "-Patient/p"}, "ok ok"},
		"deleting what the group goes on to refer to":    {[]string{aPatient, anObservation}, []string{anObservation, "-Patient/p"}, "ok conflict"},
		"one of a chain of deletions that cannot be":     {[]string{aPractitioner, aTreated, anObservation}, []string{"-Practitioner/dr", "-Patient/p"}, "conflict conflict"},
		"the referrer's deletion was before":             {[]string{aPatient, anObservation, "-Observation/o"}, []string{"-Patient/p"}, "ok"},
		"the referrer's reference was taken away before": {[]string{aPatient, anObservation, aFree}, []string{"-Patient/p"}, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			demanding(t, func(t *testing.T, s *Service, ctx context.Context) {
				for _, text := range c.before {
					if errs := together(t, s, ctx, text); errs[0] != nil {
						t.Fatalf("before: %s: %v", text, errs[0])
					}
				}
				errs := together(t, s, ctx, c.group...)
				if got := codesOf(errs); got != c.want {
					t.Errorf("got %s, want %s: %v", got, c.want, errs)
				}
				everyReferenceResolves(t, s, ctx)
			})
		})
	}
}

// TestIntegrity_ManyReferrers: the one that stays is found among those that the same group deletes.
func TestIntegrity_ManyReferrers(t *testing.T) {
	t.Parallel()
	demanding(t, func(t *testing.T, s *Service, ctx context.Context) {
		const many = 1_300
		all, deletions := [][]byte{[]byte(aPatient)}, []string{"-Patient/p"}
		for i := range many {
			all = append(all, []byte(strings.Replace(anObservation, `"id":"o"`, fmt.Sprintf(`"id":"o%d"`, i), 1)))
			deletions = append(deletions, fmt.Sprintf("-Observation/o%d", i))
		}
		load(t, s, ctx, all)
		if errs := together(t, s, ctx, deletions[:many]...); !fault.Is(errs[0], fault.CodeConflict) {
			t.Errorf("one referrer stays: %v", errs[0])
		}
		if errs := together(t, s, ctx, "-Patient/p", deletions[many]); errs[0] != nil {
			t.Errorf("nobody stays: %v", errs[0])
		}
		everyReferenceResolves(t, s, ctx)
	})
}

// TestIntegrity_OneBadChangeFailsAlone: a good change of a resource is not refused because a bad one came with it.
func TestIntegrity_OneBadChangeFailsAlone(t *testing.T) {
	t.Parallel()
	demanding(t, func(t *testing.T, s *Service, ctx context.Context) {
		put(t, s, ctx, aPatient)
		bad := strings.Replace(anObservation, "Patient/p", "Patient/nobody", 1)
		var wg sync.WaitGroup
		for range 12 {
			for _, text := range []string{anObservation, bad, aFree} {
				c := group(t, s, ctx, text)[0]
				wg.Go(func() {
					err := s.commit(ctx, c)
					if want := text == bad; fault.Is(err, fault.CodeUnprocessable) != want || !want && err != nil {
						t.Errorf("%s: %v", text, err)
					}
				})
			}
		}
		wg.Wait()
		everyReferenceResolves(t, s, ctx)
	})
}

// TestIntegrity_DeletionsAndReferrersAtOnce: whoever wins, no reference is left dangling.
func TestIntegrity_DeletionsAndReferrersAtOnce(t *testing.T) {
	t.Parallel()
	demanding(t, func(t *testing.T, s *Service, ctx context.Context) {
		var wg sync.WaitGroup
		for n := range uint64(8) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(n, 8)) //nolint:gosec // reproducible
				for range 40 {
					patient, observation := fmt.Sprintf("p%d", r.IntN(3)), fmt.Sprintf("o%d", r.IntN(6))
					text := "-Observation/" + observation
					switch r.IntN(5) {
					case 0:
						text = `{"resourceType":"Patient","id":"` + patient + `"}`
					case 1:
						text = "-Patient/" + patient
					case 2, 3:
						text = moving(observation, 0)
						text = strings.Replace(text, "Patient/p0", "Patient/"+patient, 1)
					}
					err := s.commit(ctx, group(t, s, ctx, text)[0])
					switch {
					case err == nil, fault.Is(err, fault.CodeUnprocessable) && text[0] == '{', fault.Is(err, fault.CodeConflict) && text[0] == '-':
					default:
						t.Errorf("%s: %v", text, err)
					}
				}
			})
		}
		wg.Wait()
		everyReferenceResolves(t, s, ctx)
	})
}

// everyReferenceResolves looks at all that is stored.
func everyReferenceResolves(t *testing.T, s *Service, ctx context.Context) {
	t.Helper()
	w := newWorld(s, ctx)
	resources := w.checkIndexes(t)
	for key, v := range resources {
		if v.Deleted() {
			continue
		}
		var doc jsontape.Doc
		if err := doc.Parse(v.JSON); err != nil {
			t.Fatal(err)
		}
		search.References(&doc, v.Type, func(_ jsontape.Node, ref fhir.Ref) {
			if target := resources[ref.TypeID()]; ref.Kind == fhir.Local && (target == nil || target.Deleted()) {
				t.Errorf("%s refers to %s, which is not there", key, ref.TypeID())
			}
		})
	}
}
