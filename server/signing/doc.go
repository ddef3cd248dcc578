// Package signing keeps the keys that sign access tokens: it creates them, seals them, shares them
// between replicas, publishes their public parts and rotates them.
//
// The keys are one record in the store, the ring. At any time it holds one key that is active and
// signs, one that is next and only published, and the retired ones, which are published until the last
// token that they signed has expired:
//
//	created ──▶ next ── rotation ──▶ active ── rotation ──▶ retired ── longest TokenTTLMax + 5 min ──▶ removed
//	           └──── compromised ───────┴───── compromised ─────▶ removed at once
//
// TokenTTLMax may differ from replica to replica while it is changed. So the record of the active key has the longest one: a
// replica whose own is longer raises it before it signs with the key. If Redis takes no writes, it serves all the same and raises
// it within 10 s after Redis takes them again. Another replica that rotates in these 10 s keeps the key by the shorter lifetime.
//
// A resource server may hold a JWKS for its max-age, so a key is published well before it signs: every
// replica has read a new key 30 s after it was created, and it can be promoted 10 minutes after that. Only
// the rotation of compromised keys does not wait: it creates the key that signs from then on, because an attacker who has
// the active key has the next one too.
//
// No replica leads. Each reads the ring every 10 s and changes it by compare and set, so that of
// two that rotate at once one wins: the other accepts what it finds, or, if an operator asked for
// the rotation, reports the conflict. The replica that promotes a key creates the next one in the same write.
//
// Private keys are PKCS#8 (RFC 5958), sealed with AES-256-GCM under the master key and bound to their
// "kid". The first master key of the list seals and all of them open. So a new one comes in
// behind the old one on every replica, and only then moves to the front; after [Reseal] the old one is no longer
// needed. Retiring a key erases its private part.
//
// Ring.Sign is on the path of every token: everything that does not change from one token to the next
// is prepared when the ring is read, and one atomic pointer hands it over.
package signing
