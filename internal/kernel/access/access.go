// Package access says which role may do what: one table, read top to bottom.
//
// A route demands one permission, which the server checks before the handler runs; a domain asks again with [Require]
// where one request carries several acts, such as the entries of a bundle.
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
)

// routes is which permissions a role has: the doors it may knock at. Roles that may see a part of
// the records only have none to them yet.
//
//nolint:gochecknoglobals // constant table
var routes = []struct {
	role        string
	permissions []string
}{
	{Patient, nil},
	{Proxy, nil},
	{Clinician, []string{RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch}},
	{Nurse, []string{RecordsRead, RecordsWrite, RecordsBatch}},
	{FrontDesk, nil},
	{Biller, nil},
	{Analyst, nil},
	{Admin, []string{RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch, RecordsConfig, TenantManage}},
	{Auditor, nil},
	{Integration, []string{RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch}},
	{Operator, []string{SystemManage}},
	{System, Permissions()},
}

// Permissions are all that there are.
func Permissions() []string {
	return []string{RecordsRead, RecordsWrite, RecordsDelete, RecordsBatch, RecordsConfig, TenantManage, SystemManage}
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
	if !Allows(s.Principal.Role, permission) {
		return fault.Denied("the role %s may not do this: it needs %s", s.Principal.Role, permission)
	}
	return nil
}
