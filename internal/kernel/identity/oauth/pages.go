package oauth

import "net/http"

// Pages draws what people see. Package web/consent does.
type Pages interface {
	Consent(w http.ResponseWriter, v ConsentPage) error
	Pick(w http.ResponseWriter, v PickPage) error
	// Consents lists what the user agreed to, each with a way to take it back.
	Consents(w http.ResponseWriter, v ConsentsPage) error
	// Failed says to a person why the app can't go on, with the status.
	Failed(w http.ResponseWriter, status int, v FailedPage) error
	// Onward sends the browser to the URL by itself, with a link where that does not work.
	Onward(w http.ResponseWriter, to, app string) error
}

// ConsentPage asks what of an app's wishes the user agrees to.
type ConsentPage struct {
	App      string // its name
	AppHost  string // where it lives, from its redirect URI
	Unproven bool   // nothing proves that it is what its name says
	User     string // who is signed in
	Patient  *Patient
	Scopes   []ConsentScope
	Lasts    string            // for how long
	Action   string            // where the form goes, by POST
	Hidden   map[string]string // what goes with it
	Origin   string            // the redirect URI's, which the answer leads to
}

// ConsentScope is a line of the consent page.
type ConsentScope struct {
	Scope, Words string
	Checked      bool
	Sensitive    bool // writes or reaches beyond one patient: drawn apart
}

// PickPage lets the user choose the patient that an app is for.
type PickPage struct {
	App, User string
	Search    bool   // there is a field to search by
	Text      string // what was searched for
	Patients  []Patient
	Action    string            // where the form goes, by GET
	Hidden    map[string]string // what goes with it
}

// ConsentsPage lists apps.
type ConsentsPage struct {
	User   string
	Apps   []ConsentsApp
	Action string // where the forms go, by POST, with the client as FieldClient
}

// ConsentsApp is one app on it.
type ConsentsApp struct {
	Client, Name, Given string
	Words               []string // what it may
}

// The names of the pages' fields.
const (
	FieldScope    = "scope"        // checkboxes of the consent page
	FieldDecision = "decision"     // allow or deny
	FieldClient   = "client"       // the app whose access is taken back
	FieldText     = "ward_search"  // what is searched for
	FieldPatient  = "ward_patient" // the patient chosen
)

// FailedPage is an error for a person.
type FailedPage struct{ Error, Description string }
