package access_test

import (
	"slices"
	"testing"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/kernel/access"
)

func TestAllows(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		role, permission string
		want             bool
	}{
		{access.Clinician, access.RecordsRead, true},
		{access.Clinician, access.TenantManage, false},
		{access.Patient, access.RecordsRead, true},
		{access.Patient, access.RecordsDelete, false},
		{access.Analyst, access.RecordsWrite, false},
		{access.Auditor, access.RecordsWrite, false},
		{access.Operator, access.RecordsRead, false},
		{access.Operator, access.SystemManage, true},
		{access.Admin, access.SystemManage, false},
		{access.System, access.RecordsWrite, true},
		{"", access.RecordsRead, false},
		{"root", access.RecordsRead, false},
		{access.Admin, "", false},
	} {
		if access.Allows(row.role, row.permission) != row.want {
			t.Errorf("%s %s: %v", row.role, row.permission, !row.want)
		}
	}
}

func TestAllows_EveryTenantRoleIsInTheTableAndNoneRunsTheSystem(t *testing.T) {
	t.Parallel()
	for _, role := range access.TenantRoles() {
		if access.Allows(role, access.SystemManage) {
			t.Errorf("%s runs the system", role)
		}
	}
	for _, p := range access.Permissions() {
		if !access.Allows(access.System, p) {
			t.Errorf("the system lacks %s", p)
		}
	}
	if slices.Contains(access.TenantRoles(), access.System) {
		t.Error("a token can be the system")
	}
}

// TestPermits_ScopesNarrowTheRole: what an app was let do with records does not let it run the tenant in its user's name, and a permission that
// is about certain records needs a scope about those. What the permissions on records themselves come to is for [access.Rights].
func TestPermits_ScopesNarrowTheRole(t *testing.T) {
	t.Parallel()
	records := []string{access.RecordsRead, access.RecordsWrite, access.RecordsDelete, access.RecordsBatch}
	calendar := []string{access.CalendarRead, access.CalendarWrite, access.CalendarFind, access.CalendarBook, access.CalendarOverbook}
	for scopes, more := range map[string][]string{
		"openid":                                nil,
		"user/Observation.cruds patient/*.read": nil,
		"user/*.cruds":                          append([]string{access.RecordsConfig}, calendar...),
		"system/*.cruds openid":                 append([]string{access.RecordsConfig}, calendar...),
		"user/*.rs":                             {access.CalendarRead, access.CalendarFind},
		"user/*.read":                           {access.CalendarRead, access.CalendarFind},
		"user/Slot.s":                           {access.CalendarFind},
		"user/Appointment.rs":                   {access.CalendarRead, access.CalendarFind},
		"user/Appointment.c":                    {access.CalendarWrite, access.CalendarBook, access.CalendarOverbook},
		"user/Appointment.d":                    {access.CalendarWrite},
		"user/Appointment.cruds?status=booked":  nil,
		"user/SearchParameter.rs":               nil,
		"user/SearchParameter.u":                {access.RecordsConfig},
	} {
		for _, role := range access.TenantRoles() {
			for _, permission := range access.Permissions() {
				p := scope.Principal{ID: "user/1", Role: role}
				has := access.Allows(role, permission)
				if access.Permits(&p, permission) != has {
					t.Errorf("%s %s: %v", role, permission, !has)
				}
				p.Scopes = scopes
				if want := has && (slices.Contains(records, permission) || slices.Contains(more, permission)); access.Permits(&p, permission) != want {
					t.Errorf("%s %s with the scopes %s: %v", role, permission, scopes, !want)
				}
			}
		}
	}
}

// TestPermits_ThePatientChosenAtLaunch: an app that was let act for one patient has the calendar of that patient, or none.
func TestPermits_ThePatientChosenAtLaunch(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		p        scope.Principal
		want     bool
		patients []string
	}{
		"a patient":                       {scope.Principal{Role: access.Patient, Patients: []string{"p"}, Patient: "p", Scopes: "patient/Appointment.cruds"}, true, []string{"p"}},
		"a proxy of two":                  {scope.Principal{Role: access.Proxy, Patients: []string{"o", "p"}, Patient: "p", Scopes: "patient/Appointment.cruds openid"}, true, []string{"p"}},
		"a proxy of two, who gave more":   {scope.Principal{Role: access.Proxy, Patients: []string{"o", "p"}, Patient: "p", Scopes: "patient/Appointment.cruds user/Patient.r"}, false, []string{"o", "p"}},
		"a proxy of others":               {scope.Principal{Role: access.Proxy, Patients: []string{"o"}, Patient: "p", Scopes: "patient/Appointment.cruds"}, false, []string{"o"}},
		"a proxy without a patient":       {scope.Principal{Role: access.Proxy, Patients: []string{"o", "p"}, Scopes: "patient/Appointment.cruds"}, false, []string{"o", "p"}},
		"a clinician, who sees calendars": {scope.Principal{Role: access.Clinician, Patient: "p", Scopes: "patient/Appointment.cruds"}, false, nil},
	} {
		p := access.WithRights(row.p)
		if got := access.Permits(&p, access.CalendarBook); got != row.want || !slices.Equal(p.Patients, row.patients) {
			t.Errorf("%s: %v, patients %v", name, got, p.Patients)
		}
	}
}

func TestNameable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		role, typ string
		action    byte
		want      bool
	}{
		{access.Patient, "Appointment", 'c', true}, // to book
		{access.Patient, "Appointment", 'd', false},
		{access.Patient, "Observation", 'c', false},
		{access.Patient, "Observation", 'r', true},
		{access.Patient, "*", 'd', false},
		{access.Analyst, "Appointment", 'c', false},
		{access.Admin, "SearchParameter", 'd', true},
		{access.Auditor, "Observation", 'r', false},
	} {
		if access.Nameable(row.role, row.typ, row.action) != row.want {
			t.Errorf("%+v", row)
		}
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	if err := access.Require(t.Context(), access.RecordsRead); !fault.Is(err, fault.CodeUnauthenticated) {
		t.Error(err)
	}
	ctx := scope.With(t.Context(), scope.Scope{Tenant: scope.Tenant{ID: 1}, Principal: scope.Principal{ID: "t", Role: access.Operator}})
	if err := access.Require(ctx, access.RecordsRead); !fault.Is(err, fault.CodeDenied) {
		t.Error(err)
	}
	if err := access.Require(scope.WithTenant(ctx, scope.Tenant{ID: 1}), access.RecordsRead); err != nil {
		t.Error(err)
	}
}
