// Package api is what callers with a credential of their own use: who am I, and a user's own keys, for scripts.
//
// It is a protected resource of Mintkeep's own (RFC 9728): credentials come in the Authorization header alone, and a
// rejection names the metadata that says so. Every active credential may ask who it is. The keys of a user are open to an
// API key of that user with the scope mintkeep:keys, and to nothing else.
//
// A [Handler] is given the principal by the guard of its route, [API.Anyone] or [API.KeyOwner].
package api
