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
	// unverifiedRate is how many tokens whose signature cannot be verified are asked about in a second.
	unverifiedRate = 10
)

// algorithms are those that Mintkeep signs with.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA, jose.ES384, jose.PS256}

// keySet has the published keys. It is a filter against floods of junk, and not the authority: that is introspection.
type keySet struct {
	fetch func(context.Context) ([]byte, error)
	clock clock

	mu       sync.Mutex
	keys     map[string]jose.JSONWebKey
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

// find is the key with this id. known is whether its absence says anything.
func (s *keySet) find(ctx context.Context, kid string) (key jose.JSONWebKey, found, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock().mono
	key, found = s.keys[kid]
	due := !s.tried || s.expired && !found || !found && now-s.fetched > refetchTime || now-s.fetched > keysLife
	if due {
		s.tried, s.fetched, s.expired = true, now, false
		if text, err := s.fetch(ctx); err == nil {
			s.replace(text)
			key, found = s.keys[kid]
		}
	}
	return key, found, s.keys != nil
}

func (s *keySet) replace(text []byte) {
	var set jose.JSONWebKeySet
	if json.Unmarshal(text, &set) != nil {
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

// precheck refuses what needs no question: what Mintkeep cannot have issued, or what is not for this service.
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
	now := time.Now()
	switch {
	case strings.TrimSuffix(claims.Issuer, "/") != strings.TrimSuffix(g.config.Issuer, "/"):
		return invalid("issuer")
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
		return invalid("unknown_key")
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
