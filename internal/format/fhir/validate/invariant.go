package validate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"ward/internal/format/fhir/spec"
	"ward/internal/format/jsontape"
)

// An invariant that only asks which elements are present, in a short notation:
//
//	"a -> b c"    where a is, one at least of b and c must be
//	"a -> !b"     where a is, b must not be
//	"-> a b"      one at least of a and b must be
//
//nolint:gochecknoglobals // constant table, from the definitions' constraints
var presence = []struct{ typ, key, rule string }{
	{"Extension", "ext-1", "-> value extension"},
	{"Extension", "ext-1", "value -> !extension"},
	{"Quantity Age Count Distance Duration", "qty-3", "code -> system"},
	{"Age", "age-1", "value -> code"},
	{"Distance", "dis-1", "value -> code"},
	{"Duration", "drt-1", "code -> value"},
	{"Duration", "drt-1", "code -> system"},
	{"Count", "cnt-3", "value -> code"},
	{"ContactPoint", "cpt-2", "value -> system"},
	{"Attachment", "att-1", "data -> contentType"},
	{"Ratio", "rat-1", "numerator -> denominator"},
	{"Ratio", "rat-1", "denominator -> numerator"},
	{"Ratio", "rat-1", "-> numerator extension"},
	{"Expression", "exp-1", "-> expression reference"},
	{"Timing.repeat", "tim-1", "duration -> durationUnit"},
	{"Timing.repeat", "tim-2", "period -> periodUnit"},
	{"Timing.repeat", "tim-6", "periodMax -> period"},
	{"Timing.repeat", "tim-7", "durationMax -> duration"},
	{"Timing.repeat", "tim-8", "countMax -> count"},
	{"Timing.repeat", "tim-9", "offset -> when"},
	{"Timing.repeat", "tim-10", "timeOfDay -> !when"},
	{"Observation", "obs-6", "dataAbsentReason -> !value"},
	{"Observation.referenceRange", "obs-3", "-> low high text"},
	{"Patient.contact", "pat-1", "-> name telecom address organization"},
	{"Organization", "org-1", "-> identifier name"},
	{"InsurancePlan", "ipn-1", "-> identifier name"},
	{"Condition.stage", "con-1", "-> summary assessment"},
	{"Condition.evidence", "con-2", "-> code detail"},
	{"Appointment", "app-2", "start -> end"},
	{"Appointment", "app-2", "end -> start"},
	{"Appointment.participant", "app-1", "-> type actor"},
	{"AppointmentResponse", "apr-1", "-> participantType actor"},
	{"CarePlan.activity", "cpl-3", "detail -> !reference"},
	{"Composition.section", "cmp-1", "-> text entry section"},
	{"Composition.section", "cmp-2", "emptyReason -> !entry"},
	{"Consent", "ppc-1", "-> policy policyRule"},
	{"FamilyMemberHistory", "fhs-1", "age -> !born"},
	{"FamilyMemberHistory", "fhs-2", "estimatedAge -> age"},
	{"Goal.target", "gol-1", "detail -> measure"},
	{"Immunization.education", "imm-1", "-> documentType reference"},
	{"ImmunizationRecommendation.recommendation", "imr-1", "-> vaccineCode targetDisease"},
	{"List", "lst-1", "emptyReason -> !entry"},
	{"ServiceRequest", "prr-1", "orderDetail -> code"},
	{"AuditEvent.entity", "sev-1", "name -> !query"},
	{"Bundle.entry", "bdl-5", "-> resource request response"},
	{"Parameters.parameter", "inv-1", "-> value resource part"},
	{"Parameters.parameter", "inv-1", "value -> !resource"},
	{"Parameters.parameter", "inv-1", "part -> !value"},
	{"Parameters.parameter", "inv-1", "part -> !resource"},
	{"RequestGroup.action", "rqg-1", "-> resource action"},
	{"RequestGroup.action", "rqg-1", "resource -> !action"},
	{"ValueSet.compose.include", "vsd-1", "-> valueSet system"},
	{"ValueSet.compose.include", "vsd-2", "concept -> system"},
	{"ValueSet.compose.include", "vsd-2", "filter -> system"},
	{"ValueSet.compose.include", "vsd-3", "concept -> !filter"},
	{"ValueSet.expansion.contains", "vsd-6", "-> code display"},
	{"ValueSet.expansion.contains", "vsd-10", "code -> system"},
	{"SearchParameter", "spd-1", "xpath -> xpathUsage"},
	{"QuestionnaireResponse.item", "qrs-1", "answer -> !item"},
	{"Questionnaire.item", "que-4", "answerOption -> !answerValueSet"},
	{"Questionnaire.item", "que-11", "answerOption -> !initial"},
	{"StructureDefinition", "sdf-6", "-> snapshot differential"},
	{"StructureDefinition.mapping", "sdf-2", "-> name uri"},
	{"CapabilityStatement", "cpb-1", "-> rest messaging document"},
	{"CapabilityStatement", "cpb-2", "-> description software implementation"},
	{"TerminologyCapabilities", "tcp-2", "-> description software implementation"},
	{"TestReport.setup.action", "inv-1", "-> operation assert"},
	{"TestReport.test.action", "inv-2", "-> operation assert"},
	{"TestScript.setup.action", "tst-1", "-> operation assert"},
	{"TestScript.test.action", "tst-2", "-> operation assert"},
}

