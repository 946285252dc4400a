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

// TestPermits_ScopesNarrowTheRole: what an app was let do with records does not let it run the tenant in its user's name.
func TestPermits_ScopesNarrowTheRole(t *testing.T) {
	t.Parallel()
	ofRecords := []string{
		access.RecordsRead, access.RecordsWrite, access.RecordsDelete, access.RecordsBatch, access.RecordsConfig,
		access.CalendarRead, access.CalendarWrite, access.CalendarBook, access.CalendarOverbook,
	}
	for _, role := range access.TenantRoles() {
		for _, permission := range access.Permissions() {
			p := scope.Principal{ID: "user/1", Role: role}
			has := access.Allows(role, permission)
			if access.Permits(&p, permission) != has {
				t.Errorf("%s %s: %v", role, permission, !has)
			}
			for _, scopes := range []string{"openid", "user/*.cruds", "system/*.cruds openid"} {
				p.Scopes = scopes
				if want := has && slices.Contains(ofRecords, permission); access.Permits(&p, permission) != want {
					t.Errorf("%s %s with the scopes %s: %v", role, permission, scopes, !want)
				}
			}
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
