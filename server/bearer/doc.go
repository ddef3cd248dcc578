// Package bearer finds out what a presented credential is worth: an access token, signed or opaque, or an API
// key.
//
// Nothing of what is presented is believed. It is looked up by its digest ([Verifier.Look] drops beforehand
// what cannot be one of ours), and its record says which generation of which owner it belongs to; the owner,
// a client or a person, is read next, and must be there, enabled, and in that generation. So every answer
// costs at most two round trips and no signature check, and an end of the credential or of its owner holds
// from the moment on that it was written.
//
// A [Door] is one of Mintkeep's own protected resources (/admin, /api): it takes the credential from the
// header, lets its [Holder] in, and words the challenges of RFC 6750 §3.
package bearer
