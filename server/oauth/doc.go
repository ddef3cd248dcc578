// Package oauth is the OAuth 2.0 side of Mintkeep: the token endpoint (RFC 6749 §4.4), introspection
// (RFC 7662), revocation (RFC 7009), metadata (RFC 8414) and the key set (RFC 7517).
//
// The token endpoint parses the request, authenticates the client (round trip 1), has the grant decided, and calls
// go-oauth2's manager with it. The manager does the grant through the three interfaces in manager.go: our client store
// returns the client, our generator creates the token and signs it, and our token store writes it (round trip 2).
//
// The client authentication methods are a list, [AuthMethods], one method a file: clientauth_*.go. The grants are another,
// grantTypes, one grant a file: grant_*.go. The metadata, the registration of clients, the CLI's help and the dashboard
// have the names from these lists; openapi.yaml and README.md are tested against them.
//
// go-oauth2's server package is not used: it authenticates last, reads credentials from the query, and
// answers 401 where RFC 6749 §5.2 asks for 400.
package oauth
