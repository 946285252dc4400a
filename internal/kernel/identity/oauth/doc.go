// Package oauth makes every tenant an OAuth2 and OpenID Connect provider at /t/{tenant}/oauth2, with SMART App Launch 2.2.
//
// It owns the tables identity_oauth_* of the tenants' databases (migrations/ says what each is for). The protocol's own rules (requests,
// the code, refresh and client credentials grants, PKCE, errors) are ory/fosite's; this package stores, authenticates clients, makes
// tokens, asks people and adds what SMART needs. JOSE is go-jose v4 alone.
//
// It offers: authorization code with PKCE (S256, required of every client), refresh with rotation, client credentials with private_key_jwt
// (RS384, ES384), revocation, introspection, userinfo, discovery, key sets with rotation, registration by the tenant's admin and, where the
// tenant allows it, by the client (RFC 7591); standalone and EHR launch, scopes of version 1 and 2, a consent and a patient page
// (which package web/consent draws). It does not offer: implicit and password grants, PKCE plain, request objects, wildcards or
// other liberties in redirect URIs.
//
// It promises:
//   - a code is good once, for a minute, for the client, the redirect URI and the PKCE verifier it was made for; a second use revokes what
//     the first one gave. So does a second use of a refresh token;
//   - tokens are opaque, wat_<tenant>_<random>, and nowhere in the database: only their SHA-256;
//   - [Provider.Verify] answers from memory. What this process revoked is refused at once, what another one did after at most two seconds;
//     so is a user whose account was closed, and what a changed role no longer allows;
//   - a client's assertion is good once; its audience is the token endpoint of this tenant, its life at most five minutes;
//   - scopes shrink, never grow: what was asked for, within what the client is registered for, within what the user agreed to; what
//     the role allows is held against every request by package access;
//   - a browser is sent to a redirect URI only when the client registered exactly this one, with iss (RFC 9207) in every answer.
//
// It announces security events through [Audit]: codes and refresh tokens used twice, refused assertions, refused redirects, launches of
// others, clients registered and deleted, consents given and taken back, keys rotated.
//
// It fails with OAuth error objects (RFC 6749 §5.2) on its endpoints, and a page where a person would see it.
package oauth
