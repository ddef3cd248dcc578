package main

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/jwks"
)

// clientKey is the private key of a client.
type clientKey struct {
	path      string
	private   crypto.Signer
	algorithm string // that it signs with
	id        string // kid: that of the JWK, else the thumbprint
}

// maxKeyFile is more than any key takes.
const maxKeyFile = 64 << 10

// readClientKey reads a private key that only its owner can read. algorithm is what the user asks for; empty: that of the
// JWK, else of the key's type. An error never has anything of the file's content.
func readClientKey(path, algorithm string) (*clientKey, error) {
	text, mode, err := readPrivate(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	key, err := parsePrivate(text)
	switch {
	case mode&0o077 != 0 && !errors.Is(err, errPublicOnly): // which everyone may read, and is the wrong file
		return nil, pathError(path, fmt.Errorf("other users of this machine have access to the private key (mode %04o): run chmod 600 %s", mode, shellWord(path)))
	case err != nil:
		return nil, pathError(path, err)
	}
	key.path = path
	public, err := jwks.NewKey(key.private.Public())
	if err != nil {
		return nil, pathError(path, errors.New("the key must be EC P-256, Ed25519, or RSA of 2048 to 8192 bits"))
	}
	fitting := public.Algorithms()
	if key.algorithm != "" && algorithm != "" && key.algorithm != algorithm {
		return nil, pathError(path, fmt.Errorf("the JWK is for %s, not for %s", key.algorithm, algorithm))
	}
	for _, wanted := range []string{algorithm, key.algorithm, fitting[0]} {
		if wanted == "" {
			continue
		}
		if !slices.Contains(fitting, wanted) {
			return nil, pathError(path, fmt.Errorf("the key is for %s, not for %s", strings.Join(fitting, " or "), wanted))
		}
		key.algorithm = wanted
		break
	}
	key.id = cmp.Or(key.id, public.Thumbprint)
	return key, nil
}

// readPrivate reads a file, and who may read or change it.
func readPrivate(path string) (text []byte, mode fs.FileMode, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, err
	case info.IsDir():
		return nil, 0, errors.New("is a directory")
	}
	text, err = io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(text) > maxKeyFile {
		err = errors.New("larger than 64 KiB")
	}
	return text, info.Mode().Perm(), err
}

// pathError names the file, unless the name is the key itself in the place of a path.
func pathError(path string, err error) error {
	var inPath *fs.PathError
	if errors.As(err, &inPath) {
		err = inPath.Err
	}
	if strings.ContainsAny(path, "\n{") || strings.Contains(path, "-----") {
		return fmt.Errorf("%w (the value is the path of a file, not its content)", err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

func parsePrivate(text []byte) (*clientKey, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, errors.New("the file is empty")
	case text[0] == '{':
		return parseJWK(text)
	}
	return parsePEM(text)
}

// parseJWK reads a JWK, or a set of one (RFC 7517 §4, §5).
func parseJWK(text []byte) (*clientKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("the JWK is not valid JSON")
	}
	switch {
	case len(set.Keys) == 1:
		text = set.Keys[0]
	case len(set.Keys) > 1:
		return nil, fmt.Errorf("the set has %d keys: give a file with one", len(set.Keys))
	}
	var jwk jose.JSONWebKey
	err := jwk.UnmarshalJSON(text)
	_, symmetric := jwk.Key.([]byte)
	switch {
	case err == nil && symmetric:
		return nil, errors.New("the JWK is a symmetric key: a client needs a key pair")
	case err != nil, !jwk.Valid():
		return nil, errors.New("it is not a valid JWK")
	case jwk.Use != "" && jwk.Use != "sig":
		return nil, errors.New("the JWK is not for signatures: its use is not sig")
	}
	private, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return nil, errPublicOnly
	}
	return &clientKey{private: private, algorithm: jwk.Algorithm, id: jwk.KeyID}, nil
}

var errPublicOnly = errors.New("it has only the public half of the key: give the private half")

// parsePEM reads the one private key of a PEM file. openssl writes the parameters of a curve before a key.
func parsePEM(text []byte) (*clientKey, error) {
	var found *clientKey
	public := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if public = public || strings.HasSuffix(block.Type, "PUBLIC KEY") || block.Type == "CERTIFICATE"; !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if found != nil {
			return nil, errors.New("it has more than one private key")
		}
		private, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		found = &clientKey{private: private}
	}
	switch {
	case found != nil:
		return found, nil
	case public:
		return nil, errPublicOnly
	}
	return nil, errors.New("it is neither PEM nor a JWK")
}

func parseBlock(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" { // RFC 7468 §11, RFC 1421 §4.6.1.3
		return nil, errors.New("the key is encrypted: write it without a password, with openssl pkey -in OLD -out NEW")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("the type %q is not supported: convert the key to PKCS 8", block.Type)
	}
	private, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("it is not a valid %q", block.Type)
	}
	return private, nil
}
