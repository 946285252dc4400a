package access

// The roles.
const (
	Patient     = "patient"     // one person, in their own compartment
	Proxy       = "proxy"       // speaks for patients, in theirs
	Clinician   = "clinician"   // works with charts: all, or those in their care, by the tenant's choice
	Nurse       = "nurse"       // as a clinician, without orders of one's own and without deleting
	FrontDesk   = "frontdesk"   // who comes, when, and who pays
	Biller      = "biller"      // what is paid for
	Analyst     = "analyst"     // reads for reports
	Admin       = "admin"       // runs one tenant, and repairs its records
	Auditor     = "auditor"     // reads who did what
	Integration = "integration" // a laboratory, a payer, an ERP
	Operator    = "operator"    // runs the machines; sees no records unless the tenant grants it
	System      = "system"      // the program itself: runners, consumers, the command line
)

// Roles are all that there are, in the order of the tables.
func Roles() []string {
	return []string{Patient, Proxy, Clinician, Nurse, FrontDesk, Biller, Analyst, Admin, Auditor, Integration, Operator, System}
}

// TenantRoles are the roles that a principal of a tenant may have, in the order of the tables.
func TenantRoles() []string {
	return []string{Patient, Proxy, Clinician, Nurse, FrontDesk, Biller, Analyst, Admin, Auditor, Integration}
}