// Invariants are the keys of the invariants that are checked, as in the specification ("obs-6"), in order. Of age-1, cnt-3, dis-1
// and drt-1 only the part about presence is: that the unit is one of UCUM's, of time or of length, is not.
func Invariants() []string {
	list := []string{"dom-2", "dom-3", "dom-4", "dom-5", "ele-1", "ref-1", "sqty-1", "txt-1"}
	for _, p := range presence {
		list = append(list, p.key)
	}
	for _, h := range hooked {
		list = append(list, strings.Fields(h.keys)...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// rule is a compiled line of presence.
type rule struct {
	when, need, not seen
	always          bool // when is empty
	message         string
}

func compileRules(defs *spec.Definitions) [][]rule {
	all := make([][]rule, len(defs.Types()))
	for _, p := range presence {
		for name := range strings.FieldsSeq(p.typ) {
			t := defs.Type(name)
			if t == nil {
				panic("validate: no type " + name)
			}
			all[t.Index] = append(all[t.Index], compileRule(t, p.key, p.rule))
		}
	}
	return all
}

func compileRule(t *spec.Type, key, text string) rule {
	left, right, _ := strings.Cut(text, "->")
	when, then := strings.Fields(left), strings.Fields(right)
	var out rule
	out.always = len(when) == 0
	mark := func(s *seen, name string) {
		for i := range t.Elements {
			if t.Elements[i].Name == name {
				s.add(uint8(i))
				return
			}
		}
		panic(fmt.Sprintf("validate: %s: %s has no %s", key, t.Name, name))
	}
	for _, name := range when {
		mark(&out.when, name)
	}
	if name, negated := strings.CutPrefix(then[0], "!"); negated {
		mark(&out.not, name)
		out.message = fmt.Sprintf("%s: %s must not be there together with %s", key, name, when[0])
		return out
	}
	for _, name := range then {
		mark(&out.need, name)
	}
	out.message = key + ": " + or(then) + " is required"
	if len(when) > 0 {
		out.message += " where there is " + when[0]
	}
	return out
}

func or(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return "one of " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func (r *run) rule(n jsontape.Node, p *rule, have *seen) {
	if !p.always && !have.any(&p.when) {
		return
	}
	if p.need != (seen{}) && !have.any(&p.need) || have.any(&p.not) {
		r.report(n, kindInvariant, p.message)
	}
}

// hook checks an invariant that looks at values. It runs after the object's members have been checked, and must put up with
// values of the wrong JSON type.
type hook func(r *run, n jsontape.Node)

//nolint:gochecknoglobals // constant table
var hooked = []struct {
	typ, keys string
	hook      hook
}{
	{"Period", "per-1", (*run).period},
	{"Condition", "con-4 con-5", (*run).condition},
	{"AllergyIntolerance", "ait-1 ait-2", (*run).allergy},
	{"Observation", "obs-7", (*run).observation},
	{"Bundle", "bdl-1 bdl-2 bdl-3 bdl-4 bdl-11 bdl-12", (*run).bundle},
	{"Bundle.entry", "bdl-8", (*run).bundleEntry},
	{"Timing.repeat", "tim-4 tim-5 tim-9", (*run).timing},
	{"Linkage", "lnk-1", (*run).linkage},
}

func compileHooks(defs *spec.Definitions) []hook {
	all := make([]hook, len(defs.Types()))
	for _, h := range hooked {
		all[defs.Type(h.typ).Index] = h.hook
	}
	return all
}

// simple holds sqty-1: a SimpleQuantity has no comparator.
func (r *run) simple(n jsontape.Node) {
	if m := r.doc.Get(n, "comparator"); m >= 0 {
		r.reportMember(m, kindInvariant, "sqty-1: a comparator must not be there, the quantity is exact here")
	}
}

// period holds per-1: start is not after end. Times of different precision are compared as far as both go; with different
// zones they are not compared here.
func (r *run) period(n jsontape.Node) {
	start, end := r.doc.Bytes(r.doc.Get(n, "start")), r.doc.Bytes(r.doc.Get(n, "end"))
	if !isDateTime(start) || !isDateTime(end) {
		return
	}
	if later(start, end) {
		r.report(n, kindInvariant, "per-1: start must not be after end")
	}
}

// later says whether a is certainly after b; both are dateTimes.
func later(a, b []byte) bool {
	const day, clock = len("YYYY-MM-DD"), len("YYYY-MM-DDThh:mm:ss")
	if len(a) > day && len(b) > day {
		return moment(a).After(moment(b))
	}
	// A zone moves a day by one at most; two days that differ by more are in order whatever the zones.
	n := min(len(a), len(b), day)
	if len(a) <= day && len(b) <= day {
		return bytes.Compare(a[:n], b[:n]) > 0
	}
	return n < day && bytes.Compare(a[:n], b[:n]) > 0
}

const (
	conditionClinical = "http://terminology.hl7.org/CodeSystem/condition-clinical"
	conditionVerified = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
	allergyVerified   = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
	enteredInError    = "entered-in-error"
)

// hasCoding says whether the CodeableConcept at n has one of the codes.
func (r *run) hasCoding(n jsontape.Node, system string, codes ...string) bool {
	doc := r.doc
	for c := doc.First(doc.Get(n, "coding")); c >= 0; c = doc.Next(c) {
		if string(doc.Bytes(doc.Get(c, "system"))) == system && slices.Contains(codes, string(doc.Bytes(doc.Get(c, "code")))) {
			return true
		}
	}
	return false
}

func (r *run) condition(n jsontape.Node) {
	doc := r.doc
	clinical := doc.Get(n, "clinicalStatus")
	abated := false
	for m := doc.First(n); m >= 0; m = doc.Next(m) {
		abated = abated || bytes.HasPrefix(bytes.TrimPrefix(doc.Key(m), []byte("_")), []byte("abatement"))
	}
	if abated && !r.hasCoding(clinical, conditionClinical, "resolved", "remission", "inactive") {
		r.report(n, kindInvariant, "con-4: a condition that has abated must have the clinicalStatus inactive, resolved or remission")
	}
	if clinical >= 0 && r.hasCoding(doc.Get(n, "verificationStatus"), conditionVerified, enteredInError) {
		r.reportMember(clinical, kindInvariant, "con-5: clinicalStatus must not be there when verificationStatus is entered-in-error")
	}
}

func (r *run) allergy(n jsontape.Node) {
	clinical := r.doc.Get(n, "clinicalStatus")
	wrong := r.hasCoding(r.doc.Get(n, "verificationStatus"), allergyVerified, enteredInError)
	if clinical < 0 && !wrong {
		r.report(n, kindInvariant, "ait-1: clinicalStatus is required unless verificationStatus is entered-in-error")
	}
	if clinical >= 0 && wrong {
		r.reportMember(clinical, kindInvariant, "ait-2: clinicalStatus must not be there when verificationStatus is entered-in-error")
	}
}

func (r *run) timing(n jsontape.Node) {
	doc := r.doc
	for _, name := range [...]string{"duration", "period"} {
		if m := doc.Get(n, name); doc.Kind(m) == jsontape.Number && doc.Bytes(m)[0] == '-' {
			key := "tim-4: "
			if name == "period" {
				key = "tim-5: "
			}
			r.report(m, kindInvariant, key+name+" must not be negative")
		}
	}
	if doc.Get(n, "offset") < 0 {
		return
	}
	for w := doc.First(doc.Get(n, "when")); w >= 0; w = doc.Next(w) {
		switch string(doc.Bytes(w)) {
		case "C", "CM", "CD", "CV":
			r.report(w, kindInvariant, "tim-9: with an offset, when must say before or after the meal, not C, CM, CD or CV")
		}
	}
}
