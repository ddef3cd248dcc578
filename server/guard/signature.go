package guard

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	refetchTime = time.Minute // at most one fetch for an unknown kid in this time
	keysLife    = time.Hour
	clockSkew   = time.Minute
	// keysWait is how long a caller waits for keys that are being fetched.
	keysWait = 500 * time.Millisecond
	// unverifiedRate is how many tokens whose signature cannot be verified are asked about in a second.
	unverifiedRate = 10
)

// algorithms are those that Mintkeep signs with.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA, jose.ES384, jose.PS256}

// keySet has the published keys. It is a filter against floods of junk, and not the authority: that is introspection.
type keySet struct {
	fetch func() ([]byte, error)
	clock clock

	mu       sync.Mutex
	keys     map[string]jose.JSONWebKey
	fetching chan struct{} // closed at the end of the fetch that is under way; nil: none is
	fetched  time.Duration // when it was tried last
	tried    bool
	expired  bool
	budget   int
	budgetAt time.Duration
}

// expire has the next token with a key that is not known fetch the keys at once.
func (s *keySet) expire() {
	s.mu.Lock()
	s.expired = true
	s.mu.Unlock()
}

// find is the key with this id. known is whether its absence says anything. It waits a little for keys that are being
// fetched.
func (s *keySet) find(ctx context.Context, kid string) (key jose.JSONWebKey, found, known bool) {
	key, found, known, fetching := s.look(kid)
	if found || fetching == nil {
		return key, found, known
	}
	enough := time.NewTimer(keysWait)
	defer enough.Stop()
	select {
	case <-fetching:
	case <-enough.C:
	case <-ctx.Done():
	}
	key, found, known, _ = s.look(kid)
	return key, found, known
}

// look is find without waiting. It begins to fetch the keys if they are due.
func (s *keySet) look(kid string) (key jose.JSONWebKey, found, known bool, fetching <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock().mono
	key, found = s.keys[kid]
	due := !s.tried || s.expired && !found || !found && now-s.fetched > refetchTime || now-s.fetched > keysLife
	if due && s.fetching == nil {
		s.tried, s.fetched, s.expired = true, now, false
		s.fetching = make(chan struct{})
		go s.replace(s.fetching)
	}
	return key, found, s.keys != nil, s.fetching
}

// replace fetches the keys. If that fails, the old ones stay.
func (s *keySet) replace(done chan struct{}) {
	text, err := s.fetch()
	var set jose.JSONWebKeySet
	if err == nil {
		err = json.Unmarshal(text, &set)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetching = nil
	close(done)
	if err != nil {
		return
	}
	s.keys = map[string]jose.JSONWebKey{}
	for _, k := range set.Keys {
		if k.Valid() && k.IsPublic() && k.KeyID != "" {
			s.keys[k.KeyID] = k
		}
	}
}

// mayAskUnverified is whether a token whose key is not known is asked about.
func (s *keySet) mayAskUnverified() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock().mono
	if now-s.budgetAt >= time.Second {
		s.budgetAt, s.budget = now, unverifiedRate
	}
	s.budget--
	return s.budget >= 0
}

// precheck refuses what needs no question: what Mintkeep cannot have issued, and what has expired.
func (g *Guard) precheck(ctx context.Context, text string) *Refusal {
	if strings.Count(text, ".") != 2 {
		if !wellFormed(text) {
			return invalid("checksum")
		}
		return nil
	}
	return g.precheckJWT(ctx, text)
}

// precheckJWT checks an access token by RFC 9068 §4. Revocation is the question's.
func (g *Guard) precheckJWT(ctx context.Context, text string) *Refusal {
	signed, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil {
		return invalid("malformed")
	}
	header := signed.Signatures[0].Header
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
		return invalid("type")
	}
	var claims struct {
		Issuer    string   `json:"iss"`
		Audience  audience `json:"aud"`
		Expires   int64    `json:"exp"`
		NotBefore int64    `json:"nbf"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return invalid("malformed")
	}
	now, isSet := time.Now(), g.clock().drift() > clockSkew // a wall clock that was set proves no expiry: Mintkeep is asked
	switch {
	case strings.TrimSuffix(claims.Issuer, "/") != strings.TrimSuffix(g.config.Issuer, "/"):
		return invalid("issuer")
	case isSet:
	case now.After(time.Unix(claims.Expires, 0).Add(clockSkew)):
		return invalid("expired")
	case claims.NotBefore > 0 && now.Add(clockSkew).Before(time.Unix(claims.NotBefore, 0)):
		return invalid("not_yet")
	}
	key, found, known := g.keys.find(ctx, header.KeyID)
	switch {
	case found:
		if _, err := signed.Verify(key); err != nil {
			return invalid("signature")
		}
	case !g.keys.mayAskUnverified():
		if !known {
			return unavailable("no_keys")
		}
		return unavailable("unknown_key") // and not 401: it may be good, and its key one that is not published any more
	}
	return nil
}

const (
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomPart  = 40
	checksumLen = 6
	maxPrefix   = 10
)

// wellFormed is whether s has the form of an API key or an opaque token, whose checksum is right.
func wellFormed(s string) bool {
	prefix := len(s) - randomPart - checksumLen
	if prefix < 3 || prefix > maxPrefix || s[prefix-1] != '_' {
		return false
	}
	body := s[:len(s)-checksumLen]
	sum := crc32.ChecksumIEEE([]byte(body))
	for i := len(s) - 1; i >= len(body); i-- {
		if s[i] != alphabet[sum%uint32(len(alphabet))] {
			return false
		}
		sum /= uint32(len(alphabet))
	}
	return true
}
