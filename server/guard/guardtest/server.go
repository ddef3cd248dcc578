package guardtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/guard"
)

// The client of every guard.
const (
	ClientID     = "guard"
	ClientSecret = "the-secret-of-the-guard-in-tests"
)

// lifetime is that of a token, unless it is chosen.
const lifetime = time.Hour

// Server is the small Mintkeep.
type Server struct {
	URL string

	tb      testing.TB
	handler http.Handler
	local   bool // without a network

	mu          sync.Mutex
	keys        []signingKey // that are published; the last one signs
	credentials map[string]*credential
	disabled    map[string]bool // clients and users
	feed        []string        // voids
	epoch       int             // another after a reset
	changed     chan struct{}   // closed when something is appended
	down        bool
	feedDown    bool
	asked       map[string]int
	held        chan struct{} // introspections wait until it is closed; nil: they do not

	withoutScope bool // the client of the guards is not registered for mintkeep:introspect
}

// signingKey signs tokens, until the next one does.
type signingKey struct {
	id     string
	key    *ecdsa.PrivateKey
	signer jose.Signer
}

// credential is what introspection says of one.
type credential struct {
	members map[string]any
	owner   string
	expires time.Time

	revoked, disabled bool
}

// NewServer starts one, which ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	s := newServer(tb)
	server := httptest.NewServer(s.handler)
	s.URL = server.URL
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

func newServer(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{
		tb: tb, credentials: map[string]*credential{}, disabled: map[string]bool{}, changed: make(chan struct{}), asked: map[string]int{},
	}
	s.RotateSigningKey(false)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/introspect", s.introspect)
	mux.HandleFunc("POST /oauth/changes", s.changes)
	mux.HandleFunc("POST /oauth/confirm", s.confirm)
	mux.HandleFunc("GET /.well-known/jwks.json", s.jwks)
	s.handler = mux
	return s
}

// Guard is a guard of this server. Issuer and client are filled in, and it is closed with the test.
func (s *Server) Guard(c guard.Config) *guard.Guard {
	s.tb.Helper()
	c.Issuer, c.ClientID = s.URL, ClientID
	if c.ClientSecret == "" && c.ClientSecretFile == "" && c.Token == nil {
		c.ClientSecret = ClientSecret
	}
	if s.local && c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Transport: s.Transport()}
	}
	g, err := guard.New(c)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = g.Close() })
	return g
}

// Settle returns when the guard knows of everything that was done until now.
func (s *Server) Settle(g *guard.Guard) {
	s.tb.Helper()
	began := time.Now()
	for time.Since(began) < time.Minute {
		if since, current := g.KnownAt(); current && since.After(began) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.tb.Fatal("the guard has not become current")
}

// Token issues a JWT to a client.
func (s *Server) Token(client, audience string, scopes ...string) string {
	return s.TokenFor(lifetime, client, audience, scopes...)
}

// TokenFor is [Server.Token] with a lifetime.
func (s *Server) TokenFor(life time.Duration, client, audience string, scopes ...string) string {
	s.tb.Helper()
	now := time.Now()
	members := map[string]any{
		"iss": s.URL, "sub": client, "client_id": client, "aud": audience, "scope": strings.Join(scopes, " "),
		"iat": now.Unix(), "exp": now.Add(life).Unix(), "jti": rand.Text(),
	}
	token := s.Sign(members)
	members["token_type"] = "bearer"
	s.add(token, &credential{members: members, owner: "client " + client, expires: now.Add(life)})
	return token
}

// Sign signs a JWT with any claims, which is not issued: introspection does not know it.
func (s *Server) Sign(claims map[string]any) string {
	s.tb.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.mu.Lock()
	signer := s.keys[len(s.keys)-1].signer
	s.mu.Unlock()
	signed, err := signer.Sign(payload)
	if err != nil {
		s.tb.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		s.tb.Fatal(err)
	}
	return token
}

// Key creates an API key of a user.
func (s *Server) Key(user, audience string, scopes ...string) string {
	key := Checksummed("mk_")
	s.add(key, &credential{owner: "user " + user, members: map[string]any{
		"sub": user, "aud": audience, "scope": strings.Join(scopes, " "), "token_type": "api_key", "jti": "key_" + rand.Text()[:12],
	}})
	return key
}

// Checksummed is a random credential with a prefix and the right checksum, which is not issued.
func Checksummed(prefix string) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := prefix + (rand.Text() + rand.Text())[:40]
	sum, digits := crc32.ChecksumIEEE([]byte(body)), [6]byte{}
	for i := 5; i >= 0; i-- {
		digits[i] = alphabet[sum%62]
		sum /= 62
	}
	return body + string(digits[:])
}

