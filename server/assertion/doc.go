// Package assertion reads and judges the JWTs by which clients authenticate (RFC 7523 §2.2). A client creates one, signs it
// with a private key that only it has, and sends it once.
//
//	a := assertion.Parse(text)
//	reason := a.Check(rules, now)      // all that needs no key
//	key, reason := a.Signer(keys)      // the key that has signed it
//
// A rejection has a [Reason], for the audit log alone. It costs one verification of the signature, whatever the reason:
// where there is no key to verify with, [Assertion.Decoy] does the same work. So the time of an answer does not say whether a
// client exists, or what is wrong.
//
// The parser is not that of package go-jose, which also reads the keys and certificates that a header brings along: they are
// never to be read here (RFC 8725 §3.10). It costs a tenth of a verification, and each request with an assertion pays it.
package assertion
