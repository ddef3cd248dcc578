// Package seal encrypts what must not be readable in Redis: private signing keys and password hashes.
//
// A sealed text is AES-256-GCM under a master key, with a random nonce of 96 bits in front. It is bound to a context, the
// name of what it belongs to, and opens with that alone: a record that was moved to another place is worth nothing there.
// A caller that seals two kinds of things makes the contexts of the kinds differ.
//
// There is a list of master keys. The first seals and all open. So a new one comes in without an outage: first
// behind the old one on every replica, and then in front. [Vault.Stale] says what the old one still seals, and
// [Vault.Reseal] moves it. A running server takes another list by [Vault.Replace].
package seal
