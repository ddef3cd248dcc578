// Package credential is the build of the strings that Mintkeep hands out to be kept secret: API
// keys, client secrets and opaque access tokens.
//
//	mk_  40 random base62 characters  6 base62 characters of CRC-32 over all before them
//
// The brand in front (mk, by MINTKEEP_KEY_PREFIX) and the letter behind it (s for a secret, t for a
// token, none for a key) tell a person, and a scanner, what was found. The underscore keeps a double
// click together. The checksum lets anybody refuse junk without asking the store. 40 characters of
// base62 are 238 bits: not to be guessed, and not in need of a slow hash.
package credential
