// Package bearer finds out what a presented credential is worth: an access token, signed or opaque, or an API key.
//
// Nothing of what is presented is believed. [Verifier.Parse] rejects what cannot be an active one of ours. [Verifier.Resolve]
// looks the rest up by its digest: the record says which generation of which owner it belongs to. The owner, a client or a
// user, is read next, and must exist, be enabled, and be in that generation. So every answer costs at most two round
// trips and no signature check, and a revocation of the credential or of its owner holds as soon as it is written.
// A revocation begins with [ParseShape]: it must not depend on the clock or the issuer of one replica.
//
// A [ProtectedResource] is one of Mintkeep's own (/admin, /api): it takes the credential from the header, admits its
// [Principal], and words the challenges of RFC 6750 §3.
package bearer
