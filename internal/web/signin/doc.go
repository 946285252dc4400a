// Package signin is the pages on which people sign in to a tenant and look after their account, and the routes by which an administrator invites them. What they mean is in
// kernel/identity/people.
//
// The pages work without scripts but for passkeys, which browsers give to scripts alone: assets/passkey.js. Their Content-Security-Policy allows nothing from
// elsewhere and nothing inline. Requests that change something must come from a page of this very site (http.CrossOriginProtection). Where somebody goes after
// the sign-in is a path of the same tenant, whatever the parameter says ([SafeReturn]).
package signin
