package server_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// BenchmarkWhole is a request without the network to the caller, and with that to Redis: the time of a handler, the web
// adapter and the store's client, one request at a time.
func BenchmarkWhole(b *testing.B) {
	h, s := wholeServer(b)
	basic, key := principals(b, s)
	cursor := pollsOf(b, h, s, basic)
	issue := func() *http.Request { return posted("/oauth/token", basic, "grant_type=client_credentials&scope=read") }
	token := strings.Split(answered(b, h, issue()), `"`)[3]
	for name, request := range map[string]func() *http.Request{
		"issue": issue,
		"introspect": func() *http.Request {
			return posted("/oauth/introspect", basic, "token="+url.QueryEscape(token))
		},
		"me": func() *http.Request {
			r := httptest.NewRequest(http.MethodGet, "/api/v1/users/me", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+key)
			return r
		},
		"poll": func() *http.Request { return polled(basic, cursor) }, // which finds something at once
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				answered(b, h, request())
			}
		})
	}
}

// pollsOf has the store look at the feed, and returns the cursor before a void that is in it.
func pollsOf(b *testing.B, h http.Handler, s *store.Store, basic string) (cursor string) {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	go s.Run(ctx)
	b.Cleanup(stop)
	for deadline := time.Now().Add(time.Minute); cursor == ""; {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, polled(basic, ""))
		if _, rest, ok := strings.Cut(w.Body.String(), `"cursor":"`); ok {
			cursor, _, _ = strings.Cut(rest, `"`)
		} else if time.Now().After(deadline) {
			b.Fatal(w.Body)
		}
	}
	wellDone(b, s.CreateClient(b.Context(), &store.Client{ID: "another", Enabled: true}))
	wellDone(b, s.DisableClient(b.Context(), "another", store.Cause{}))
	return cursor
}

func polled(authorization, after string) *http.Request {
	r := posted("/oauth/changes", authorization, `{"after":"`+after+`","wait":450,"nonce":"k3J9xQ2mZr0a","instance":"orders-1",`+
		`"lease":1000,"served":1523,"refused":12,"entries":812,"version":"0.3.0"}`)
	r.Header.Set("Content-Type", "application/json")
	return r
}

func posted(path, authorization, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", authorization)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func answered(b *testing.B, h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Fatalf("got %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// wholeServer is a server as cmd/mintkeep builds it, without the instruments of the tests.
func wholeServer(b *testing.B) (http.Handler, *store.Store) {
	b.Helper()
	redis := storetest.Redis(b)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	cfg, _, err := config.Load(config.Source{Environ: []string{
		"MINTKEEP_REDIS_URL=" + redis.URL(), "MINTKEEP_ISSUER=https://auth.example.com", "MINTKEEP_METRICS_ADDR=",
		"MINTKEEP_MASTER_KEY=" + base64.StdEncoding.EncodeToString(key),
	}})
	wellDone(b, err)
	logger := slog.New(slog.DiscardHandler)
	m := metrics.New(metrics.Sources{})
	s, err := store.Open(store.Options{URL: redis.URL(), Logger: logger, Observe: m.Redis, Feed: true, CountVoid: m.FeedVoid})
	wellDone(b, err)
	b.Cleanup(func() { _ = s.Close() })
	ring, err := signing.New(signing.Options{
		Store: s, MasterKeys: cfg.MasterKeys, Algorithm: cfg.SigningAlg, Rotation: cfg.SigningRotation,
		TokenTTLMax: cfg.TokenTTLMax, Logger: logger,
	})
	wellDone(b, err)
	wellDone(b, ring.Load(b.Context()))
	h, err := server.New(server.Options{Config: cfg, Store: s, Ring: ring, Logger: logger, Metrics: m})
	wellDone(b, err)
	return h, s
}

// principals are a client, as its Authorization header, and an API key.
func principals(b *testing.B, s *store.Store) (basic, key string) {
	b.Helper()
	secret, key := credential.NewSecret("mk"), credential.NewKey("mk")
	wellDone(b, s.CreateClient(b.Context(), &store.Client{
		ID:       "bench",
		Metadata: store.ClientMetadata{Scope: "read write mintkeep:introspect", GrantTypes: []string{"client_credentials"}},
		Secrets:  []store.Secret{{ID: store.NewSecretID(), Digest: store.DigestOf(secret)}},
	}))
	u := &store.User{ID: store.NewUserID(), Metadata: store.UserMetadata{Email: "bench@example.com"}}
	wellDone(b, s.CreateUser(b.Context(), u))
	k := &store.APIKey{ID: "key_bench", Digest: store.DigestOf(key), UserID: u.ID, Name: "bench", Scope: "read"}
	wellDone(b, s.CreateKey(b.Context(), k, u))
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("bench:"+secret)), key
}

func wellDone(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
