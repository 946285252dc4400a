package access

import (
	"slices"
	"strings"

	"ward/internal/base/scope"
)

// needs is which SMART scope a token must have for a permission whose routes don't read or write records by their rights themselves: one of
// the types with one of the actions, for all of the type. What the others need, [Rights] say, type by type.
//
//nolint:gochecknoglobals // constant table
var needs = []struct {
	permission, types, actions string
}{
	{RecordsConfig, "SearchParameter", "cud"},
	{CalendarRead, "Appointment", "rs"},
	{CalendarWrite, "Appointment", "cud"},
	{CalendarFind, "Appointment Schedule Slot", "rs"},
	{CalendarBook, "Appointment", "cu"},
	{CalendarOverbook, "Appointment", "cu"},
}

// Permits says whether the principal has the permission: by its role, or because a tenant let an operator read on somebody's behalf.
// Whoever's token is narrowed by SMART scopes has it only if they go as far: none of the permissions that no scope can name, and of the others
// what the scopes name.
func Permits(p *scope.Principal, permission string) bool {
	if p.Scopes != "" && (beyondScopes(permission) || !scoped(p, permission)) {
		return false
	}
	return Allows(p.Role, permission) || p.Role == Operator && p.OnBehalfOf != "" && permission == RecordsRead
}

// beyondScopes says whether no SMART scope can stand for the permission.
func beyondScopes(permission string) bool {
	switch permission {
	case TenantManage, SystemManage, AuditRead, AuditOwn, BreakGlassOpen, BreakGlassReview, OperatorGrant, OperatorEnter, CalendarManage:
		return true
	}
	return false
}

// scoped says whether the scopes have what the permission needs.
func scoped(p *scope.Principal, permission string) bool {
	for _, n := range needs {
		if n.permission == permission {
			return slices.ContainsFunc(parseScopes(p), func(s smartScope) bool {
				return s.meets(n.types, n.actions) && (s.context != patientContext || onlyOf(p))
			})
		}
	}
	return true
}

// meets says whether the scope is about any of the actions on one of the types, all of it.
func (s smartScope) meets(types, actions string) bool {
	return s.filter == "" && strings.ContainsAny(s.actions, actions) && (s.typ == "" || slices.Contains(strings.Fields(types), s.typ))
}

// onlyOf says whether the principal speaks for the patient chosen at launch and nobody else: then what is not narrowed to a patient by scopes is
// by who asks.
func onlyOf(p *scope.Principal) bool {
	return p.Patient != "" && (p.Role == Patient || p.Role == Proxy) && len(p.Patients) == 1 && p.Patients[0] == p.Patient
}

// narrowed is the principal with the patient chosen at launch alone, where none of its scopes goes further.
func narrowed(p scope.Principal) scope.Principal {
	if p.Patient == "" || p.Role != Patient && p.Role != Proxy || !slices.Contains(p.Patients, p.Patient) {
		return p
	}
	if !slices.ContainsFunc(parseScopes(&p), func(s smartScope) bool { return s.context != patientContext }) {
		p.Patients = []string{p.Patient}
	}
	return p
}

// Nameable says whether a SMART scope for the action, a letter of "cruds", on the type, "*" for any, can give somebody of the role anything at all.
func Nameable(role, typ string, action byte) bool {
	for _, row := range table {
		if row.Role == role && strings.IndexByte(row.Actions, action) >= 0 &&
			(typ == "*" || slices.ContainsFunc(row.Groups, func(g string) bool { return slices.Contains(TypesOf(g), typ) })) {
			return true
		}
	}
	for _, n := range needs {
		if Allows(role, n.permission) && strings.IndexByte(n.actions, action) >= 0 && (typ == "*" || slices.Contains(strings.Fields(n.types), typ)) {
			return true
		}
	}
	return false
}