// Opaque issues an opaque token to a client.
func (s *Server) Opaque(client, audience string, scopes ...string) string {
	now, token := time.Now(), Checksummed("mkt_")
	s.add(token, &credential{owner: "client " + client, expires: now.Add(lifetime), members: map[string]any{
		"iss": s.URL, "sub": client, "client_id": client, "aud": audience, "scope": strings.Join(scopes, " "), "token_type": "bearer",
		"iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "jti": rand.Text(),
	}})
	return token
}

func (s *Server) add(text string, c *credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credentials[text] = c
}

// Revoke revokes a credential.
func (s *Server) Revoke(text string) {
	s.change(credentialHandle(text), func() {
		if c := s.credentials[text]; c != nil {
			c.revoked = true
		}
	})
}

// Narrow takes all scopes of an API key away but these.
func (s *Server) Narrow(key string, scopes ...string) {
	s.change(credentialHandle(key), func() { s.credentials[key].members["scope"] = strings.Join(scopes, " ") })
}

// DisableKey disables an API key, or enables it again.
func (s *Server) DisableKey(key string, disabled bool) {
	s.change(credentialHandle(key), func() { s.credentials[key].disabled = disabled })
}

// DisableClient disables a client, or enables it again. Its tokens are revoked.
func (s *Server) DisableClient(client string, disabled bool) {
	s.change(ownerHandle("client "+client), func() {
		s.disabled["client "+client] = disabled
		s.revokeTokens(client)
	})
}

// RevokeTokens revokes the tokens of a client.
func (s *Server) RevokeTokens(client string) {
	s.change(ownerHandle("client "+client), func() { s.revokeTokens(client) })
}

func (s *Server) revokeTokens(client string) {
	for _, c := range s.credentials {
		if c.owner == "client "+client {
			c.revoked = true
		}
	}
}

// DisableUser disables a user, or enables them again: their API keys are active again then.
func (s *Server) DisableUser(user string, disabled bool) {
	s.change(ownerHandle("user "+user), func() { s.disabled["user "+user] = disabled })
}

// RotateSigningKey signs with another key from now on. The old ones are published still, unless they are compromised. What
// they have signed stays active.
func (s *Server) RotateSigningKey(compromised bool) {
	s.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.tb.Fatal(err)
	}
	id := rand.Text()[:8]
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.set(func() {
		if compromised {
			s.keys = nil
		}
		s.keys = append(s.keys, signingKey{id, key, signer})
	})
}

func (s *Server) change(handle string, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.feed = append(s.feed, handle)
	s.wake()
}

func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Reset makes every cursor invalid, as a failover does.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.wake()
}

// Down answers everything with 503, until Up.
func (s *Server) Down() { s.set(func() { s.down = true }) }

// FeedDown answers the polls with 503, until Up.
func (s *Server) FeedDown() { s.set(func() { s.feedDown = true }) }

// Entitle registers the client of the guards for mintkeep:introspect, or takes that scope away. It has it at first.
func (s *Server) Entitle(entitled bool) { s.set(func() { s.withoutScope = !entitled }) }

// Up answers again.
func (s *Server) Up() { s.set(func() { s.down, s.feedDown = false, false }) }

func (s *Server) set(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.wake()
}

// Hold has introspections wait with their answer, which they have already, until release is called.
func (s *Server) Hold() (release func()) {
	held := make(chan struct{})
	s.set(func() { s.held = held })
	return sync.OnceFunc(func() {
		s.set(func() { s.held = nil })
		close(held)
	})
}

// Asked is how often introspection was asked about a credential.
func (s *Server) Asked(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[text]
}

// AskedInAll is how often it was asked.
func (s *Server) AskedInAll() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.asked {
		n += times
	}
	return n
}
