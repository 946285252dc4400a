package access_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"ward/internal/base/scope"
	"ward/internal/format/fhir/spec"
	"ward/internal/kernel/access"
)

func rights(p scope.Principal) *access.Rights {
	return access.Of(scope.With(context.Background(), scope.Scope{Tenant: scope.Tenant{ID: 1}, Principal: access.WithRights(p)}))
}

func TestGroups_HoldEveryTypeOnce(t *testing.T) {
	t.Parallel()
	where := map[string]string{}
	for _, g := range access.Groups() {
		for _, typ := range access.TypesOf(g) {
			if where[typ] != "" {
				t.Errorf("%s is in %s and %s", typ, where[typ], g)
			}
			where[typ] = g
		}
	}
	for _, typ := range spec.R4().ResourceTypes() {
		if where[typ] == "" {
			t.Errorf("%s is in no group", typ)
		}
		delete(where, typ)
	}
	for typ := range where {
		t.Errorf("%s is no type", typ)
	}
}

func TestTable_IsWellFormed(t *testing.T) {
	t.Parallel()
	for _, row := range access.Table() {
		if !slices.Contains(access.Roles(), row.Role) || row.Reach == access.None {
			t.Errorf("%+v", row)
		}
		for _, g := range row.Groups {
			if access.TypesOf(g) == nil {
				t.Errorf("%s has no group %s", row.Role, g)
			}
		}
		if !access.ValidScope("user/*." + row.Actions) {
			t.Errorf("%s: the actions %q are not in order", row.Role, row.Actions)
		}
		if writes := strings.ContainsAny(row.Actions, "cud"); writes && slices.Contains(row.Groups, access.Trail) && row.Actions != "c" {
			t.Errorf("%s may change what was done", row.Role)
		}
	}
}

