package records

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// crowd loads patients, and observations that nearly all have the same codes, so that no criterion narrows anything.
func crowd(t *testing.T, s *Service, ctx context.Context, patients, observations int) {
	t.Helper()
	var all [][]byte
	for i := range patients {
		all = append(all, fmt.Appendf(nil, `{"resourceType":"Patient","id":"p%d","active":true,"gender":"%s","name":[{"family":"Family%05d","given":["Given"]}],`+
			`"birthDate":"19%02d-01-01","managingOrganization":{"reference":"Organization/o"},"generalPractitioner":[{"reference":"Practitioner/d%d"}]}`,
			i, []string{"male", "female"}[i%2], i, i%100, i%3))
	}
	for i := range observations {
		all = append(all, fmt.Appendf(nil, `{"resourceType":"Observation","id":"o%d","status":"final","category":[{"coding":[{"code":"vital-signs"}]}],`+
			`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}],"text":"a long enough text to look into number %d"},"subject":{"reference":"Patient/p%d"},`+
			`"performer":[{"reference":"Practitioner/d%d"}],"effectiveDateTime":"2020-01-%02d","valueQuantity":{"value":%d,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}`,
			i, i, i%patients, i%3, 1+i%28, i%500))
	}
	for i := range 3 {
		all = append(all, fmt.Appendf(nil, `{"resourceType":"Practitioner","id":"d%d","name":[{"family":"Doctor%d"}]}`, i, i))
	}
	all = append(all, []byte(`{"resourceType":"Organization","id":"o","name":"Ward"}`))
	load(t, s, ctx, all)
}

// TestCosts_Bounded: whatever is asked is answered, or refused as too costly, in bounded time.
func TestCosts_Bounded(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		crowd(t, s, ctx, 3_000, 9_000)
		many := func(prefix string, n int) string {
			list := make([]string, n)
			for i := range list {
				list[i] = fmt.Sprintf("%s%d", prefix, i)
			}
			return strings.Join(list, ",")
		}
		for _, question := range []string{
			"Patient?name:contains=nobody-has-this", "Observation?code:text=nobody", "Observation?status:not=final", "Observation?specimen:missing=false",
			"Observation?status=final&category=vital-signs&code=8867-4&value-quantity=499", "Observation?status=final&category=vital-signs&code=8867-4&value-quantity=500",
			"Observation?status=final&category=vital-signs&_summary=count", "Observation?status=final&category=vital-signs&code=8867-4&performer=Practitioner/d1&_summary=count",
			"Observation?status=final&_sort=value-quantity", "Observation?_sort=-value-quantity,code", "Observation?status=final&date=ge2019&_total=accurate",
			"Observation?patient.gender=male", "Observation?patient.gender=male&status=cancelled", "Observation?patient.name:contains=nobody-has-this",
			"Observation?patient.organization.name=ward", "Observation?patient.organization.name=nobody", "Observation?patient.general-practitioner.name=doctor1&status=amended",
			"Observation?performer:Practitioner.name=nobody", "Observation?performer:Practitioner.name=doctor&_sort=date",
			"Patient?_has:Observation:patient:status=final", "Patient?_has:Observation:patient:status=cancelled", "Patient?_has:Observation:patient:code=8867-4&gender=unknown",
			"Patient?_has:Observation:patient:performer:Practitioner.name=nobody", "Patient?_has:Observation:patient:status=final&_has:Observation:patient:value-quantity=77",
			"Organization?_has:Patient:organization:_has:Observation:patient:status=final", "Practitioner?_has:Observation:performer:patient.gender=male",
			"Patient?_id=" + many("p", 1000), "Patient?identifier=" + many("x", 1000), "Observation?code=" + many("c", 1000), "Observation?patient=" + many("p", 1000),
			"Observation?patient=" + many("p", 1000) + "&_sort=-date", "Patient?name=" + many("family0", 1000), "Observation?date=" + many("20", 60),
			"Observation?performer=Practitioner/d0&_include=*&_revinclude=*", "Patient?gender=male&_revinclude=Observation:patient&_count=1000", "Practitioner?_revinclude=Observation:performer",
			"?_tag=nobody", "?_sort=-_lastUpdated", "?_type=Observation,Patient&_sort=_lastUpdated&_tag:not=x", "?_profile:missing=true&_count=1000",
		} {
			typ, criteria := cutQuestion(question)
			query, err := s.parse(ctx, typ, criteria, search.Options{})
			if err != nil {
				if !fault.Is(err, fault.CodeTooCostly) && !fault.Is(err, fault.CodeInvalid) {
					t.Errorf("%s: %v", shorten(question), err)
				}
				continue
			}
			if strings.Contains(criteria, "_summary=count") {
				query.Count = 0
			}
			began := time.Now()
			page, err := s.Search(ctx, Request{Query: query})
			took := time.Since(began)
			switch {
			case err == nil:
				t.Logf("%8.1f ms %4d+%d %s", took.Seconds()*1000, len(page.Matches), len(page.Includes), shorten(question))
			case fault.Is(err, fault.CodeTooCostly):
				t.Logf("%8.1f ms too costly %s", took.Seconds()*1000, shorten(question))
			default:
				t.Errorf("%s: %v", shorten(question), err)
			}
			if took > 6*time.Second { // 2 s on a machine that has nothing else to do
				t.Errorf("%s took %s", shorten(question), took)
			}
		}
	})
}

func shorten(question string) string {
	if len(question) > 120 {
		return question[:120] + "…"
	}
	return question
}

// TestCosts_ChainsThatNothingNarrows: a chain or reverse chain that has to be followed from each of very many resources.
func TestCosts_ChainsThatNothingNarrows(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, s *Service, ctx context.Context) {
		var all [][]byte
		for i := range 7_000 {
			all = append(all, fmt.Appendf(nil, `{"resourceType":"Patient","id":"p%d","name":[{"family":"F%d"}]}`, i, i))
		}
		for i := range 5_200 {
			all = append(all, fmt.Appendf(nil, `{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p%d"}}`, i, i%5))
		}
		for i := range 10 {
			all = append(all, fmt.Appendf(nil, `{"resourceType":"Condition","id":"c%d","subject":{"reference":"Patient/p%d"}}`, i, i))
		}
		load(t, s, ctx, all)
		for question, want := range map[string]int{
			"Patient?_has:Observation:patient:status=final": -1, "Patient?_has:Observation:patient:status=final&_sort=-name": -1,
			"Patient?_has:Observation:patient:status=final&gender=male": 0, "Patient?_has:Observation:patient:status=final&_id=p1,p77": 1,
			"Patient?_has:Observation:patient:status=final&_has:Condition:patient:_id=c1,c7": 1,
			"Condition?patient.name:contains=f":                                              10, "Observation?patient.name=f3&status=final&_summary=count": -2,
		} {
			typ, criteria := cutQuestion(question)
			query, err := s.parse(ctx, typ, criteria, search.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if want == -2 {
				query.Count = 0
			}
			began := time.Now()
			page, err := s.Search(ctx, Request{Query: query})
			took := time.Since(began)
			switch {
			case err == nil && (want < 0 || len(page.Matches) == want):
				t.Logf("%8.1f ms %4d %s", took.Seconds()*1000, len(page.Matches), question)
			case fault.Is(err, fault.CodeTooCostly) && want == -1:
				t.Logf("%8.1f ms too costly %s", took.Seconds()*1000, question)
			default:
				t.Errorf("%s: %v %v", question, page, err)
			}
			if took > 6*time.Second {
				t.Errorf("%s took %s", question, took)
			}
		}
	})
}
