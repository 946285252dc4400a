package search

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ward/internal/format/jsontape"
)

// The pools are small, so that queries often match, and full of what is easily confused.
var (
	poolSystems = []string{"http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/administrative-gender", "http://hl7.org/fhir/observation-status", "urn:x"}
	poolCodes   = []string{"8480-6", "8462-4", "A1", "a1", "final", "male", "true", "b|c", "d,e", `f\g`, "h$i", "é", "É"}
	poolTexts   = []string{
		"Smith", "smith", "Smi", "O'Brien", "obrien", "José García", "jose garcia", "garcia", "Carreño Quiñones", "quinones", "van  der-Berg", "van der berg",
		"a text that is longer than the thirty-two bytes kept", "a text that is longer than the thirty-two bytes kept as well", "12", "ß", "---", "Straße 5",
	}
	poolDates = []string{
		"2012", "2013", "2013-01", "2013-02", "2013-01-14", "2013-01-15", "2013-01-14T10:00:00Z", "2013-01-14T10:00:00+02:00", "2013-01-14T23:30:00-05:00",
		"2013-01-14T10:00:00.5Z", "2013-01-14T10:00:00.123Z", "1969-12-31T23:59:59Z", "2013-12-31", "2012-02-29",
	}
	poolNumbers = []string{"0", "1", "-1", "99.5", "100", "100.00", "100.4", "100.5", "99.4999", "0.1", "1e2", "1.00e2", "37", "98.6", "0.0054", "5.4", "37.0", "310.15"}
	poolUnits   = []string{"mg", "g", "kg", "mm[Hg]", "kPa", "Cel", "[degF]", "K", "mmHg", "mg/dL", "g/L"}
	poolRefs    = []string{
		"Patient/1", "Patient/2", "Group/1", "Practitioner/1", "Encounter/1", "Patient/1/_history/2", "http://own.example/fhir/Patient/1", "http://other.example/fhir/Patient/1",
		"urn:uuid:0190b0a2-7f2a-7c3e-9f6d-1a2b3c4d5e6f", "#contained", "Device/1",
	}
	poolURIs = []string{
		"http://acme.org/fhir", "http://acme.org/fhir/", "http://acme.org/fhir/ValueSet/123", "http://acme.org/fhir/ValueSet/1234", "http://acme.org", "urn:oid:1.2.3",
		"http://acme.org/fhir/ValueSet/a-very-long-name-that-needs-more-than-fifty-six-bytes", "http://acme.org/fhir/ValueSet/a-very-long-name-that-needs-more-than-fifty-six-bytes/2",
	}
)

func pick(t *rapid.T, pool []string) string { return rapid.SampledFrom(pool).Draw(t, "x") }

func quoted(s string) string { return fmt.Sprintf("%q", s) }

func maybe(t *rapid.T, dst *[]string, key string, value func() string) {
	if rapid.IntRange(0, 9).Draw(t, key) < 6 {
		*dst = append(*dst, quoted(key)+":"+value())
	}
}

func object(members []string) string { return "{" + strings.Join(members, ",") + "}" }

func listOf(t *rapid.T, one func() string) func() string {
	return func() string {
		n := rapid.IntRange(1, 3).Draw(t, "n")
		all := make([]string, n)
		for i := range all {
			all[i] = one()
		}
		return "[" + strings.Join(all, ",") + "]"
	}
}

type generator struct{ t *rapid.T }

func (g generator) text(pool []string) func() string {
	return func() string { return quoted(pick(g.t, pool)) }
}

func (g generator) coding() string {
	var m []string
	maybe(g.t, &m, "system", g.text(poolSystems))
	maybe(g.t, &m, "code", g.text(poolCodes))
	maybe(g.t, &m, "display", g.text(poolTexts))
	return object(m)
}

func (g generator) concept() string {
	var m []string
	maybe(g.t, &m, "coding", listOf(g.t, g.coding))
	maybe(g.t, &m, "text", g.text(poolTexts))
	return object(m)
}

