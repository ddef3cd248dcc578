// Package credential has the format of the secret strings that Mintkeep creates: API keys, client
// secrets and opaque access tokens.
//
//	mk_  40 random base62 characters  6 base62 characters of CRC-32 over all before them
//
// The brand in front (mk, by MINTKEEP_KEY_PREFIX) and the letter behind it (s for a secret, t for a
// token, none for a key) tell a reader, and a scanner, what was found. With the underscore a double
// click selects all. By the checksum junk is rejected without a query to the store. 40 characters of
// base62 are 238 bits: they cannot be guessed, and need no slow hash.
package credential
