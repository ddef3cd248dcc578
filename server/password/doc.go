// Package password hashes and compares the passwords of users, and decides which may be chosen.
//
// A password is the one secret that a user chooses, so it alone gets a slow hash: argon2id (RFC 9106), with the
// minimum of memory and passes that OWASP names. The hash is a PHC string, which has its cost in it, so that the
// cost can be raised later. The string is sealed under the master key and bound to its user: with a copy of Redis
// and no master key, passwords cannot be guessed offline.
//
// Each hash takes 19 MiB and a processor for some tens of milliseconds. So a [Hasher] runs few at once, and the
// others wait as long as their context allows: many sign-ins at once are slow, but take no memory and processors
// from the token endpoints. The limits on failures are in front of this package.
//
// Which passwords may be chosen follows NIST SP 800-63B-4 §3.1.1.2: a minimum length, and none of the common ones.
// See [Check].
package password
