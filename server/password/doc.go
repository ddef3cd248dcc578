// Package password keeps passwords: which are allowed, and how one is stored and compared.
//
// A password is the one secret that its user chooses, so it alone gets a slow hash: argon2id (RFC 9106), with the memory
// and the passes of OWASP's minimum. The hash is a PHC string, which contains its cost, so that the cost can be raised
// later. The string is sealed under the master key and bound to its user. A copy of Redis without the master key has
// nothing to try passwords on.
//
// Each hash takes 19 MiB and a processor for some tens of milliseconds. So a [Hasher] runs few at once, and the others
// queue for as long as their context lets them: many sign-ins at once cost waiting, and not the memory that tokens need.
// Limits on failures stand in front of this package, not in it.
//
// Which passwords are allowed follows NIST SP 800-63B-4 §3.1.1.2: length, and none of the common ones. See [Check].
package password
