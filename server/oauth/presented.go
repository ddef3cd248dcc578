package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	// The longest that are accepted. A registered id has at most 128 characters, a secret 256.
	maxClientID = 256
	maxSecret   = 512

	shortestSecret = 32
	idCharacters   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"

	maxRecordedKeyID = 64 // the longest kid that the audit log keeps
	visible          = idCharacters + "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}"
)

// inBody are the parameters that must not stand in the query (RFC 6749 §2.3.1, §3.2).
var inBody = []string{
	"grant_type", "scope", "resource", "audience", "client_id", "client_secret",
	"client_assertion", "client_assertion_type", "assertion", "token", "token_type_hint",
}

func rejectQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // what is left out of it may be a credential
		return web.InvalidRequest("The query string is malformed; send parameters in the body")
	}
	for _, name := range inBody {
		if query.Has(name) {
			return web.InvalidRequest("Send parameters in the body, not in the query string")
		}
	}
	return nil
}

// check rejects what no client can have, before the client is read.
func (p Presented) check() error {
	secret := p.Credential
	if p.method != nil && !p.method.BySecret() { // it is of another kind, which the method checks
		secret = ""
	}
	switch {
	case len(p.ClientID) > maxClientID || len(secret) > maxSecret:
		return web.InvalidRequest("client_id or client_secret is too long")
	case !printable(p.ClientID) || !printable(secret):
		return web.InvalidRequest("client_id or client_secret contains a character that is not allowed")
	case p.ClientID == "" || p.Credential == "" || p.method == nil:
		return errInvalidClient
	}
	return nil
}

// lookupID is the id to read from the store. A credential in the place of the id is not sent there: an id that no
// client can have is read instead, at the same cost.
func (p Presented) lookupID() string {
	if credential.WellFormed(p.ClientID) {
		return "(a credential)"
	}
	return p.ClientID
}

// name is what the log and the audit log may keep of the presented id. A caller that confuses the id with the secret puts a
// secret there, and every secret is at least 32 characters: a longer id is kept only if there is such a client. So is one
// that stands in an assertion alone, of which nothing is kept.
func (p Presented) name(registered *store.Client) string {
	if registered == nil && (p.named || len(p.ClientID) >= shortestSecret || !onlyOf(p.ClientID, idCharacters)) {
		return "(withheld)"
	}
	return p.ClientID
}

func onlyOf(s, characters string) bool {
	for i := range len(s) {
		if strings.IndexByte(characters, s[i]) < 0 {
			return false
		}
	}
	return true
}

// printable is whether s has no control character, nor one that breaks a line or reverses text. It has no tables: each token request
// calls it.
func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || 0x7f <= r && r <= 0x9f || r == utf8.RuneError || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			return false
		}
	}
	return true
}
