package scope

// Principal is who asks. Whoever verifies a token or a session makes one; the zero Principal is nobody.
type Principal struct {
	ID   string // stable: "token/…", "user/…", "client/…", or "system"
	Role string // a key of the access table, such as "clinician"

	// Person is the FHIR reference of who it is, such as "Practitioner/7", "Patient/9" or "RelatedPerson/3"; empty for a machine.
	Person string
	// Patient is the id of the patient in context (SMART launch/patient); empty without one. It narrows what patient/ scopes
	// allow to that patient.
	Patient string
	// Patients are the ids of the patients whose compartments a patient or proxy may see.
	Patients []string
	// Scopes are the SMART scopes granted, separated by spaces. Empty: not narrowed by scopes.
	Scopes string
	// Client is the id of the OAuth client that asks; empty without one.
	Client string
	// Session is the id of the sign-in session; empty without one.
	Session string
	// Sensitive are the classes of sensitive records granted; see access.SensitiveClasses.
	Sensitive []string
	// OnBehalfOf says for whom an operator acts; empty for everybody else.
	OnBehalfOf string

	// Rights is what access worked out for this principal, once per token. Only access reads and sets it; nil: not yet.
	Rights any
}
