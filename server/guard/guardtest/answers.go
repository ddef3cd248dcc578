package guardtest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

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
	s.mu.Lock()
	defer s.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range s.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Algorithm: "ES256", Use: "sig"})
	}
	answer(w, set)
}

func (s *Server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *Server) isGuard(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	withoutScope := s.withoutScope
	s.mu.Unlock()
	switch id, secret, ok := r.BasicAuth(); {
	case !ok || id != ClientID || secret != ClientSecret:
		w.WriteHeader(http.StatusUnauthorized)
	case withoutScope:
		w.WriteHeader(http.StatusForbidden)
	default:
		return true
	}
	return false
}

func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	if s.isDown() {
		unavailable(w)
		return
	}
	if !s.isGuard(w, r) {
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
	return c != nil && !c.revoked && !c.disabled && !s.disabled[c.owner] && (c.expires.IsZero() || time.Now().Before(c.expires))
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
	case !s.isGuard(w, r):
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
	if !s.isGuard(w, r) {
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
		keys := s.keys[len(s.keys)-1].id
		s.mu.Unlock()
		switch {
		case down:
			unavailable(w)
			return
		case reset, len(void) > 0, over:
			answer(w, map[string]any{"nonce": q.Nonce, "cursor": cursor, "reset": reset, "more": false, "void": void, "fresh": fresh, "keys": keys})
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
