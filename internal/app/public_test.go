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
	"DELETE /t/{tenant}/oauth2/consents/{client}": true,
}
