package spec_test

import (
	"encoding/json"
	"runtime"
	"slices"
	"testing"

	"ward/internal/format/fhir/spec"
)

func TestR4_Counts(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	if n := len(d.ResourceTypes()); n != 146 {
		t.Errorf("%d resource types, want 146", n)
	}
	if n := len(d.SearchParameters()); n != 1375 {
		t.Errorf("%d search parameters, want 1375", n)
	}
	if n := len(d.Compartments()); n != 5 {
		t.Errorf("%d compartments, want 5", n)
	}
	if n := len(d.Operations()); n != 46 {
		t.Errorf("%d operations, want 46", n)
	}
	if !slices.IsSorted(d.ResourceTypes()) {
		t.Error("the resource types are not in order")
	}
}

// TestTypeNumber pins numbers that are stored in databases. Changing one of them corrupts data.
func TestTypeNumber(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	for name, want := range map[string]int16{
		"Account": 1, "Bundle": 12, "Condition": 28, "Encounter": 44, "Observation": 96, "Patient": 103, "VisionPrescription": 146,
		"Resource": 0, "Quantity": 0, "": 0, "Unheard": 0,
	} {
		if got := d.TypeNumber(name); got != want {
			t.Errorf("TypeNumber(%q) = %d, want %d", name, got, want)
		}
	}
	for _, name := range d.ResourceTypes() {
		if back := d.TypeName(d.TypeNumber(name)); back != name {
			t.Errorf("%s comes back as %q", name, back)
		}
	}
	for _, n := range []int16{0, -1, 147, 32767} {
		if got := d.TypeName(n); got != "" {
			t.Errorf("TypeName(%d) = %q", n, got)
		}
	}
}

func TestType_Field(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	for _, row := range []struct {
		typ, field, element, value string
		primitive                  spec.Primitive
		min, max                   int
		choice                     bool
		targets                    string
	}{
		{"Observation", "status", "Observation.status", "code", spec.Code, 1, 1, false, ""},
		{"Observation", "id", "Observation.id", "id", spec.ID, 0, 1, false, ""},
		{"Observation", "valueQuantity", "Observation.value[x]", "Quantity", 0, 0, 1, true, ""},
		{"Observation", "valueDateTime", "Observation.value[x]", "dateTime", spec.DateTime, 0, 1, true, ""},
		{"Observation", "component", "Observation.component", "Observation.component", 0, 0, -1, false, ""},
		{"Observation", "contained", "Observation.contained", "Resource", 0, 0, -1, false, ""},
		{"Observation", "subject", "Observation.subject", "Reference", 0, 0, 1, false, "Device,Group,Location,Patient"},
		{"Observation", "focus", "Observation.focus", "Reference", 0, 0, -1, false, ""},
		{"Observation.component", "referenceRange", "Observation.component.referenceRange", "Observation.referenceRange", 0, 0, -1, false, ""},
		{"Observation.component", "id", "Observation.component.id", "string", spec.String, 0, 1, false, ""},
		{"Extension", "url", "Extension.url", "uri", spec.URI, 1, 1, false, ""},
		{"Extension", "valueCodeableConcept", "Extension.value[x]", "CodeableConcept", 0, 0, 1, true, ""},
		{"Narrative", "div", "Narrative.div", "xhtml", spec.XHTML, 1, 1, false, ""},
		{"Timing", "repeat", "Timing.repeat", "Timing.repeat", 0, 0, 1, false, ""},
		{"Questionnaire.item", "item", "Questionnaire.item.item", "Questionnaire.item", 0, 0, -1, false, ""},
		{"Patient", "managingOrganization", "Patient.managingOrganization", "Reference", 0, 0, 1, false, "Organization"},
		{"Bundle.entry", "resource", "Bundle.entry.resource", "Resource", 0, 0, 1, false, ""},
		{"Age", "value", "Age.value", "decimal", spec.Decimal, 0, 1, false, ""},
	} {
		f := d.Type(row.typ).Field([]byte(row.field))
		if f == nil {
			t.Errorf("%s.%s is not known", row.typ, row.field)
			continue
		}
		e := f.Element
		targets := ""
		for i, x := range f.Ref.Targets {
			if i > 0 {
				targets += ","
			}
			targets += x
		}
		if e.Path != row.element || f.Type.Name != row.value || f.Primitive != row.primitive || e.Min != row.min ||
			e.Max != row.max || e.Choice != row.choice || targets != row.targets {
			t.Errorf("%s.%s: %s %s %v %d..%d choice=%v targets=%s", row.typ, row.field, e.Path, f.Type.Name, f.Primitive, e.Min, e.Max, e.Choice, targets)
		}
	}
	for _, row := range [][2]string{{"Observation", "value"}, {"Observation", "valueInstant"}, {"Observation", "_status"}, {"Observation", ""}, {"Patient", "resourceType"}, {"dateTime", "value"}} {
		if f := d.Type(row[0]).Field([]byte(row[1])); f != nil {
			t.Errorf("%s has a field %q", row[0], row[1])
		}
	}
}

