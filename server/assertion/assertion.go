package assertion

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	strict "github.com/go-jose/go-jose/v4/json"
)

// MaxSize is the longest assertion, in bytes.
const MaxSize = 16 << 10

// Assertion is a JWT as it was presented. Nothing of it is to be believed before Check and Signer have accepted it.
type Assertion struct {
	Algorithm       string // alg; empty if it has none
	KeyID           string // kid, likewise
	Issuer, Subject string // likewise
	ID              string // jti, set by Check

	// Created and Expires are set by Check: when the assertion was created, and from when on it is not accepted any more,
	// the allowance for clocks included.
	Created, Expires time.Time

	malformed bool
	header    header
	claims    claims
	signed    string // what the signature is of
	signature []byte
}

// header has the members that are read (RFC 7515 §4.1). The others are not: jwk, jku, x5c and x5u name keys of the
// sender's choice.
type header struct {
	Algorithm strict.RawMessage `json:"alg"`
	Type      strict.RawMessage `json:"typ"`
	KeyID     strict.RawMessage `json:"kid"`
	Critical  strict.RawMessage `json:"crit"`
	Unencoded strict.RawMessage `json:"b64"`
}

type claims struct {
	Issuer    strict.RawMessage `json:"iss"`
	Subject   strict.RawMessage `json:"sub"`
	Audience  strict.RawMessage `json:"aud"`
	Expires   strict.RawMessage `json:"exp"`
	IssuedAt  strict.RawMessage `json:"iat"`
	NotBefore strict.RawMessage `json:"nbf"`
	ID        strict.RawMessage `json:"jti"`
}

// Parse reads an assertion in the compact serialization (RFC 7515 §7.1). What is not one is an Assertion too, which Check
// rejects.
func Parse(compact string) *Assertion {
	a := &Assertion{}
	a.malformed = !a.parse(compact)
	return a
}

func (a *Assertion) parse(compact string) bool {
	last := strings.LastIndexByte(compact, '.')
	if last < 0 || len(compact) > MaxSize || strings.ContainsAny(compact, "\r\n") { // which package base64 ignores
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
	if !object(head, &a.header) || !object(payload, &a.claims) {
		return false
	}
	// RFC 7515 §4.1.11: an extension that is not understood rejects the whole; none is understood here.
	if a.header.Critical != nil || a.header.Unencoded != nil {
		return false
	}
	a.Algorithm, _ = text(a.header.Algorithm)
	a.KeyID, _ = text(a.header.KeyID)
	a.Issuer, _ = text(a.claims.Issuer)
	a.Subject, _ = text(a.claims.Subject)
	return true
}

func decode(encoded string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return b, err == nil
}

// object reads a JSON object by the exact names of its members. One that has a member twice is rejected, because two readers
// may take different ones (RFC 7515 §4, RFC 7519 §4).
func object(encoded string, v any) bool {
	raw, ok := decode(encoded)
	if !ok || !utf8.Valid(raw) || strict.Unmarshal(raw, v) != nil {
		return false
	}
	return bytes.TrimLeft(raw, " \t\r\n")[0] == '{' // and not null, which is decoded into any struct
}

// text is a member that is a string.
func text(raw []byte) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	return s, json.Unmarshal(raw, &s) == nil
}
