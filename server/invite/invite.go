package invite

import (
	"crypto/rand"
	"regexp"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// Lifetime is how long a link is good.
const Lifetime = 72 * time.Hour

// Path is where the links lead; the code follows.
const Path = "/invite/"

const (
	userPrefix = "usr_"
	half       = 26 // characters of base32: 130 bits, as rand.Text draws them
)

var codes = regexp.MustCompile(`^[a-z2-7]{52}$`)

// New creates a code for a user, to be shown this once, and its digest, to be stored.
func New(userID string) (code string, digest store.Digest) {
	code = strings.TrimPrefix(userID, userPrefix) + strings.ToLower(rand.Text())
	return code, store.DigestOf(code)
}

// Parse says whose code it may be, and what is kept of it if it is one. What is not shaped like a code is not
// worth asking the store about.
func Parse(code string) (userID string, digest store.Digest, ok bool) {
	if !codes.MatchString(code) {
		return "", digest, false
	}
	return userPrefix + code[:half], store.DigestOf(code), true
}

// URL is the link to send.
func URL(issuer, code string) string { return issuer + Path + code }
