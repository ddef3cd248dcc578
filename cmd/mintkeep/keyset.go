package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// readKeySet reads public keys from a file, or from the standard input, and returns them as a JWK set. What may be
// registered is for the server to say; but a private key does not even get there.
func readKeySet(p process, path string) (json.RawMessage, error) {
	in := p.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, pathError(path, err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return nil, pathError(path, err)
	}
	text = bytes.TrimSpace(text)
	set, err := pemKeySet(text)
	if bytes.HasPrefix(text, []byte("{")) {
		set, err = jsonKeySet(text)
	}
	if err != nil {
		return nil, pathError(path, err)
	}
	return set, nil
}

// privateMembers are those of a JWK that no other may know (RFC 7518 §6, RFC 8037 §2, RFC 9964).
var privateMembers = []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"}

// jsonKeySet is a JWK set as it is, or a single JWK as a set (RFC 7517 §4, §5).
func jsonKeySet(text []byte) (json.RawMessage, error) {
	var single map[string]json.RawMessage
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(text, &single) != nil || json.Unmarshal(text, &set) != nil {
		return nil, errors.New("it is not a JWK set")
	}
	if set.Keys == nil && single["kty"] != nil {
		set.Keys = append(set.Keys, single)
		text = fmt.Appendf(nil, `{"keys":[%s]}`, text)
	}
	for _, key := range set.Keys {
		for _, member := range privateMembers {
			if key[member] != nil {
				return nil, fmt.Errorf("a key has the private member %q: give the public half alone", member)
			}
		}
	}
	return text, nil
}

// pemKeySet is a set of the public keys in a PEM file, as openssl pkey -pubout writes them.
func pemKeySet(text []byte) (json.RawMessage, error) {
	var set jose.JSONWebKeySet
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, errors.New("it has a private key: give the public half alone, as openssl pkey -pubout writes it")
		}
		if block.Type == "CERTIFICATE" {
			return nil, errors.New("it has a certificate: give its public key alone, as openssl x509 -pubkey -noout writes it")
		}
		if block.Type != "PUBLIC KEY" {
			continue
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, errors.New("it is not a valid public key")
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: public, Use: "sig"})
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("it is neither a JWK set nor public keys in PEM")
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, errors.New("the type of a key is not supported")
	}
	return text, nil
}
