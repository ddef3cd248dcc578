package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

const (
	basicAuth = "client_secret_basic"
	postAuth  = "client_secret_post"

	// The longest that are looked at. A registered id has at most 128 characters, a secret 256.
	maxClientID = 256
	maxSecret   = 512

	shortestSecret = 32
	idCharacters   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"
)

// presented is what a request shows of who it comes from.
type presented struct {
	id, secret string
	method     string
}

// present finds the one way in which the request authenticates the client (RFC 6749 §2.3).
func present(r *http.Request, form url.Values) (presented, error) {
	if err := refuseQuery(r); err != nil {
		return presented{}, err
	}
	p := presented{id: form.Get("client_id"), secret: form.Get("client_secret"), method: postAuth}
	headers := r.Header.Values("Authorization")
	switch {
	case len(headers) > 1:
		return p, web.InvalidRequest("The Authorization header stands more than once")
	case form.Has("client_assertion") || form.Has("client_assertion_type"):
		return p, errInvalidClient
	case len(headers) == 1:
		basic, err := parseBasic(headers[0])
		switch {
		case err != nil:
			return p, err
		case p.secret != "":
			return p, web.InvalidRequest("The client authenticates in two ways; use one")
		case p.id != "" && p.id != basic.id:
			return p, web.InvalidRequest("client_id is not the client of the Authorization header")
		}
		p = basic
	}
	return p, p.check()
}

// inBody are the parameters that must not stand in the query (RFC 6749 §2.3.1, §3.2).
var inBody = []string{
	"grant_type", "scope", "resource", "client_id", "client_secret",
	"client_assertion", "client_assertion_type", "token", "token_type_hint",
}

func refuseQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // what is left out of it may be a credential
		return web.InvalidRequest("The query is malformed, and no parameter belongs there")
	}
	for _, name := range inBody {
		if query.Has(name) {
			return web.InvalidRequest("Parameters belong in the body, not in the query")
		}
	}
	return nil
}

// parseBasic reads client_secret_basic: the id and the secret are form-encoded, each by itself, before
// they are joined by a colon (RFC 6749 §2.3.1).
func parseBasic(header string) (presented, error) {
	p := presented{method: basicAuth}
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return p, errInvalidClient
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return p, errInvalidClient
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return p, errInvalidClient
	}
	if p.id, err = formDecode(id); err == nil {
		p.secret, err = formDecode(secret)
	}
	if err != nil {
		return p, web.InvalidRequest("The client id and secret in the Authorization header must each be form-encoded")
	}
	return p, nil
}

func formDecode(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// check refuses what no client can have, before anybody is asked.
func (p presented) check() error {
	switch {
	case len(p.id) > maxClientID || len(p.secret) > maxSecret:
		return web.InvalidRequest("client_id or client_secret is too long")
	case !printable(p.id) || !printable(p.secret):
		return web.InvalidRequest("client_id or client_secret has a character that none may have")
	case p.id == "" || p.secret == "":
		return errInvalidClient
	}
	return nil
}

// lookedUp is the id to ask the store about. A credential that somebody takes for an id is not spelt out there: it
// is looked for under an id that nobody can have, at the same cost.
func (p presented) lookedUp() string {
	if credential.WellFormed(p.id) {
		return "(a credential)"
	}
	return p.id
}

// name is what may be kept of the id that was presented, in the log and the audit trail. Somebody who
// mistakes one for the other puts a secret there, and every secret is at least 32 characters: a longer id
// is kept only if there is such a client.
func (p presented) name(registered *store.Client) string {
	if registered == nil && (len(p.id) >= shortestSecret || !onlyOf(p.id, idCharacters)) {
		return "(withheld)"
	}
	return p.id
}

func onlyOf(s, characters string) bool {
	for i := range len(s) {
		if strings.IndexByte(characters, s[i]) < 0 {
			return false
		}
	}
	return true
}

// printable is whether there is no control character, nor one that only looks like nothing.
func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || 0x7f <= r && r <= 0x9f || r == utf8.RuneError || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			return false
		}
	}
	return true
}

// authenticate says which client a request comes from, after one round trip.
func (s *Server) authenticate(r *http.Request, form url.Values) (*store.Client, error) {
	return s.authenticateBy(r, form, s.store.Client)
}

// authenticateBy is authenticate with another way to read the client, for who has more to read in the
// same round trip.
func (s *Server) authenticateBy(r *http.Request, form url.Values,
	read func(context.Context, string) (*store.Client, error),
) (*store.Client, error) {
	p, err := present(r, form)
	if err != nil {
		return nil, s.refuse(r, p, nil, err)
	}
	c, err := read(r.Context(), p.lookedUp())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	web.Note(r.Context(), "client_id", p.name(c))
	if err := s.verify(p, c); err != nil {
		return nil, s.refuse(r, p, c, err)
	}
	return c, nil
}

// verify checks the secret that was presented for c, which is nil for an unknown client. Each kind of
// failure costs the same: one digest, and one comparison for each secret that a client may have.
func (s *Server) verify(p presented, c *store.Client) error {
	digest := store.DigestOf(p.secret)
	var secrets [2]store.Secret
	if c != nil {
		copy(secrets[:], c.Secrets)
	}
	now := s.now()
	found := -1
	for i := range secrets {
		if secrets[i].Digest.Equal(digest) && secrets[i].ActiveAt(now) && secrets[i].ID != "" {
			found = i
		}
	}
	if c == nil || found < 0 || !c.Enabled || c.Metadata.AuthMethod != "" && c.Metadata.AuthMethod != p.method {
		return errInvalidClient
	}
	s.store.RecordSecretUse(c.ID, secrets[found].ID)
	return nil
}

// refuse counts a failed authentication, and turns one too many into a 429. Other refusals pass, and so
// does a request that showed nothing at all: it guessed nothing.
func (s *Server) refuse(r *http.Request, p presented, c *store.Client, err error) error {
	if !errors.Is(err, errInvalidClient) || p.secret == "" {
		return err
	}
	over, retryAfter := s.store.CountFailure(r.Context(), p.id, web.Address(r))
	if over { // and not kept: the count of a flood is in the metrics
		return web.TooManyRequests(retryAfter)
	}
	s.audit.Reject(r.Context(), audit.Unauthenticated(r.Context(), p.name(c)), audit.ClientRejected, nil)
	return err
}