func (g generator) identifier() string {
	var m []string
	maybe(g.t, &m, "system", g.text(poolSystems))
	maybe(g.t, &m, "value", g.text(poolCodes))
	maybe(g.t, &m, "type", g.concept)
	return object(m)
}

func (g generator) reference() string {
	var m []string
	maybe(g.t, &m, "reference", g.text(poolRefs))
	maybe(g.t, &m, "identifier", g.identifier)
	return object(m)
}

func (g generator) number() string { return pick(g.t, poolNumbers) }

func (g generator) quantity() string {
	var m []string
	maybe(g.t, &m, "value", g.number)
	maybe(g.t, &m, "unit", g.text(poolUnits))
	maybe(g.t, &m, "code", g.text(poolUnits))
	if rapid.Bool().Draw(g.t, "ucum") {
		m = append(m, `"system":"`+ucumSystem+`"`)
	}
	if rapid.IntRange(0, 9).Draw(g.t, "comparator") == 0 {
		m = append(m, `"comparator":`+quoted(pick(g.t, []string{"<", "<=", ">", ">="})))
	}
	return object(m)
}

func (g generator) span() string {
	var m []string
	maybe(g.t, &m, "low", g.quantity)
	maybe(g.t, &m, "high", g.quantity)
	return object(m)
}

func (g generator) period() string {
	var m []string
	maybe(g.t, &m, "start", g.text(poolDates))
	maybe(g.t, &m, "end", g.text(poolDates))
	return object(m)
}

func (g generator) timing() string {
	var m []string
	maybe(g.t, &m, "event", listOf(g.t, g.text(poolDates)))
	maybe(g.t, &m, "repeat", func() string {
		var m []string
		maybe(g.t, &m, "boundsPeriod", g.period)
		return object(m)
	})
	return object(m)
}

func (g generator) value(m *[]string) {
	switch rapid.IntRange(0, 6).Draw(g.t, "value[x]") {
	case 0:
		maybe(g.t, m, "valueQuantity", g.quantity)
	case 1:
		maybe(g.t, m, "valueCodeableConcept", g.concept)
	case 2:
		maybe(g.t, m, "valueString", g.text(poolTexts))
	case 3:
		maybe(g.t, m, "valueDateTime", g.text(poolDates))
	case 4:
		maybe(g.t, m, "valuePeriod", g.period)
	}
}

func (g generator) name() string {
	var m []string
	maybe(g.t, &m, "family", g.text(poolTexts))
	maybe(g.t, &m, "given", listOf(g.t, g.text(poolTexts)))
	maybe(g.t, &m, "text", g.text(poolTexts))
	return object(m)
}

func (g generator) address() string {
	var m []string
	maybe(g.t, &m, "line", listOf(g.t, g.text(poolTexts)))
	maybe(g.t, &m, "city", g.text(poolTexts))
	maybe(g.t, &m, "country", g.text(poolTexts))
	return object(m)
}

func (g generator) telecom() string {
	var m []string
	maybe(g.t, &m, "system", g.text([]string{"phone", "email"}))
	maybe(g.t, &m, "value", g.text(poolCodes))
	return object(m)
}

