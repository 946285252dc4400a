package tenancy

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"

	"ward/internal/base/fault"
)

// Settings are what a tenant decides for itself. The zero value is the default.
type Settings struct {
	// ReferentialIntegrity refuses writes that refer to a resource which is not there, and deletes of one that is referred to.
	ReferentialIntegrity bool `json:"referentialIntegrity"`
	// ClinicianAccess says which charts clinicians and nurses reach: all, or those of the patients in their care.
	ClinicianAccess ClinicianAccess `json:"clinicianAccess,omitempty"`
	// DynamicRegistration lets apps register themselves (RFC 7591); else the administrator registers them.
	DynamicRegistration bool `json:"dynamicRegistration,omitempty"`
	// SignIn is how people sign in; nil takes every default.
	SignIn *SignIn `json:"signIn,omitempty"`
	// Booking is how much of the calendar one person may take; nil takes every default.
	Booking *Booking `json:"booking,omitempty"`
}

// Booking bounds what is booked for one patient. Who runs the calendar is not bound by it. The zero value of a field is its default.
type Booking struct {
	Holds   int `json:"holds,omitempty"`   // live holds; default 3
	Visits  int `json:"visits,omitempty"`  // booked visits to come; default 50
	Waiting int `json:"waiting,omitempty"` // entries on waitlists; default 10
}

// SignIn is how a tenant's people sign in. The zero value of a field is its default.
type SignIn struct {
	IdleMinutes   int `json:"idleMinutes,omitempty"`   // a session ends when it was not used for so long; default 30
	AbsoluteHours int `json:"absoluteHours,omitempty"` // a session ends so long after the sign-in; default 12
	// PasswordAlone are the roles whose people need no second factor; default none.
	PasswordAlone []string `json:"passwordAlone,omitempty"`
	// PasskeyAlone are the roles whose people may sign in with a passkey and nothing else; default patient and proxy. "none" is no role.
	PasskeyAlone []string `json:"passkeyAlone,omitempty"`
	// Provider is the hospital's own OpenID Connect provider; nil without one.
	Provider *Provider `json:"provider,omitempty"`
}

// Provider is an OpenID Connect provider whose word on who somebody is counts.
type Provider struct {
	Name         string            `json:"name,omitempty"` // on the button; default "your organisation"
	Issuer       string            `json:"issuer"`         // https URL
	ClientID     string            `json:"clientId"`
	ClientSecret string            `json:"clientSecret,omitempty"`
	RoleClaim    string            `json:"roleClaim,omitempty"`    // claim that holds one or several texts; default "groups"
	Roles        map[string]string `json:"roles,omitempty"`        // from the claim's text to a role
	PersonClaim  string            `json:"personClaim,omitempty"`  // claim that holds the FHIR reference of who it is; default "fhirUser"
	SecondFactor bool              `json:"secondFactor,omitempty"` // the provider asks for a second factor itself and says so (amr, acr)
	// JoinByEmail lets somebody whom the provider vouches for into the account of the same, verified address.
	JoinByEmail bool `json:"joinByEmail,omitempty"`
}

// Shown is the settings as people may see them: without secrets.
func (s Settings) Shown() Settings {
	if s.SignIn != nil && s.SignIn.Provider != nil && s.SignIn.Provider.ClientSecret != "" {
		signIn, provider := *s.SignIn, *s.SignIn.Provider
		provider.ClientSecret = "xxxxx"
		signIn.Provider, s.SignIn = &provider, &signIn
	}
	return s
}

// ClinicianAccess is ChartsInCare, or empty for all charts.
type ClinicianAccess string

// The values of ClinicianAccess as they are written.
const (
	AllCharts    ClinicianAccess = "all"
	ChartsInCare ClinicianAccess = "care"
)

// UnmarshalText refuses other values.
func (a *ClinicianAccess) UnmarshalText(text []byte) error {
	switch v := ClinicianAccess(text); v {
	case "", AllCharts:
		*a = ""
		return nil
	case ChartsInCare:
		*a = v
		return nil
	default:
		return errors.New("clinicianAccess is all or care")
	}
}

// ParseSettings reads settings from JSON; what is absent has its default. It returns fault.Invalid naming an unknown
// setting or a wrong value.
func ParseSettings(text string) (Settings, error) {
	var s Settings
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&s)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one JSON value")
		}
	}
	if err != nil {
		return s, fault.Invalid("the settings can't be read (%s): they are one JSON object with %s", err.Error(), known())
	}
	return s, nil
}

// JSON is what ParseSettings reads.
func (s Settings) JSON() string {
	b, err := json.Marshal(s)
	if err != nil {
		return "{}"
	}
	return string(b)
}

func known() string {
	var names []string
	for f := range reflect.TypeFor[Settings]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
