package assertion

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// maxTried is how many keys of one kid are tried. A set of the client's own has one.
const maxTried = 4

// Signer returns the key of the set that has signed the assertion. If the assertion names no key, exactly one must fit. A
// rejection costs one verification, like every other; it costs up to four if several keys have the kid.
func (a *Assertion) Signer(keys *jwks.Set) (*jwks.Key, Reason) {
	var found []*jwks.Key
	if a.header.kid == "" || a.KeyID != "" { // a kid that is empty, or no string, names no key
		found = keys.Find(a.Algorithm, a.KeyID)
	}
	switch {
	case len(found) == 0:
		a.Decoy()
		return nil, a.missing(keys)
	case len(found) > 1 && a.KeyID == "", len(found) > maxTried:
		a.Decoy()
		return nil, KeyAmbiguous
	}
	for _, key := range found {
		if a.verify(key.Public) {
			return key, ""
		}
	}
	return nil, Signature
}

// missing is why no key fits.
func (a *Assertion) missing(keys *jwks.Set) Reason {
	for i := range keys.Keys {
		if k := &keys.Keys[i]; (a.header.kid == "" || k.ID == a.KeyID) && !k.Fits(a.Algorithm) {
			return Algorithm
		}
	}
	return KeyUnknown
}

// Verifications is how often the signature was verified, by whatever key: a test holds every outcome to one.
func (a *Assertion) Verifications() int { return a.verifications }

// verify is whether public has signed the assertion by its algorithm, which the caller has found to fit (RFC 7518 §3.3 to
// §3.5, RFC 8037 §3.1).
func (a *Assertion) verify(public crypto.PublicKey) bool {
	a.verifications++
	switch public := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, []byte(a.signed), a.signature)
	case *ecdsa.PublicKey:
		if len(a.signature) != 2*p256Bytes {
			return false
		}
		digest := sha256.Sum256([]byte(a.signed))
		return ecdsa.VerifyASN1(public, digest[:], asn1Signature(a.signature))
	case *rsa.PublicKey:
		return a.verifyRSA(public)
	}
	return false
}

func (a *Assertion) verifyRSA(public *rsa.PublicKey) bool {
	public, signature, possible := verifiable(public, a.signature)
	digest := sha256.Sum256([]byte(a.signed))
	var err error
	if a.Algorithm == "PS256" {
		salted := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		err = rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, salted)
	} else {
		err = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature)
	}
	return possible && err == nil
}

// verifiable is what crypto/rsa verifies with work. A signature of another length than the modulus, or not below it, it would
// reject at a glance, and the time would tell of the key: there a decoy takes its place. possible is false then.
func verifiable(public *rsa.PublicKey, signature []byte) (_ *rsa.PublicKey, _ []byte, possible bool) {
	if len(signature) == public.Size() && new(big.Int).SetBytes(signature).Cmp(public.N) < 0 {
		return public, signature, true
	}
	return decoyRSA, decoySignature, false
}

const p256Bytes = 32

// asn1Signature is an ES256 signature of a JWS, r and s of 32 bytes each (RFC 7518 §3.4), as crypto/ecdsa reads one: a SEQUENCE of
// two INTEGERs (RFC 3279 §2.2.3). ecdsa.Verify comes to the same by way of big numbers, which takes longer.
func asn1Signature(signature []byte) []byte {
	const sequence, most = 0x30, 2 + 2*(2+1+p256Bytes)
	encoded := append(make([]byte, 0, most), sequence, 0)
	encoded = appendInteger(encoded, signature[:p256Bytes])
	encoded = appendInteger(encoded, signature[p256Bytes:])
	encoded[1] = byte(len(encoded) - 2)
	return encoded
}

// appendInteger encodes a number that is not negative in the fewest bytes, as DER has it (X.690 §8.3).
func appendInteger(encoded, number []byte) []byte {
	const integer = 2
	for len(number) > 1 && number[0] == 0 {
		number = number[1:]
	}
	encoded = append(encoded, integer, byte(len(number)))
	if number[0] >= 0x80 { // it would be negative
		encoded[len(encoded)-1]++
		encoded = append(encoded, 0)
	}
	return append(encoded, number...)
}

// Decoy verifies the signature with a key that is of no client, and ignores the result: an assertion that is rejected for
// another reason costs the same.
func (a *Assertion) Decoy() {
	switch a.Algorithm {
	case "EdDSA":
		_ = a.verify(decoyEd25519)
	case "PS256", "RS256":
		_ = a.verify(decoyRSA)
	default:
		_ = a.verify(decoyP256)
	}
}

// The decoys. Nothing depends on who knows the private halves: no result of theirs is used.
var (
	decoyP256    = p256Generator()
	decoyEd25519 = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	decoyRSA     = &rsa.PublicKey{N: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)), E: 65537}

	decoySignature = bytes.Repeat([]byte{0x55}, 2048/8)
)

func p256Generator() *ecdsa.PublicKey {
	one := make([]byte, p256Bytes)
	one[p256Bytes-1] = 1
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), one)
	if err != nil {
		panic(err)
	}
	return &private.PublicKey
}
