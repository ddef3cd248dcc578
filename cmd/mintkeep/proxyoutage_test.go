package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// outOfMemory: while both servers answer 503 to what writes, the rest is served.
func (p *proxy) outOfMemory(t *testing.T) {
	client := p.operators.Register(t, `{"client_id":"memory","scope":"read"}`)
	tokens := make([]string, 6)
	for i := range tokens {
		tokens[i] = p.Token(t, client)
	}
	p.redis.Config("maxmemory", "1")
	defer p.redis.Config("maxmemory", "0")
	for _, token := range tokens {
		if got := p.Issue(client); !got.Is(http.StatusServiceUnavailable) || got.Header.Get("Retry-After") == "" {
			t.Errorf("a token, without memory: %s", got)
		}
		if got := p.Revoke(client, token); !got.Is(http.StatusOK) {
			t.Errorf("a revocation, without memory: %s", got)
		}
	}
}

// lostAnswer: a request whose answer from Redis is lost is sent to the other server only if it may be executed twice. An
// assertion may not: its client is answered 503, never 401.
func (p *proxy) lostAnswer(t *testing.T, repeats bool) {
	bySecret := p.operators.Register(t, `{"client_id":"secret","scope":"read mintkeep:introspect"}`)
	key := servertest.NewSigner(t, "k1", "ES256")
	members, err := json.Marshal(map[string]any{"client_id": "keyed", "scope": "read mintkeep:introspect", "jwks": servertest.JWKS(t, key)})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.operators.Admin(http.MethodPost, "/admin/clients", string(members)); !got.Is(http.StatusCreated) {
		t.Fatal(got)
	}
	token := p.Token(t, bySecret)
	byAssertion := func(form url.Values) url.Values {
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", key.Sign(t, nil, servertest.M{
			"iss": "keyed", "sub": "keyed", "aud": "https://" + publicHost, "jti": t.Name() + time.Now().String(),
			"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		}))
		return form
	}
	grant := func() url.Values { return url.Values{"grant_type": {"client_credentials"}} }
	one := http.StatusServiceUnavailable
	if repeats {
		one = http.StatusOK
	}
	for _, tt := range []struct {
		name          string
		path          string
		authorization string
		form          url.Values
		lost          storetest.Match
		status        int
	}{
		{"a token by a secret", "/oauth/token", bySecret, grant(), storetest.Command("", "mk:t:"), one},
		{"a token by an assertion", "/oauth/token", "", byAssertion(grant()), storetest.Command("set", "mk:j:"), http.StatusServiceUnavailable},
		{"an introspection by an assertion", "/oauth/introspect", "", byAssertion(url.Values{"token": {token}}), storetest.Command("set", "mk:j:"), http.StatusServiceUnavailable},
		{"a revocation by an assertion", "/oauth/revoke", "", byAssertion(url.Values{"token": {token}}), storetest.Command("set", "mk:j:"), http.StatusServiceUnavailable},
	} {
		held := p.late.HoldAnswer(tt.lost)
		answers := make(chan processtest.Answer)
		go func() { answers <- p.Form(tt.path, tt.authorization, tt.form) }()
		held.Await()
		if got := <-answers; !got.Is(tt.status) {
			t.Errorf("%s: %s, want %d", tt.name, got, tt.status)
		}
		held.Release()
	}
}
