// Package operators lets those who run Ward read a tenant's records, when that tenant says so. It owns the tables operators_grant and operators_token of
// each tenant.
//
// Nobody who runs the machines sees a tenant's records by that. A tenant's administrator gives a grant, to one operator or to any, for at most
// four hours; the operator exchanges it for a token that is good in this tenant, for reading only, until the grant ends. Whatever is done with
// it is in the tenant's audit log under the operator's name, on behalf of the administrator. Revoking ends it: at once in the process that
// revokes, within two seconds in all others.
package operators
