package dashboard

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

var errPasted = errors.New("must be a PEM public key, a JWK or a JWK set")

// pastedKeys reads public keys as an operator pastes them: PEM, a JWK (RFC 7517 §4), or a set of them. No error has a part
// of the text, which may be a private key. What a key must be is checked where it is registered.
func pastedKeys(text string) ([]json.RawMessage, error) {
	if strings.Contains(text, "-----BEGIN ") {
		return pemKeys([]byte(text))
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil || members == nil {
		return nil, errPasted
	}
	if _, isSet := members["keys"]; !isSet {
		return []json.RawMessage{json.RawMessage(text)}, nil
	}
	var keys []json.RawMessage
	if json.Unmarshal(members["keys"], &keys) != nil {
		return nil, errPasted
	}
	return keys, nil
}

// pemKeys reads each block of a PEM text (RFC 7468 §13).
func pemKeys(text []byte) (keys []json.RawMessage, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		var public any
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, errors.New("must not be a private key; openssl pkey -in key.pem -pubout prints the public one")
		case block.Type == "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case block.Type == "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(block.Bytes)
		default:
			return nil, errPasted
		}
		if err != nil {
			return nil, errors.New("has a PEM public key that cannot be read")
		}
		key, err := json.Marshal(jose.JSONWebKey{Key: public})
		if err != nil {
			return nil, errors.New("must be an RSA, EC P-256 or Ed25519 key")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errPasted
	}
	return keys, nil
}
