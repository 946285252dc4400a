// Package access says who may do what.
//
// Two tables are read top to bottom. One says which permissions a role has: a route demands one, and the server checks it before the
// handler runs. The other says what a role may do with records, by group of resource types, action and reach (table.go). [Rights] are what
// one principal may do with records: its role's lines of the table, as far as its SMART scopes go, less what is labelled sensitive and
// not granted. They are worked out once for each token ([WithRights]) and enforced by the domain that has the data: what somebody may
// not see is not there for them.
//
// Roles, groups, actions and classes are constants; a tenant chooses only whether its clinicians reach all charts or those of the
// patients in their care.
package access

import (
	"context"
	"slices"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// The permissions.
const (
	RecordsRead   = "records.read"   // read, search and history of clinical records
	RecordsWrite  = "records.write"  // create, update and patch them
	RecordsDelete = "records.delete" // delete them; history keeps them
	RecordsBatch  = "records.batch"  // send bundles; each entry needs its own permission besides
	RecordsConfig = "records.config" // add search parameters and re-index
	TenantManage  = "tenant.manage"  // tokens and settings of one's own tenant
	SystemManage  = "system.manage"  // every tenant's directory entry, never their records

	CalendarRead  = "calendar.read"  // windows of calendars: patients their own
	CalendarWrite = "calendar.write" // events

	AuditRead        = "audit.read"        // read the audit log
	AuditOwn         = "audit.own"         // read who looked at one's own data
	BreakGlassOpen   = "breakglass.open"   // open a patient in an emergency
	BreakGlassReview = "breakglass.review" // see who did, and sign it off
	OperatorGrant    = "operator.grant"    // let an operator read the tenant's records for a while
	OperatorEnter    = "operator.enter"    // exchange such a grant for access

	CalendarFind     = "calendar.find"     // see free times, services and who waits: patients their own
	CalendarBook     = "calendar.book"     // hold, book, cancel and move visits, wait for one: patients their own
	CalendarOverbook = "calendar.overbook" // book beyond the seats that there are
	CalendarManage   = "calendar.manage"   // set who can be booked when, and services
)

// routes is which permissions a role has: the doors it may knock at. What it finds behind them, [Rights] say.
//
//nolint:gochecknoglobals // constant table
var routes = []struct {
	role        string
	permissions []string
}{
	{Patient, []string{RecordsRead, RecordsWrite, RecordsBatch, AuditOwn, CalendarRead, CalendarFind, CalendarBook}},
	{Proxy, []string{RecordsRead, RecordsWrite, RecordsBatch, AuditOwn, CalendarRead, CalendarFind, CalendarBook}},
	{Clinician, []string{RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch, BreakGlassOpen, CalendarRead, CalendarWrite, CalendarFind, CalendarBook, CalendarOverbook}},
	{Nurse, []string{RecordsRead, RecordsWrite, RecordsBatch, BreakGlassOpen, CalendarRead, CalendarWrite, CalendarFind, CalendarBook}},
	{FrontDesk, []string{RecordsRead, RecordsWrite, RecordsBatch, CalendarRead, CalendarWrite, CalendarFind, CalendarBook, CalendarOverbook, CalendarManage}},
	{Biller, []string{RecordsRead, RecordsWrite, RecordsBatch}},
	{Analyst, []string{RecordsRead, RecordsBatch}},
	{Admin, []string{RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch, RecordsConfig, TenantManage, AuditRead, BreakGlassReview, OperatorGrant, CalendarRead, CalendarWrite, CalendarFind, CalendarBook, CalendarOverbook, CalendarManage}},
	{Auditor, []string{RecordsRead, RecordsBatch, AuditRead, BreakGlassReview}},
	{Integration, []string{RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch, CalendarRead, CalendarWrite, CalendarFind, CalendarBook}},
	{Operator, []string{SystemManage, OperatorEnter}},
	{System, Permissions()},
}

// Permissions are all that there are.
func Permissions() []string {
	return []string{
		RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch, RecordsConfig, TenantManage, SystemManage,
		AuditRead, AuditOwn, BreakGlassOpen, BreakGlassReview, OperatorGrant, OperatorEnter,
		CalendarRead, CalendarWrite, CalendarFind, CalendarBook, CalendarOverbook, CalendarManage,
	}
}

// Allows says whether the role has the permission. An unknown role has none.
func Allows(role, permission string) bool {
	for i := range routes {
		if routes[i].role == role {
			return slices.Contains(routes[i].permissions, permission)
		}
	}
	return false
}

// Require returns fault.Denied, naming the permission and the role, unless the scope's principal has the permission;
// without a scope it returns fault.Unauthenticated.
func Require(ctx context.Context, permission string) error {
	s, ok := scope.From(ctx)
	if !ok || s.Principal.Role == "" {
		return fault.Unauthenticated("nobody is signed in")
	}
	if !Permits(&s.Principal, permission) {
		return fault.Denied("the role %s may not do this: it needs %s", s.Principal.Role, permission)
	}
	return nil
}
