package assertion

import (
	"encoding/base64"
	"strings"
	"time"
)

// MaxSize is the longest assertion, in bytes.
const MaxSize = 16 << 10

// Assertion is a JWT as it was presented. Trust nothing in it until Check and Signer have accepted it.
type Assertion struct {
	Algorithm       string // alg; empty if it has none
	KeyID           string // kid, likewise
	Issuer, Subject string // likewise
	ID              string // jti, set by Check

	// Created and Expires are set by Check. Created is iat, or without it the earliest time that exp allows. From Expires on
	// the assertion is rejected; the allowance for clocks is included.
	Created, Expires time.Time

	malformed bool
	header    header
	claims    claims
	signed    string // what the signature is of
	signature []byte

	verifications int // of the signature, so far
}

// header has the members that are read, as they stand in the JSON; empty: absent (RFC 7515 §4.1). The others are not read:
// jwk, jku, x5c and x5u name keys of the sender's choice.
type header struct{ typ, kid, crit, b64 string }

// claims are those of RFC 7519 §4.1, likewise.
type claims struct{ aud, exp, iat, nbf, jti string }

// Parse reads an assertion in the compact form (RFC 7515 §7.1). A text that is none yields an Assertion too, which Check
// rejects.
func Parse(compact string) *Assertion {
	a := &Assertion{}
	a.malformed = !a.parse(compact)
	return a
}

func (a *Assertion) parse(compact string) bool {
	last := strings.LastIndexByte(compact, '.')
	if last < 0 || len(compact) > MaxSize {
		return false
	}
	if strings.IndexByte(compact, '\r') >= 0 || strings.IndexByte(compact, '\n') >= 0 { // which package base64 ignores
		return false
	}
	a.signed = compact[:last]
	head, payload, ok := strings.Cut(a.signed, ".")
	if !ok || strings.IndexByte(payload, '.') >= 0 {
		return false
	}
	if a.signature, ok = decode(compact[last+1:]); !ok {
		return false
	}
	var alg, iss, sub string
	ok = members(head, func(name, value string) {
		switch name {
		case "alg":
			alg = value
		case "typ":
			a.header.typ = value
		case "kid":
			a.header.kid = value
		case "crit":
			a.header.crit = value
		case "b64":
			a.header.b64 = value
		}
	}) && members(payload, func(name, value string) {
		switch name {
		case "iss":
			iss = value
		case "sub":
			sub = value
		case "aud":
			a.claims.aud = value
		case "exp":
			a.claims.exp = value
		case "iat":
			a.claims.iat = value
		case "nbf":
			a.claims.nbf = value
		case "jti":
			a.claims.jti = value
		}
	})
	a.Algorithm, _ = text(alg)
	a.KeyID, _ = text(a.header.kid)
	a.Issuer, _ = text(iss)
	a.Subject, _ = text(sub)
	// RFC 7515 §4.1.11: an extension that is not understood rejects the whole; none is understood here.
	return ok && a.header.crit == "" && a.header.b64 == ""
}

func decode(encoded string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return b, err == nil
}