func TestType_Element(t *testing.T) {
	t.Parallel()
	o := spec.R4().Type("Observation")
	for name, want := range map[string]string{
		"_status": "Observation.status", "valueQuantity": "Observation.value[x]", "_valueString": "Observation.value[x]",
		"_valueQuantity": "", "_": "", "_subject": "", "nothing": "",
	} {
		got := ""
		if e := o.Element([]byte(name)); e != nil {
			got = e.Path
		}
		if got != want {
			t.Errorf("Element(%q) = %q, want %q", name, got, want)
		}
	}
	if e := o.Named("value"); e == nil || len(e.Types) != 11 {
		t.Error("value has eleven types")
	}
}

// TestFields_AllFound looks every property of every type up by its own name.
func TestFields_AllFound(t *testing.T) {
	t.Parallel()
	for i := range spec.R4().Types() {
		typ := &spec.R4().Types()[i]
		if typ.Kind == spec.PrimitiveKind != (typ.Primitive != spec.NotPrimitive) {
			t.Errorf("%s: primitive or not?", typ.Name)
		}
		for k := range typ.Fields {
			f := &typ.Fields[k]
			if typ.Field([]byte(f.Name)) != f || f.Type == nil || &typ.Elements[f.Ordinal] != f.Element {
				t.Errorf("%s.%s is not found", typ.Name, f.Name)
			}
		}
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	status := d.Type("Observation").Named("status").Binding
	if status == nil || status.Strength != spec.Required || status.ValueSet != "http://hl7.org/fhir/ValueSet/observation-status" || status.Codes == nil {
		t.Fatalf("Observation.status: %+v", status)
	}
	if !status.Codes.Has([]byte("final")) || status.Codes.Has([]byte("Final")) || status.Codes.Has(nil) {
		t.Error("final is a status, Final is none")
	}
	clinical := d.Type("Condition").Named("clinicalStatus").Binding.Codes
	if !clinical.HasCoding([]byte("http://terminology.hl7.org/CodeSystem/condition-clinical"), []byte("remission")) {
		t.Error("remission is a clinical status")
	}
	if clinical.HasCoding([]byte("http://example.org"), []byte("remission")) {
		t.Error("a code of another system is not a clinical status")
	}
	if b := d.Type("EffectEvidenceSynthesis.effectEstimate").Named("unitOfMeasure").Binding; b.Codes != nil {
		t.Error("UCUM can't be listed")
	}
	if b := d.Type("Observation").Named("code").Binding; b != nil {
		t.Error("an example binding binds nothing")
	}
}

func TestCompartment(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	if got := d.Compartment("Patient").Params("Observation"); !slices.Equal(got, []string{"subject", "performer"}) {
		t.Errorf("Patient/Observation: %v", got)
	}
	if got := d.Compartment("Patient").Params("Organization"); got != nil {
		t.Errorf("Patient/Organization: %v", got)
	}
	if d.Compartment("Organization").Name != "" {
		t.Error("Organization is no compartment")
	}
}

func TestSearchParameters(t *testing.T) {
	t.Parallel()
	d := spec.R4()
	p := d.SearchParameter("http://hl7.org/fhir/SearchParameter/Observation-code-value-quantity")
	if p == nil || p.Type != "composite" || len(p.Components) != 2 || p.Components[1].Expression != "value.as(Quantity)" {
		t.Fatalf("%+v", p)
	}
	for i := range d.SearchParameters() {
		p := &d.SearchParameters()[i]
		if d.SearchParameter(p.URL) != p {
			t.Errorf("%s is not found", p.URL)
		}
		for _, c := range p.Components {
			if d.SearchParameter(c.Definition) == nil {
				t.Errorf("%s: its component %s is not known", p.URL, c.Definition)
			}
		}
		for _, b := range p.Base {
			if d.Type(b) == nil {
				t.Errorf("%s: its base %s is not known", p.URL, b)
			}
		}
	}
	n := 0
	d.EachParameterResource(func(p *spec.SearchParameter, resource []byte) bool {
		var r struct{ ResourceType, URL, Code string }
		if err := json.Unmarshal(resource, &r); err != nil || r.ResourceType != "SearchParameter" || r.URL != p.URL || r.Code != p.Code {
			t.Errorf("%s: %v %+v", p.URL, err, r)
		}
		n++
		return true
	})
	if n != 1375 {
		t.Errorf("%d resources", n)
	}
}

// BenchmarkLoad shows what the definitions cost when the server starts, and what they keep.
func BenchmarkLoad(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	keep := spec.Load()
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
		spec.Load()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1024, "KB-kept")
	runtime.KeepAlive(keep)
}

func BenchmarkTerminology(b *testing.B) {
	d := spec.Load()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d.ValueSet("")
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
		spec.Load().ValueSet("")
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1024, "KB-kept")
	runtime.KeepAlive(d)
}

func BenchmarkField(b *testing.B) {
	t := spec.R4().Type("Observation")
	names := [][]byte{[]byte("id"), []byte("status"), []byte("valueQuantity"), []byte("effectiveDateTime"), []byte("subject")}
	b.ReportAllocs()
	for b.Loop() {
		for _, n := range names {
			if t.Field(n) == nil {
				b.Fatal(string(n))
			}
		}
	}
}
