package jwks

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// NewKey is the key of a public key: without an ID, and for each algorithm that fits its type. The error names the member of
// its JWK for which it is not accepted.
func NewKey(public crypto.PublicKey) (Key, error) {
	raw, err := json.Marshal(jose.JSONWebKey{Key: public})
	if err != nil {
		return Key{}, errors.New("must be an RSA, EC P-256 or Ed25519 key")
	}
	m, err := readMembers(raw)
	if err != nil {
		return Key{}, err
	}
	return parseKey(m)
}

// Thumbprint names a public key (RFC 7638): SHA-256, in base64url without padding.
func Thumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

var errNotPublic = errors.New("must be public keys in PEM, a JWK or a JWK set")

// ReadPublic reads public keys in the forms that users have: PEM (RFC 7468 §13, or PKCS 1), a JWK, or a set of JWKs (RFC 7517
// §4, §5). It returns them as a set, which [ParseRegistered] checks. A private key is an error, so that a caller that sends
// the set elsewhere does not send that. No error has a part of the text.
func ReadPublic(text []byte) (json.RawMessage, error) {
	text = bytes.TrimSpace(text)
	var keys []json.RawMessage
	var err error
	if bytes.HasPrefix(text, []byte("{")) {
		keys, err = publicJWKs(text)
	} else {
		keys, err = publicPEM(text)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Keys []json.RawMessage `json:"keys"`
	}{keys})
}

func publicJWKs(text []byte) ([]json.RawMessage, error) {
	m, err := readMembers(text)
	if err != nil {
		return nil, errNotPublic
	}
	keys := []json.RawMessage{text}
	if m.has("keys") && !m.decode("keys", &keys) {
		return nil, errNotPublic
	}
	for i, raw := range keys {
		key, err := readMembers(raw)
		if err == nil {
			err = key.rejectPrivate()
		}
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
	}
	return keys, nil
}

func publicPEM(text []byte) (keys []json.RawMessage, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var public crypto.PublicKey
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, errors.New("must not have a private key; openssl pkey -in key.pem -pubout prints the public one")
		case block.Type == "CERTIFICATE":
			return nil, errors.New("must not have a certificate; openssl x509 -in cert.pem -pubkey -noout prints its public key")
		case block.Type == "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case block.Type == "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(block.Bytes)
		default:
			return nil, errNotPublic
		}
		if err != nil {
			return nil, errors.New("has a public key in PEM that cannot be read")
		}
		key, err := json.Marshal(jose.JSONWebKey{Key: public, Use: "sig"})
		if err != nil {
			return nil, errors.New("must be RSA, EC P-256 or Ed25519 keys")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errNotPublic
	}
	return keys, nil
}
