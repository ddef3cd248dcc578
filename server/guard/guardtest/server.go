package guardtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
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

	tb     testing.TB
	server *httptest.Server
	key    *ecdsa.PrivateKey
	signer jose.Signer

	mu          sync.Mutex
	credentials map[string]*credential
	disabled    map[string]bool // clients and users
	feed        []string        // voids
	epoch       int             // another after a reset
	changed     chan struct{}   // closed when something is appended
	down        bool
	feedDown    bool
	asked       map[string]int
	held        chan struct{} // introspections wait until it is closed; nil: they do not
}

// credential is what introspection says of one.
type credential struct {
	members map[string]any
	owner   string
	expires time.Time
	revoked bool
}

// NewServer starts one, which ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{
		tb: tb, key: key, signer: signer, credentials: map[string]*credential{}, disabled: map[string]bool{},
		changed: make(chan struct{}), asked: map[string]int{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/introspect", s.introspect)
	mux.HandleFunc("POST /oauth/changes", s.changes)
	mux.HandleFunc("POST /oauth/confirm", s.confirm)
	mux.HandleFunc("GET /.well-known/jwks.json", s.jwks)
	s.server = httptest.NewServer(mux)
	s.URL = s.server.URL
	tb.Cleanup(func() {
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

// Guard is a guard of this server. Issuer and client are filled in, and it is closed with the test.
func (s *Server) Guard(c guard.Config) *guard.Guard {
	s.tb.Helper()
	c.Issuer, c.ClientID = s.URL, ClientID
	if c.ClientSecret == "" && c.ClientSecretFile == "" && c.Token == nil {
		c.ClientSecret = ClientSecret
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
	signed, err := s.signer.Sign(payload)
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

// DisableClient disables a client, whose tokens are revoked.
func (s *Server) DisableClient(client string) { s.disable("client "+client, true) }

// DisableUser disables a user, or enables them again: their API keys are active again then.
func (s *Server) DisableUser(user string, disabled bool) { s.disable("user "+user, disabled) }

func (s *Server) disable(owner string, disabled bool) {
	s.change(ownerHandle(owner), func() { s.disabled[owner] = disabled })
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

func credentialHandle(text string) string {
	digest := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(digest[:16])
}

func ownerHandle(owner string) string { return credentialHandle("owner\x00" + owner) }

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	if s.isDown() {
		unavailable(w)
		return
	}
	answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
}

func (s *Server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func isGuard(w http.ResponseWriter, r *http.Request) bool {
	if id, secret, ok := r.BasicAuth(); ok && id == ClientID && secret == ClientSecret {
		return true
	}
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	if s.isDown() {
		unavailable(w)
		return
	}
	if !isGuard(w, r) {
		return
	}
	text := r.PostFormValue("token")
	s.mu.Lock()
	s.asked[text]++
	c, held := s.credentials[text], s.held
	members := map[string]any{"active": false}
	if s.isActive(c) {
		members = map[string]any{"active": true, "ties": []string{credentialHandle(text), ownerHandle(c.owner)}, "state": c.state()}
		for name, value := range c.members {
			members[name] = value
		}
		if !c.expires.IsZero() {
			members["left"] = time.Until(c.expires).Milliseconds()
		}
	}
	s.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	answer(w, members)
}

func (s *Server) isActive(c *credential) bool {
	return c != nil && !c.revoked && !s.disabled[c.owner] && (c.expires.IsZero() || time.Now().Before(c.expires))
}

// state is another one after each change of what the credential is worth.
func (c *credential) state() string {
	digest := sha256.Sum256(fmt.Append(nil, c.members["scope"], c.members["aud"], c.expires, c.owner))
	return base64.RawURLEncoding.EncodeToString(digest[:8])
}

func (s *Server) confirm(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Groups []struct {
			Client, User    string
			Digests, States []string
		}
	}
	switch err := json.NewDecoder(r.Body).Decode(&q); {
	case s.isDown():
		unavailable(w)
		return
	case !isGuard(w, r):
		return
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	by := map[string]*credential{}
	for text, c := range s.credentials {
		digest := sha256.Sum256([]byte(text))
		by[base64.RawURLEncoding.EncodeToString(digest[:])] = c
	}
	active := []string{}
	for _, g := range q.Groups {
		bits := make([]byte, (len(g.Digests)+7)/8)
		for i, digest := range g.Digests {
			c := by[digest]
			if s.isActive(c) && c.state() == g.States[i] && (c.owner == "client "+g.Client || c.owner == "user "+g.User) {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		active = append(active, base64.RawURLEncoding.EncodeToString(bits))
	}
	answer(w, map[string]any{"active": active})
}

func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	if !isGuard(w, r) {
		return
	}
	var q struct {
		After, Nonce string
		Wait         int64
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	end := time.NewTimer(time.Duration(q.Wait) * time.Millisecond)
	defer end.Stop()
	for over := false; ; {
		s.mu.Lock()
		down, changed := s.down || s.feedDown, s.changed
		epoch, from := -1, 0
		_, _ = fmt.Sscanf(q.After, "%d.%d", &epoch, &from)
		reset := epoch != s.epoch || from > len(s.feed)
		void := []string{}
		if !reset {
			void = append(void, s.feed[from:]...)
		}
		cursor := fmt.Sprintf("%d.%d", s.epoch, len(s.feed))
		fresh := time.Since(arrived).Milliseconds()
		s.mu.Unlock()
		switch {
		case down:
			unavailable(w)
			return
		case reset, len(void) > 0, over:
			answer(w, map[string]any{"nonce": q.Nonce, "cursor": cursor, "reset": reset, "more": false, "void": void, "fresh": fresh, "keys": "k1"})
			return
		}
		select {
		case <-changed:
		case <-end.C:
			over = true
		case <-r.Context().Done():
			return
		}
	}
}

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}
