// Package credential is the format of the strings that Mintkeep issues to be kept secret: API keys, client secrets and
// opaque access tokens.
//
//	mk_  40 random base62 characters  6 base62 characters of CRC-32 over all before them
//
// The prefix (mk, by MINTKEEP_KEY_PREFIX) and the letter behind it (s for a secret, t for a token, none for a key) tell a
// reader, and a scanner, what was found. The underscore keeps a double click together. By the checksum anyone can reject
// junk without asking the store. 40 characters of base62 are 238 bits: they cannot be guessed, and need no slow hash.
package credential
