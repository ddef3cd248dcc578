// Package jwks reads the public keys of others (RFC 7517): the set that a client is registered with, and the sets that
// Mintkeep fetches. Both yield a [Set] of keys that a signature is verified with.
//
// A registered set is an operator's: [ParseRegistered] is strict, and its error says which member to change. A fetched set
// is a stranger's, who may publish keys for other purposes beside those that are ours to use: [ParseFetched] skips what is
// not usable. Both accept the same keys: RSA of 2048 to 8192 bits, EC P-256 and Ed25519, the public half alone.
// [ReadPublic] turns what an operator has, such as PEM, into a set to register.
//
// No error has the value of a member: it may be a private key.
package jwks
