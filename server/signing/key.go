package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The algorithms of signing keys (RFC 7518 §3.1, RFC 8037 §3.1). RFC 9068 §2.1 requires
// RS256 of every authorization server.
const (
	es256 = "ES256"
	eddsa = "EdDSA"
	rs256 = "RS256"
)

// rsaBits is the minimum of RFC 7518 §3.3; more bits make every signature slower.
const rsaBits = 2048

var b64 = base64.RawURLEncoding

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case es256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case eddsa:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case rs256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, unknownAlgorithm(algorithm)
}

func unknownAlgorithm(algorithm string) error {
	return fmt.Errorf("signing algorithm %q is not %s, %s or %s", algorithm, es256, eddsa, rs256)
}

// algorithmOf is the algorithm of a public key; empty if it is none of ours.
func algorithmOf(public crypto.PublicKey) string {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			return es256
		}
	case ed25519.PublicKey:
		return eddsa
	case *rsa.PublicKey:
		if public.N.BitLen() >= rsaBits {
			return rs256
		}
	}
	return ""
}

// signer signs access tokens with one private key.
type signer struct {
	// prefix is the encoded header and the dot behind it: the same for every token.
	prefix []byte
	// size is the length of a signature.
	size int
	sign func(input []byte) ([]byte, error)
}

func newSigner(id string, pair crypto.Signer) (*signer, error) {
	algorithm := algorithmOf(pair.Public())
	if algorithm == "" {
		return nil, fmt.Errorf("a key of type %T cannot sign tokens", pair)
	}
	s := &signer{}
	switch private := pair.(type) {
	case *ecdsa.PrivateKey:
		s.size = 2 * p256Bytes
		s.sign = func(input []byte) ([]byte, error) { return signES256(private, input) }
	case ed25519.PrivateKey:
		s.size = ed25519.SignatureSize
		s.sign = func(input []byte) ([]byte, error) { return ed25519.Sign(private, input), nil }
	case *rsa.PrivateKey:
		s.size = private.Size()
		s.sign = func(input []byte) ([]byte, error) {
			digest := sha256.Sum256(input)
			return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
		}
	}
	// RFC 9068 §2.1: the type tells an access token from every other JWT.
	header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, algorithm, id)
	s.prefix = append(b64.AppendEncode(nil, []byte(header)), '.')
	return s, nil
}

// token makes the compact serialisation of RFC 7515 §7.1 in one buffer.
func (s *signer) token(claims []byte) (string, error) {
	buf := make([]byte, 0, len(s.prefix)+b64.EncodedLen(len(claims))+1+b64.EncodedLen(s.size))
	buf = append(buf, s.prefix...)
	buf = b64.AppendEncode(buf, claims)
	signature, err := s.sign(buf)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	buf = append(buf, '.')
	return string(b64.AppendEncode(buf, signature)), nil
}

const p256Bytes = 32

// signES256 gives the r||s of RFC 7518 §3.4: two integers of fixed length, where the standard library
// gives ASN.1.
func signES256(private *ecdsa.PrivateKey, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	der, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
	if err != nil {
		return nil, err
	}
	return fixedLength(der)
}

func fixedLength(der []byte) ([]byte, error) {
	var pair cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1Integer(&r) || !pair.ReadASN1Integer(&s) ||
		len(r) > p256Bytes || len(s) > p256Bytes {
		return nil, errors.New("the signature is no pair of P-256 integers")
	}
	signature := make([]byte, 2*p256Bytes)
	copy(signature[p256Bytes-len(r):], r)
	copy(signature[2*p256Bytes-len(s):], s)
	return signature, nil
}
