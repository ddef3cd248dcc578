package clients

import (
	"encoding/hex"
	"errors"

	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// The members by which an operator brings a secret: the secret itself, or its SHA-256.
const (
	secretMember = "client_secret"
	digestMember = "client_secret_sha256"
)

// broughtBy is the member by which the object brings a secret; the first of the two if it brings none.
func broughtBy(o web.Object) string {
	if o.Has(digestMember) {
		return digestMember
	}
	return secretMember
}

// bringsSecret is whether the object brings a secret, in whichever form.
func bringsSecret(o web.Object) bool { return o.Has(secretMember) || o.Has(digestMember) }

// weakSecrets are guessed first. A digest hides how long a secret is, so that these are all that can be rejected.
var weakSecrets = []string{
	"", "0", "admin", "changeit", "changeme", "change-me", "client_secret", "client-secret", "clientsecret", "default", "demo",
	"dev", "example", "foo", "foobar", "guest", "letmein", "mintkeep", "null", "pass", "passw0rd", "password", "password1",
	"password123", "placeholder", "qwerty", "root", "s3cr3t", "secret", "secret123", "supersecret", "test", "test123", "testing",
	"todo", "token", "undefined", "xxx", "12345678", "123456789", "1234567890", "123456", "12345", "1234", "123", "abc123",
}

// ParseDigest reads the SHA-256 of a client's secret, 64 hexadecimal digits, and rejects that of a secret that is guessed
// first. "echo secret | sha256sum" hashes the end of the line too.
func ParseDigest(text, clientID string) (d store.Digest, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(d) {
		return d, errors.New("must be 64 hexadecimal digits, the SHA-256 of the secret")
	}
	copy(d[:], raw)
	for _, weak := range append(weakSecrets[:len(weakSecrets):len(weakSecrets)], clientID) {
		for _, end := range []string{"", "\n", "\r\n"} {
			if d.Equal(store.DigestOf(weak + end)) {
				return d, errors.New("is the digest of a secret that is easy to guess; hash at least 32 random characters")
			}
		}
	}
	return d, nil
}