// TestRights says what some may do, in the words of the issue.
func TestRights(t *testing.T) {
	t.Parallel()
	patient := scope.Principal{Role: access.Patient, Patients: []string{"9"}}
	launched := scope.Principal{Role: access.Clinician, Patient: "9", Scopes: "launch/patient openid patient/Observation.rs?category=laboratory patient/Condition.read"}
	for _, row := range []struct {
		name   string
		who    scope.Principal
		typ    string
		action access.Action
		want   string // "all", the patients, with the filter after a question mark; empty: nothing
	}{
		{"a patient reads the own chart", patient, "Observation", access.Read, "9"},
		{"a patient reads who works here", patient, "Practitioner", access.Search, "all"},
		{"a patient writes no results", patient, "Observation", access.Create, ""},
		{"a patient answers", patient, "QuestionnaireResponse", access.Create, "9"},
		{"a patient sees no log", patient, "AuditEvent", access.Read, ""},
		{"a patient of nobody", scope.Principal{Role: access.Patient}, "Observation", access.Read, ""},
		{"a proxy of two", scope.Principal{Role: access.Proxy, Patients: []string{"b", "a"}}, "Patient", access.Read, "a b"},
		{"an integration logs", scope.Principal{Role: access.Integration}, "AuditEvent", access.Create, "all"},
		{"an integration does not read the log", scope.Principal{Role: access.Integration}, "AuditEvent", access.Read, ""},
		{"the front desk sees no results", scope.Principal{Role: access.FrontDesk}, "Observation", access.Read, ""},
		{"the front desk books", scope.Principal{Role: access.FrontDesk}, "Appointment", access.Create, "all"},
		{"a biller sees no results", scope.Principal{Role: access.Biller}, "Observation", access.Search, ""},
		{"an analyst reads", scope.Principal{Role: access.Analyst}, "Observation", access.Search, "all"},
		{"an analyst writes nothing", scope.Principal{Role: access.Analyst}, "Observation", access.Update, ""},
		{"an auditor reads the log", scope.Principal{Role: access.Auditor}, "AuditEvent", access.Search, "all"},
		{"an auditor reads no chart", scope.Principal{Role: access.Auditor}, "Observation", access.Read, ""},
		{"an operator sees nothing", scope.Principal{Role: access.Operator}, "Patient", access.Read, ""},
		{"an operator who was let in", scope.Principal{Role: access.Operator, OnBehalfOf: "user/1"}, "Patient", access.Read, "all"},
		{"an operator who was let in writes nothing", scope.Principal{Role: access.Operator, OnBehalfOf: "user/1"}, "Patient", access.Update, ""},
		{"nobody", scope.Principal{}, "Practitioner", access.Read, ""},
		{"an unknown role", scope.Principal{Role: "root"}, "Practitioner", access.Read, ""},
		{"the system", scope.Principal{Role: access.System}, "AuditEvent", access.Delete, "all"},

		{"a scope narrows", launched, "Observation", access.Read, "9?category=laboratory"},
		{"a scope of version 1", launched, "Condition", access.Search, "9"},
		{"a scope of version 1 reads only", launched, "Condition", access.Create, ""},
		{"what no scope names", launched, "Procedure", access.Read, ""},
		{"a scope is no more than the role", scope.Principal{Role: access.Analyst, Scopes: "user/*.cruds"}, "Observation", access.Create, ""},
		{"patient/ without a patient", scope.Principal{Role: access.Analyst, Scopes: "patient/*.rs"}, "Observation", access.Read, ""},
		{"patient/ and what is no one's", scope.Principal{Role: access.Analyst, Scopes: "patient/*.rs"}, "Practitioner", access.Read, "all"},
		{"patient/ and another's", scope.Principal{Role: access.Patient, Patients: []string{"9"}, Patient: "8", Scopes: "patient/*.rs"}, "Observation", access.Read, ""},
		{"user/ of a patient", scope.Principal{Role: access.Patient, Patients: []string{"9"}, Scopes: "user/*.read"}, "Observation", access.Read, "9"},
		{"system/ of an integration", scope.Principal{Role: access.Integration, Scopes: "system/Observation.c"}, "Observation", access.Create, "all"},
		{"only openid", scope.Principal{Role: access.Analyst, Scopes: "openid fhirUser"}, "Observation", access.Read, ""},
		{"the wider of two", scope.Principal{Role: access.Analyst, Scopes: "user/Observation.rs?category=laboratory user/Observation.rs"}, "Observation", access.Read, "all"},
		{"two filters", scope.Principal{Role: access.Analyst, Scopes: "user/Observation.rs?a=1 user/Observation.r?b=2"}, "Observation", access.Read, "all?a=1, all?b=2"},
	} {
		r := rights(row.who)
		if r.ByCare() {
			r = r.CaringForAll()
		}
		var got []string
		for _, g := range r.May(row.typ, row.action) {
			text := "all"
			if g.Among != nil {
				text = strings.Join(g.Among.List(), " ")
			}
			if g.Filter != "" {
				text += "?" + g.Filter
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
		if r.MayAll(row.typ, row.action) != (row.want == "all") {
			t.Errorf("%s: MayAll %v", row.name, r.MayAll(row.typ, row.action))
		}
	}
}

func TestRights_ByCare(t *testing.T) {
	t.Parallel()
	r := rights(scope.Principal{Role: access.Clinician})
	if !r.ByCare() || r.MayAll("Observation", access.Read) || r.May("Observation", access.Read)[0].Among.Len() != 0 {
		t.Error("rights that are not resolved must give nothing")
	}
	if all := r.CaringForAll(); !all.MayAll("Observation", access.Read) || all.ByCare() || all != r.CaringForAll() {
		t.Error("a clinician who reaches all")
	}
	some := r.Caring(access.NewSet([]string{"1", "2"}))
	if g := some.May("Observation", access.Read); len(g) != 1 || !g[0].Among.Has("2") || g[0].Among.Has("3") || !g[0].Newcomers {
		t.Errorf("%+v", g)
	}
	if some.Base() != r.Base() || some.Fingerprint() == r.Caring(access.NewSet([]string{"1"})).Fingerprint() {
		t.Error("fingerprints of panels")
	}
	launched := rights(scope.Principal{Role: access.Clinician, Patient: "1", Scopes: "patient/*.cruds"})
	if g := launched.Caring(access.NewSet([]string{"1", "2"})).May("Observation", access.Read); len(g) != 1 || g[0].Among.Len() != 1 || g[0].Newcomers {
		t.Errorf("%+v", g)
	}
	if g := launched.Caring(access.NewSet([]string{"2"})).May("Observation", access.Read); len(g) != 0 {
		t.Errorf("a launch opens no chart: %+v", g)
	}
}

func TestRights_Fingerprints(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for i, p := range []scope.Principal{
		{Role: access.Patient},
		{Role: access.Proxy},
		{Role: access.Patient, Patients: []string{"1"}},
		{Role: access.Patient, Patients: []string{"1", "2"}},
		{Role: access.Patient, Patients: []string{"12"}},
		{Role: access.Analyst, Sensitive: []string{"hiv"}},
		{Role: access.Analyst, Sensitive: []string{"hiv", "genetic"}},
		{Role: access.Analyst, Scopes: "user/*.rs"},
		{Role: access.Analyst, Patient: "1", Scopes: "user/*.rs"},
		{Role: access.Operator, OnBehalfOf: "x"},
	} {
		mark := rights(p).Fingerprint()
		if other, twice := seen[mark]; twice {
			t.Errorf("%d and %d have one fingerprint", i, other)
		}
		seen[mark] = i
	}
	a, b := rights(scope.Principal{Role: access.Patient, Patients: []string{"1", "2"}}), rights(scope.Principal{Role: access.Patient, Patients: []string{"2", "1"}})
	if a.Fingerprint() != b.Fingerprint() {
		t.Error("the order of patients counts")
	}
}

func TestOf_AllocatesNothing(t *testing.T) {
	for _, p := range []scope.Principal{{Role: access.Clinician}, access.WithRights(scope.Principal{Role: access.Patient, Patients: []string{"9"}})} {
		ctx := scope.With(t.Context(), scope.Scope{Tenant: scope.Tenant{ID: 1}, Principal: p})
		if n := testing.AllocsPerRun(100, func() { _ = access.Of(ctx).MayAll("Observation", access.Read) }); n != 0 {
			t.Errorf("%s: %v allocations", p.Role, n)
		}
	}
}

func TestValidScope(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"patient/Observation.read": true, "user/*.write": true, "system/*.*": true, "patient/*.cruds": true, "patient/Observation.rs?category=laboratory": true,
		"patient/Observation.": false, "patient/Observation": false, "patient/.rs": false, "patient/Observation.sr": false, "patient/Observation.rr": false, "patient/Observation.x": false,
		"group/Observation.rs": false, "openid": false, "launch/patient": false, "patient/Observation.rs?%zz": false, "": false,
	} {
		if access.ValidScope(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestLabelsOf(t *testing.T) {
	t.Parallel()
	const conf, act = `"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality"`, `"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode"`
	label := func(coding string) string { return `{"resourceType":"X","meta":{"security":[` + coding + `]}}` }
	for json, want := range map[string]string{
		`{"resourceType":"X"}`:                                              "",
		label(`{` + conf + `,"code":"R"}`):                                  "restricted",
		label(`{` + conf + `,"code":"V"}`):                                  "veryrestricted",
		label(`{` + conf + `,"code":"N"}`):                                  "",
		label(`{` + act + `,"code":"PSY"}`):                                 "mentalhealth",
		label(`{` + act + `,"code":"HIV"},{"code":"r"}`):                    "restricted hiv",
		label(`{"code":"HIV"}`):                                             "hiv",
		label(`{"system":"urn:own","code":"HIV"}`):                          "",
		`{"resourceType":"X","meta":{"\u0073ecurity":[{"code":"R"}]}}`:      "restricted",
		`{"resourceType":"X","meta":{"security":[{"c\u006fde":"\u0052"}]}}`: "restricted",
		`{"resourceType":"Bundle","entry":[{"resource":{"meta":{"security":[{` + act + `,"code":"ETH"}]}}}]}`:  "substance",
		`{"resourceType":"CapabilityStatement","rest":[{"security":{"service":[{"coding":[{"code":"R"}]}]}}]}`: "",
	} {
		got, err := access.LabelsOf([]byte(json))
		if err != nil || got.String() != want {
			t.Errorf("%s: %q %v, want %q", json, got, err, want)
		}
	}
	if c := access.ParseClasses(access.SensitiveClasses()); len(strings.Fields(c.String())) != len(access.SensitiveClasses()) ||
		!rights(scope.Principal{Role: access.Analyst, Sensitive: access.SensitiveClasses()}).ClearsAll() {
		t.Error("all classes")
	}
	if rights(scope.Principal{Role: access.Admin}).ClearsAll() || !rights(scope.Principal{Role: access.System}).ClearsAll() {
		t.Error("an admin has no grant by itself")
	}
}

func BenchmarkLabelsOf(b *testing.B) {
	json := []byte(`{"resourceType":"Observation","id":"1","category":[{"coding":[{"system":"http://loinc.org","code":"any"}]}],` +
		strings.Repeat(`"note":[{"text":"Taken at rest; \"nothing\" in particular by any body"}],`, 20) + `"status":"final"}`)
	b.SetBytes(int64(len(json)))
	for b.Loop() {
		if c, err := access.LabelsOf(json); c != 0 || err != nil {
			b.Fatal(c, err)
		}
	}
}
