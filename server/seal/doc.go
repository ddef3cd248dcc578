// Package seal encrypts what must not be readable in Redis: private signing keys and password hashes.
//
// A sealed text is AES-256-GCM under a master key, with a random nonce of 96 bits in front. It is bound to
// a context, the name of what it belongs to, and opens with that alone: a record that is moved to another
// place does not open there. Each kind of secret has contexts of its own.
//
// There is a list of master keys. The first seals and all open, so that a new one is introduced without an
// outage: first behind the old one on every replica, and then in front. [Vault.Stale] tells what is still
// sealed under an old one, and [Vault.Reseal] moves it.
package seal