// resource makes a resource that has something at most of the parameters' paths. It need not be valid.
func (g generator) resource(typ string) string {
	m := []string{`"resourceType":` + quoted(typ)}
	with := func(key string, value func() string) { maybe(g.t, &m, key, value) }
	with("meta", func() string {
		var m []string
		maybe(g.t, &m, "profile", listOf(g.t, g.text(poolURIs)))
		maybe(g.t, &m, "tag", listOf(g.t, g.coding))
		maybe(g.t, &m, "source", g.text(poolURIs))
		return object(m)
	})
	with("identifier", listOf(g.t, g.identifier))
	switch typ {
	case "Observation":
		with("status", g.text([]string{"final", "amended"}))
		with("code", g.concept)
		with("subject", g.reference)
		with("performer", listOf(g.t, g.reference))
		switch rapid.IntRange(0, 4).Draw(g.t, "effective") {
		case 0:
			with("effectiveDateTime", g.text(poolDates))
		case 1:
			with("effectivePeriod", g.period)
		case 2:
			with("effectiveTiming", g.timing)
		case 3:
			with("effectiveInstant", g.text(poolDates))
		}
		g.value(&m)
		with("component", listOf(g.t, func() string {
			var m []string
			maybe(g.t, &m, "code", g.concept)
			g.value(&m)
			return object(m)
		}))
	case "Patient":
		with("active", g.text([]string{"true"}))
		with("name", listOf(g.t, g.name))
		with("telecom", listOf(g.t, g.telecom))
		with("gender", g.text([]string{"male", "female"}))
		with("birthDate", g.text(poolDates))
		with("address", listOf(g.t, g.address))
		with("deceasedDateTime", g.text(poolDates))
		with("generalPractitioner", listOf(g.t, g.reference))
		with("link", listOf(g.t, func() string {
			var m []string
			maybe(g.t, &m, "other", g.reference)
			return object(m)
		}))
	case "ValueSet":
		with("url", g.text(poolURIs))
		with("version", g.text([]string{"1", "1.0", "2"}))
		with("name", g.text(poolTexts))
		with("date", g.text(poolDates))
	case "RiskAssessment":
		with("subject", g.reference)
		with("prediction", listOf(g.t, func() string {
			var m []string
			maybe(g.t, &m, "probabilityDecimal", g.number)
			maybe(g.t, &m, "probabilityRange", g.span)
			return object(m)
		}))
	case "Condition":
		with("code", g.concept)
		with("subject", g.reference)
		with("onsetAge", g.quantity)
		with("onsetRange", g.span)
		with("recordedDate", g.text(poolDates))
	case "AuditEvent":
		with("recorded", g.text(poolDates))
		with("agent", listOf(g.t, func() string {
			var m []string
			maybe(g.t, &m, "who", g.reference)
			maybe(g.t, &m, "policy", listOf(g.t, g.text(poolURIs)))
			return object(m)
		}))
		with("entity", listOf(g.t, func() string {
			var m []string
			maybe(g.t, &m, "what", g.reference)
			return object(m)
		}))
	case "ActivityDefinition":
		with("url", g.text(poolURIs))
		with("library", listOf(g.t, g.text([]string{"http://acme.org/Library/1|1.0", "http://acme.org/Library/1|2", "http://acme.org/Library/1"})))
		with("relatedArtifact", listOf(g.t, func() string {
			var m []string
			maybe(g.t, &m, "type", g.text([]string{"depends-on", "derived-from"}))
			maybe(g.t, &m, "resource", g.text([]string{"http://acme.org/Library/1|1.0", "http://acme.org/Library/1"}))
			return object(m)
		}))
		with("useContext", listOf(g.t, func() string {
			var m []string
			maybe(g.t, &m, "code", g.coding)
			maybe(g.t, &m, "valueQuantity", g.quantity)
			return object(m)
		}))
	}
	return object(m)
}

// query makes a value for a parameter, and perhaps a modifier.
func (g generator) query(r *reading) (modifier, value string) {
	n := rapid.IntRange(1, 2).Draw(g.t, "values")
	if modifiers := r.modifiers(); rapid.IntRange(0, 3).Draw(g.t, "modified") == 0 && len(modifiers) > 0 {
		modifier = pick(g.t, modifiers)
	}
	values := make([]string, n)
	for i := range values {
		values[i] = g.queryValue(r, modifier)
	}
	return modifier, strings.Join(values, ",")
}

