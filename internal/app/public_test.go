package app_test

// public are the routes that need no token, each for a reason.
var public = map[string]bool{
	// What clients read before they have a token.
	"GET /t/{tenant}/fhir/metadata":                                 true,
	"GET /t/{tenant}/fhir/.well-known/smart-configuration":          true,
	"GET /t/{tenant}/oauth2/.well-known/openid-configuration":       true,
	"GET /t/{tenant}/oauth2/.well-known/oauth-authorization-server": true,
	"GET /t/{tenant}/oauth2/keys":                                   true,
	// Where they get one: clients authenticate in the request itself, people by their session.
	"GET /t/{tenant}/oauth2/authorize":   true,
	"POST /t/{tenant}/oauth2/authorize":  true,
	"POST /t/{tenant}/oauth2/consent":    true,
	"POST /t/{tenant}/oauth2/token":      true,
	"POST /t/{tenant}/oauth2/revoke":     true,
	"POST /t/{tenant}/oauth2/introspect": true,
	"POST /t/{tenant}/oauth2/register":   true,
	// These look at the token or the session themselves: what they tell is the asker's own, whatever the role.
	"GET /t/{tenant}/oauth2/userinfo":             true,
	"POST /t/{tenant}/oauth2/userinfo":            true,
	"GET /t/{tenant}/oauth2/consents":             true,
	"POST /t/{tenant}/oauth2/consents":            true,
	"DELETE /t/{tenant}/oauth2/consents/{client}": true,
	// Where people sign in. The pages of the account find out themselves who is signed in, and send everybody else to sign in.
	"GET /assets/signin/{file}":                  true,
	"GET /t/{tenant}/signin":                     true,
	"POST /t/{tenant}/signin":                    true,
	"GET /t/{tenant}/signin/provider":            true,
	"GET /t/{tenant}/signin/callback":            true,
	"POST /t/{tenant}/signin/passkey/ask":        true,
	"POST /t/{tenant}/signin/passkey":            true,
	"GET /t/{tenant}/second-factor":              true,
	"POST /t/{tenant}/second-factor":             true,
	"POST /t/{tenant}/second-factor/passkey/ask": true,
	"POST /t/{tenant}/second-factor/passkey":     true,
	"GET /t/{tenant}/activate/{token}":           true,
	"POST /t/{tenant}/activate/{token}":          true,
	"GET /t/{tenant}/activation":                 true,
	"GET /t/{tenant}/activation/{ticket}":        true,
	"GET /t/{tenant}/recover":                    true,
	"POST /t/{tenant}/recover":                   true,
	"GET /t/{tenant}/signout":                    true,
	"POST /t/{tenant}/signout":                   true,
	"GET /t/{tenant}/account":                    true,
	"POST /t/{tenant}/account/session":           true,
	"POST /t/{tenant}/account/passkey":           true,
	"POST /t/{tenant}/account/app":               true,
	"POST /t/{tenant}/account/codes":             true,
	"POST /t/{tenant}/account/password":          true,
	"POST /t/{tenant}/account/protect":           true,

	// SMART Scheduling Links: free slots of schedules that say publish, for everybody to see.
	"GET /t/{tenant}/calendar/slots/$bulk-publish": true,
	"GET /t/{tenant}/calendar/slots/{file}":        true,

	// Where calendar programs learn the way, which tells nothing; and feeds, for whoever has the secret in their address.
	"GET /t/{tenant}/.well-known/caldav":      true,
	"PROPFIND /t/{tenant}/.well-known/caldav": true,
	"GET /t/{tenant}/calendar/feed/{file}":    true,
}
