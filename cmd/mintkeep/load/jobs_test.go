package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/url"
	"sync"
)

// issue asks for tokens as the client. Each must have the documented shape, and no two may be the same.
func (s *stand) issue() job {
	seen := newTokens()
	e := exchange{
		request: post("/oauth/token", s.client, "grant_type=client_credentials&scope=read"),
		check: func(a answer) error {
			token, err := issued(a)
			if err == nil && !seen.first(token) {
				err = fmt.Errorf("a token was issued twice: %s", token)
			}
			return err
		},
	}
	return func(uint64) exchange { return e }
}

// issued is the token in an answer.
func issued(a answer) ([]byte, error) {
	const head, tail = `{"access_token":"`, `","token_type":"bearer","expires_in":`
	rest, ok := bytes.CutPrefix(a.body, []byte(head))
	token, rest, found := bytes.Cut(rest, []byte(tail))
	if a.status != 200 || !ok || !found || len(token) < 40 || !bytes.HasSuffix(rest, []byte(`"scope":"read"}`)) {
		return nil, fmt.Errorf("no token: %v", a)
	}
	return token, nil
}

// tokens are those that were issued, by their hashes.
type tokens struct {
	mu   sync.Mutex
	seed maphash.Seed
	set  map[uint64]struct{}
}

func newTokens() *tokens { return &tokens{seed: maphash.MakeSeed(), set: map[uint64]struct{}{}} }

// first is whether the token is new.
func (t *tokens) first(token []byte) bool {
	h := maphash.Bytes(t.seed, token)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, there := t.set[h]
	t.set[h] = struct{}{}
	return !there
}

// introspect asks about active tokens, and about a revoked one each eighth time.
func (s *stand) introspect() job {
	var live, dead []exchange
	for range 64 {
		live = append(live, s.introspection(s.server.Token(s.tb, s.client), isActive))
	}
	for range 8 {
		token := s.server.Token(s.tb, s.client)
		if a := s.server.Revoke(s.client, token); a.Status != 200 {
			s.tb.Fatalf("revoke: %d %s", a.Status, a.Body)
		}
		dead = append(dead, s.introspection(token, isInactive))
	}
	return func(n uint64) exchange {
		if n%8 == 7 {
			return dead[n/8%uint64(len(dead))]
		}
		return live[n%uint64(len(live))]
	}
}

func (s *stand) introspection(token string, check func(answer) error) exchange {
	return exchange{post("/oauth/introspect", s.client, url.Values{"token": {token}}.Encode()), check}
}

func isActive(a answer) error {
	var said struct {
		Active   bool
		Scope    string
		ClientID string `json:"client_id"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(a.body, &said); err != nil || a.status != 200 || !said.Active || said.Scope == "" || said.Expires == 0 {
		return fmt.Errorf("a live token is not active: %v", a)
	}
	return nil
}

func isInactive(a answer) error {
	if a.status != 200 || string(a.body) != `{"active":false}` {
		return fmt.Errorf("a dead token is not inactive: %v", a)
	}
	return nil
}

// me asks which user an API key speaks for.
func (s *stand) me() job {
	e := exchange{
		request: get("/api/v1/users/me", "Bearer "+s.key),
		check: func(a answer) error {
			if a.status != 200 || !bytes.HasPrefix(a.body, []byte(`{"type":"user","id":"`+s.user)) {
				return fmt.Errorf("not the owner of the key: %v", a)
			}
			return nil
		},
	}
	return func(uint64) exchange { return e }
}