func (g generator) queryValue(r *reading, modifier string) string {
	prefix := func() string { return pick(g.t, append([]string{"", ""}, prefixes[:]...)) }
	token := func() string {
		switch rapid.IntRange(0, 4).Draw(g.t, "form") {
		case 0:
			return escape(pick(g.t, poolSystems)) + "|" + escape(pick(g.t, poolCodes))
		case 1:
			return "|" + escape(pick(g.t, poolCodes))
		case 2:
			return escape(pick(g.t, poolSystems)) + "|"
		}
		return escape(pick(g.t, poolCodes))
	}
	switch modifier {
	case "missing":
		return pick(g.t, []string{"true", "false"})
	case "of-type":
		return escape(pick(g.t, poolSystems)) + "|" + escape(pick(g.t, poolCodes)) + "|" + escape(pick(g.t, poolCodes))
	case "identifier":
		return token()
	case "text":
		return escape(pick(g.t, poolTexts))
	case "in", "not-in":
		return pick(g.t, []string{"http://hl7.org/fhir/ValueSet/administrative-gender", "http://hl7.org/fhir/ValueSet/observation-status"})
	}
	switch r.typ {
	case Token:
		return token()
	case String:
		return escape(pick(g.t, poolTexts))
	case Date:
		return prefix() + pick(g.t, poolDates)
	case Number:
		return prefix() + pick(g.t, poolNumbers)
	case Quantity:
		switch rapid.IntRange(0, 2).Draw(g.t, "form") {
		case 0:
			return prefix() + pick(g.t, poolNumbers) + "|" + ucumSystem + "|" + pick(g.t, poolUnits)
		case 1:
			return prefix() + pick(g.t, poolNumbers) + "||" + pick(g.t, poolUnits)
		}
		return prefix() + pick(g.t, poolNumbers)
	case URI:
		return pick(g.t, poolURIs)
	case Reference:
		return pick(g.t, append([]string{"1", "2", "http://acme.org/Library/1", "http://acme.org/Library/1|1.0", "http://acme.org/Library/1|1"}, poolRefs...))
	case NoType, Composite, Special:
	}
	return ""
}

// TestRanges_HoldWhatMatches is the promise of Clause.Ranges, on random resources and clauses: what matches has a posting within the ranges, and
// where the ranges are exact nothing else has.
func TestRanges_HoldWhatMatches(t *testing.T) {
	t.Parallel()
	r := Standard().At("http://own.example/fhir")
	types := []string{"Observation", "Patient", "ValueSet", "RiskAssessment", "Condition", "AuditEvent", "ActivityDefinition"}
	var tried, matched, exacts int
	rapid.Check(t, func(rt *rapid.T) {
		g := generator{rt}
		typ := pick(rt, types)
		json := g.resource(typ)
		doc := new(jsontape.Doc)
		if err := doc.Parse([]byte(json)); err != nil {
			rt.Fatalf("%s: %v", json, err)
		}
		x := newIndex(r, doc, typ)
		params := r.Params(typ)
		for range 40 {
			p := params[rapid.IntRange(0, len(params)-1).Draw(rt, "param")]
			if p.Unsupported != "" || p.Code == "_id" || p.Code == "_lastUpdated" {
				continue
			}
			u := p.byType[typ]
			one := reading{typ: p.Type, targets: u.targets}
			one.read(u.branches)
			modifier, value := "", ""
			if p.Type == Composite {
				var parts []string
				for k := range u.groups[0].parts {
					part := reading{typ: u.groups[0].parts[k].typ}
					parts = append(parts, g.queryValue(&part, ""))
				}
				value = strings.Join(parts, "$")
			} else {
				modifier, value = g.query(&one)
			}
			name := p.Code
			if modifier != "" {
				name += ":" + modifier
			}
			q, err := Parse(r, typ, []Pair{{name, value}}, Options{Now: time.Unix(1_400_000_000, 0)})
			if err != nil {
				continue // a form that the parameter does not take
			}
			c := q.Clauses[0]
			matches := c.Match(doc, typ)
			tried++
			if matches {
				matched++
			}
			if x.check(rt, c, typ+"?"+name+"="+value+" on "+json, matches) {
				exacts++
			}
		}
	})
	t.Logf("%d clauses, %d matched, %d exact", tried, matched, exacts)
}
