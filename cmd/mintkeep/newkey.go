package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/store"
)

// newClientKey creates an ES256 key in a new file that only its owner can read, and returns its public half. When it
// returns, the private half is on the disk.
func newClientKey(path string) (*jose.JSONWebKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := jwks.Thumbprint(private.Public())
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	if err := writeNew(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, pathError(path, err)
	}
	return &jose.JSONWebKey{Key: private.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"}, nil
}

// writeNew writes a file that did not exist, and its entry in the folder, to the disk.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return errors.New("the file exists, and is not overwritten")
	case err != nil:
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(path) // the error that is reported is the first
	}
	return err
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return nil // one may write into a folder that one cannot read
	}
	defer folder.Close()
	return folder.Sync()
}

// withNewKey registers the client with a key that is created here. The private half is kept before the client is
// registered, and removed if it certainly was not: there is no client without its key, and no key without its client.
func (c *clientCreate) withNewKey(ctx context.Context, admin *api, out printer, members map[string]any) error {
	path := *c.NewKey
	key, err := newClientKey(path)
	if err != nil {
		return usagef("--new-key: %w", err)
	}
	members["jwks"] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{*key}}
	if c.AuthMethod == nil {
		members["token_endpoint_auth_method"] = store.PrivateKeyJWT
	}
	body, unknown, err := admin.create(ctx, "/admin/clients", members)
	switch {
	case err == nil:
	case unknown:
		return fmt.Errorf("%w; it is unknown whether the client was registered, so the private key is kept in %s: "+
			"look for a client with the key %s, and remove the file if there is none", err, path, key.KeyID)
	default:
		if removal := os.Remove(path); removal != nil {
			return fmt.Errorf("%w; no client has the private key in %s, which cannot be removed", err, path)
		}
		return err
	}
	created, err := parsed[clientAnswer](body)
	if err != nil {
		return err
	}
	if err := out.client(body); err != nil {
		return err
	}
	if !out.json {
		out.note("The private key is in " + path + " and nowhere else. Fetch a token with it:")
		out.note("    mintkeep token --id " + shellWord(created.ID) + " --key-file " + shellWord(path))
	}
	return nil
}

// shellWord is a word to paste into a shell.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./~:@%+=,", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) && s[0] != '~' {
		return s
	}
	return quoted(s, `'\''`)
}
