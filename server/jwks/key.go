package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Algorithms are those of the signatures that Mintkeep accepts (RFC 7518 §3.1, RFC 8037 §3.1), the preferred ones first.
var Algorithms = []string{es256, eddsa, ps256, rs256}

const (
	es256 = "ES256"
	eddsa = "EdDSA"
	ps256 = "PS256"
	rs256 = "RS256"
)

const (
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192 // a verification takes 16 times that of 2048 bits
	p256Bytes  = 32
	maxID      = 256 // characters
)

// Key is one public key.
type Key struct {
	ID         string           // kid; a registered key always has one: the thumbprint, where it came without
	Thumbprint string           // RFC 7638, SHA-256, base64url without padding
	Algorithm  string           // the key's own alg; empty: each that fits its type
	Public     crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey (P-256) or ed25519.PublicKey
}

// Algorithms are those of the signatures that the key may verify (RFC 8725 §3.1), the preferred one first: its own alg, or
// those of its type.
func (k *Key) Algorithms() []string {
	if k.Algorithm != "" {
		return []string{k.Algorithm}
	}
	return algorithmsOf(k.Public)
}

// Fits is whether the key may verify a signature of this algorithm.
func (k *Key) Fits(alg string) bool { return slices.Contains(k.Algorithms(), alg) }

func algorithmsOf(public crypto.PublicKey) []string {
	switch public.(type) {
	case *ecdsa.PublicKey:
		return Algorithms[:1]
	case ed25519.PublicKey:
		return Algorithms[1:2]
	case *rsa.PublicKey:
		return Algorithms[2:]
	}
	return nil
}

// private are the members of private and of symmetric keys (RFC 7518 §6, RFC 8037 §2, RFC 9964).
var private = []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"}

func (m members) rejectPrivate() error {
	for _, name := range private {
		if m.has(name) {
			return fmt.Errorf("%s belongs to a private or symmetric key; send the public key alone", name)
		}
	}
	return nil
}

// parseKey reads one JWK, or says which member is wrong. Members that it does not know are ignored (RFC 7517 §4).
func parseKey(m members) (k Key, err error) {
	if err := m.rejectPrivate(); err != nil {
		return k, err
	}
	if k.Public, err = publicKey(m); err != nil {
		return k, err
	}
	if err := checkUse(m); err != nil {
		return k, err
	}
	if k.Algorithm, err = m.text("alg"); err != nil {
		return k, err
	}
	if fitting := algorithmsOf(k.Public); k.Algorithm != "" && !slices.Contains(fitting, k.Algorithm) {
		return k, errors.New("alg must be " + strings.Join(fitting, " or ") + " for a key of this type, or absent")
	}
	if k.ID, err = keyID(m); err != nil {
		return k, err
	}
	if k.Thumbprint, err = Thumbprint(k.Public); err != nil { // a point of small order, under which anyone can sign
		return k, errors.New("x is not an Ed25519 public key")
	}
	return k, nil
}

// checkUse rejects a key for another purpose than signatures (RFC 7517 §4.2, §4.3).
func checkUse(m members) error {
	use, err := m.text("use")
	if err != nil {
		return err
	}
	if use != "" && use != "sig" {
		return errors.New("use must be sig, or absent")
	}
	if !m.has("key_ops") {
		return nil
	}
	var operations []string
	if !m.decode("key_ops", &operations) || !slices.Contains(operations, "verify") {
		return errors.New("key_ops must be an array with verify, or absent")
	}
	return nil
}

// keyID reads the kid. It may be printed on a terminal, so it has no control characters.
func keyID(m members) (string, error) {
	if !m.has("kid") {
		return "", nil
	}
	var id string
	if !m.decode("kid", &id) || id == "" || utf8.RuneCountInString(id) > maxID || strings.ContainsFunc(id, unprintable) {
		return "", fmt.Errorf("kid must be a string of 1 to %d printable characters", maxID)
	}
	return id, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// publicKey reads the members that make the key (RFC 7518 §6.2, §6.3; RFC 8037 §2).
func publicKey(m members) (crypto.PublicKey, error) {
	kty, err := m.text("kty")
	if err != nil {
		return nil, err
	}
	crv, err := m.text("crv")
	if err != nil {
		return nil, err
	}
	switch {
	case kty == "RSA":
		return rsaKey(m)
	case kty == "EC" && crv == "P-256":
		return p256Key(m)
	case kty == "EC":
		return nil, errors.New("crv must be P-256 for a key of kty EC")
	case kty == "OKP" && crv == "Ed25519":
		return ed25519Key(m)
	case kty == "OKP":
		return nil, errors.New("crv must be Ed25519 for a key of kty OKP")
	}
	return nil, errors.New("kty must be RSA, EC or OKP")
}

func rsaKey(m members) (crypto.PublicKey, error) {
	n, err := m.bytes("n")
	if err != nil {
		return nil, err
	}
	e, err := m.bytes("e")
	if err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch {
	case modulus.BitLen() < minRSABits || modulus.BitLen() > maxRSABits:
		return nil, fmt.Errorf("n must have %d to %d bits", minRSABits, maxRSABits)
	case modulus.Bit(0) == 0:
		return nil, errors.New("n is not an RSA modulus: it is even")
	case exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0: // 31 bits: more than crypto/rsa verifies with
		return nil, fmt.Errorf("e must be an odd number from 3 to %d", math.MaxInt32)
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func p256Key(m members) (crypto.PublicKey, error) {
	point := []byte{4} // the uncompressed form of SEC 1 §2.3.3
	for _, name := range []string{"x", "y"} {
		coordinate, err := m.bytes(name)
		if err != nil {
			return nil, err
		}
		if len(coordinate) != p256Bytes { // RFC 7518 §6.2.1.2
			return nil, fmt.Errorf("%s must have %d bytes", name, p256Bytes)
		}
		point = append(point, coordinate...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errors.New("x and y are not a point of P-256")
	}
	return public, nil
}

func ed25519Key(m members) (crypto.PublicKey, error) {
	x, err := m.bytes("x")
	if err != nil {
		return nil, err
	}
	if len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("x must have %d bytes", ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}
