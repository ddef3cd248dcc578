// Package api is what the holders of credentials call: who am I, and a person's own keys, for scripts.
//
// It is a protected resource of Mintkeep's own (RFC 9728): credentials come in the Authorization header alone,
// and a refusal names the metadata that says so. Whoever holds any live credential learns who they are; the
// keys of a person open to an API key of theirs that has the scope mintkeep:keys, and to nothing else.
package api
