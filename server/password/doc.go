// Package password keeps people's passwords: which may be chosen, and how one is stored and compared.
//
// A password is the one secret here that a person thinks up, so it alone gets a slow hash: argon2id (RFC
// 9106), with the memory and the passes that OWASP names as the least. The hash is a PHC string, which has its
// cost in it, so that the cost can be raised later; and the string is sealed under the master key and bound to
// its owner. Who has a copy of Redis and no master key has nothing to try passwords on.
//
// Each hash takes 19 MiB and a processor for some tens of milliseconds. A [Hasher] therefore runs few at once and
// the others wait their turn, for as long as their context lets them: a crowd at the door costs patience and not
// the memory of the tokens' side. Limits on failures stand in front of this package, not in it.
//
// What may be chosen follows NIST SP 800-63B-4 §3.1.1.2: length, and not among those that everybody tries
// first. See [Check].
package password
