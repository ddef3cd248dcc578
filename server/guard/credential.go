package guard

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// Credential is an active credential, as Mintkeep described it. It is shared: do not change it.
type Credential struct {
	ID        string // jti of an access token, or the id of an API key
	Type      string // "bearer" for an access token, "api_key" for an API key
	Subject   string // the client of a token, the user of a key
	ClientID  string // of a token
	Scopes    []string
	Audiences []string
	IssuedAt  time.Time
	Expires   time.Time // zero: never
	Key       *Key      // of an API key; nil for an access token

	verdict *verdict // that says so; nil: it was made by a test
}

// Key is what Mintkeep tells of an API key alone. It may be as old as the last confirmation: a new name reaches a guard within
// ten minutes.
type Key struct {
	Name      string            // what its owner calls it
	Metadata  map[string]string // what its owner has noted about it; nil: nothing
	RateLimit string            // how often the service should let it through, such as 600/m; empty: no limit
	Owner     string            // the owner's email address; empty unless Mintkeep has MINTKEEP_INTROSPECT_OWNER=email
}

// Has is whether the credential has a scope.
func (c *Credential) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Presented is how a caller authenticates.
type Presented struct {
	// Authorization are the values of all Authorization headers.
	Authorization []string
	// InQuery is whether the request has an access_token in its query, where it must not be (RFC 6750 §2.3, RFC 9700 §4.3.2).
	InQuery bool
}

// maxCredential is the longest credential, in bytes.
const maxCredential = 8 << 10

// credential takes the credential out of the Authorization header: exactly one, with the scheme Bearer (RFC 6750 §2.1).
func (p Presented) credential() (string, *Refusal) {
	switch {
	case len(p.Authorization) > 1:
		return "", badRequest("several_credentials", "Send one Authorization header.")
	case len(p.Authorization) == 0:
		return "", missing()
	}
	scheme, credential, _ := strings.Cut(p.Authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", missing()
	}
	credential = strings.TrimLeft(credential, " ")
	switch {
	case len(credential) > maxCredential:
		return "", invalid("too_long")
	case !isToken68(credential):
		return "", invalid("malformed")
	}
	return credential, nil
}

// isToken68 is whether s has the syntax of b64token (RFC 6750 §2.1).
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !inToken68[s[i]] {
			return false
		}
	}
	return s != ""
}

// inToken68 has the characters of b64token but =, which may only end it.
var inToken68 = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		in[c] = true
	}
	return in
}()

// digestOf is the SHA-256 of a credential. It copies one of the usual length to the stack.
func digestOf(text string) digest {
	var buffer [1 << 10]byte
	if len(text) > len(buffer) {
		return sha256.Sum256([]byte(text))
	}
	return sha256.Sum256(buffer[:copy(buffer[:], text)])
}
