// Package oauth is the OAuth 2.0 side of Mintkeep: the token endpoint (RFC 6749 §4.4), introspection
// (RFC 7662), revocation (RFC 7009), metadata (RFC 8414) and the key set (RFC 7517).
//
// The token endpoint parses the request, authenticates the client (round trip 1), lets the grant check resource and
// scope, and hands the decided grant to go-oauth2's manager. The manager goes through the three interfaces in
// manager.go: it asks our client store for the client, our generator for a token, which is signed there, and our token
// store to save it (round trip 2).
//
// Client authentication methods and grants are lists: each method is a file, clientauth_*.go, and each grant is one,
// grant_*.go. Metadata, registration and the CLI's help come from the lists; openapi.yaml and README.md are tested against
// them.
//
// go-oauth2's server package is not used: it authenticates last, reads credentials from the query, and
// answers 401 where RFC 6749 §5.2 asks for 400.
package oauth
