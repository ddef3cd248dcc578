// Package oauth is the OAuth 2.0 side of Mintkeep: the token endpoint (RFC 6749 §4.4), introspection
// (RFC 7662), revocation (RFC 7009), metadata (RFC 8414) and the key set (RFC 7517).
//
// The token endpoint parses the request, authenticates the client (round trip 1), checks the grant, the
// resource and the scope, and hands an authenticated request to go-oauth2's manager. The manager does the
// grant through the three interfaces in grant.go: it asks our client store for the client, our generator
// for a token, which is signed there, and our token store to keep it (round trip 2).
//
// go-oauth2's server package is not used: it authenticates last, reads credentials from the query, and
// answers 401 where RFC 6749 §5.2 asks for 400.
package oauth
