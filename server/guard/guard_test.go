//go:build go1.25

package guard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

const orders = "https://orders.example.com"

// service is a service with a route for each scope, behind a guard.
type service struct {
	t *testing.T
	m *guardtest.Server
	g *guard.Guard
	h http.Handler
}

func newService(t *testing.T, change ...func(*guard.Config)) *service {
	t.Helper()
	m := guardtest.NewServer(t)
	c := guard.Config{Audiences: []string{orders}, PublicURL: orders}
	for _, f := range change {
		f(&c)
	}
	return serviceOf(t, m, m.Guard(c))
}

// serviceOf is a service with this guard.
func serviceOf(t *testing.T, m *guardtest.Server, g *guard.Guard) *service {
	s := &service{t: t, m: m, g: g}
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := guard.From(r.Context())
		if !ok {
			t.Error("no credential in the context")
			return
		}
		_, _ = w.Write([]byte(who.Subject))
	})
	mux := http.NewServeMux()
	mux.Handle("/read", s.g.Require("read")(show))
	mux.Handle("/strict", s.g.Require("read", guard.Strict)(show))
	mux.Handle("/refund", s.g.Require("refund")(show))
	s.h = mux
	return s
}

// settled is a service whose guard is current.
func settled(t *testing.T, change ...func(*guard.Config)) *service {
	t.Helper()
	s := newService(t, change...)
	s.m.Settle(s.g)
	return s
}

func request(path, credential string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	return r
}

func (s *service) get(path, credential string) *httptest.ResponseRecorder {
	return s.do(request(path, credential))
}

// reason is why a check rejects a credential.
func (s *service) reason(credential string) string {
	_, err := s.g.Check(s.t.Context(), guard.Presented{Authorization: []string{"Bearer " + credential}})
	var refusal *guard.Refusal
	if !errors.As(err, &refusal) {
		return ""
	}
	return refusal.Reason
}

func withCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func (s *service) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w
}

func (s *service) want(path, credential string, status int) *httptest.ResponseRecorder {
	s.t.Helper()
	w := s.get(path, credential)
	if w.Code != status {
		s.t.Fatalf("%s: %d %s, want %d", path, w.Code, w.Body, status)
	}
	return w
}

func TestEachCredentialIsAskedAboutOnce(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		for name, credential := range map[string]string{"token": s.m.Token("billing", orders, "read"), "key": s.m.Key("ada", orders, "read")} {
			for range 3 {
				s.want("/read", credential, http.StatusOK)
			}
			if n := s.m.Asked(credential); n != 1 {
				t.Errorf("%s: asked %d times", name, n)
			}
		}
	})
}

func TestRevocationsReachTheGuard(t *testing.T) {
	bubble(t, func(_ *testing.T, s *service, _ *faults) {
		token, other, key, narrowed := s.m.Token("billing", orders, "read"), s.m.Token("other", orders, "read"), s.m.Key("ada", orders, "read"), s.m.Key("bob", orders, "read")
		for _, c := range []string{token, other, key, narrowed} {
			s.want("/read", c, http.StatusOK)
		}
		s.m.Revoke(token)
		s.m.DisableClient("other", true)
		s.m.DisableUser("ada", true)
		s.m.Narrow(narrowed, "write")
		s.m.Settle(s.g)
		s.want("/read", token, http.StatusUnauthorized)
		s.want("/read", other, http.StatusUnauthorized)
		s.want("/read", key, http.StatusUnauthorized)
		s.want("/read", narrowed, http.StatusForbidden)
		s.m.DisableUser("ada", false)
		s.m.DisableClient("other", false)
		s.m.Settle(s.g)
		s.want("/read", key, http.StatusOK)
		s.want("/read", other, http.StatusUnauthorized)
		s.want("/read", s.m.Token("other", orders, "read"), http.StatusOK)
	})
}

func TestResetForgetsEverything(t *testing.T) {
	bubble(t, func(_ *testing.T, s *service, _ *faults) {
		token := s.m.Token("billing", orders, "read")
		s.want("/read", token, http.StatusOK)
		revoked := s.m.Token("billing", orders, "read")
		s.want("/read", revoked, http.StatusOK)
		s.m.Reset()
		s.m.Revoke(revoked)
		s.m.Settle(s.g)
		s.want("/read", revoked, http.StatusUnauthorized)
		s.want("/read", token, http.StatusOK)
	})
}

func TestWatch(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		open := func(text string) context.Context {
			t.Helper()
			c, err := s.g.Check(t.Context(), guard.Presented{Authorization: []string{"Bearer " + text}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := s.g.Watch(t.Context(), c)
			t.Cleanup(stop)
			return ctx
		}
		ends := func(ctx context.Context, want error) {
			t.Helper()
			select {
			case <-ctx.Done():
				if err := context.Cause(ctx); !errors.Is(err, want) {
					t.Errorf("ended with %v, want %v", err, want)
				}
			case <-time.After(time.Minute):
				t.Errorf("does not end with %v", want)
			}
		}
		kept := open(s.m.Token("billing", orders, "read"))
		token := s.m.Token("other", orders, "read")
		revoked := open(token)
		expired := open(s.m.TokenFor(time.Second, "billing", orders, "read"))
		s.m.Revoke(token)
		ends(revoked, guard.ErrRevoked)
		ends(expired, guard.ErrExpired)
		s.m.Reset()
		s.m.Settle(s.g)
		s.m.FeedDown()
		s.stale()
		time.Sleep(250 * time.Millisecond) // in which it is confirmed
		if err := context.Cause(kept); err != nil {
			t.Errorf("the stream ended with %v", err)
		}
		s.m.Down()
		ends(kept, guard.ErrStale)
	}, short)
}

func TestStrictRoutesAskEachTime(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		token := s.m.Token("billing", orders, "read")
		for range 3 {
			s.want("/strict", token, http.StatusOK)
		}
		if n := s.m.Asked(token); n != 3 {
			t.Errorf("asked %d times", n)
		}
		s.m.Revoke(token)
		s.want("/strict", token, http.StatusUnauthorized)
	})
}

// stale waits until the lease of the guard has run out.
func (s *service) stale() {
	s.t.Helper()
	for began := time.Now(); s.g.Stats().State == guard.Current; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			s.t.Fatal("the guard stays current")
		}
	}
}

func short(c *guard.Config) { c.MaxStale = 300 * time.Millisecond }

func TestWithoutTheFeedEachCallAsks(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		token := s.m.Token("billing", orders, "read")
		s.want("/read", token, http.StatusOK)
		s.m.FeedDown()
		s.stale()
		s.want("/read", token, http.StatusOK)
		s.m.Revoke(token)
		s.want("/read", token, http.StatusUnauthorized)
		if n := s.m.Asked(token); n != 3 {
			t.Errorf("asked %d times", n)
		}
		s.m.Up()
		s.m.Settle(s.g)
		s.want("/read", token, http.StatusUnauthorized)
	}, short)
}

func TestWithoutMintkeep(t *testing.T) {
	for name, c := range map[string]struct {
		mode  guard.Mode
		known int
	}{"ask": {guard.Ask, 503}, "closed": {guard.Closed, 503}, "grace": {guard.Grace(time.Minute), 200}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *service, _ *faults) {
				token, unknown := s.m.Token("billing", orders, "read"), s.m.Token("billing", orders, "read")
				s.want("/read", token, http.StatusOK)
				s.m.Down()
				s.stale()
				s.want("/read", token, c.known)
				if w := s.want("/read", unknown, http.StatusServiceUnavailable); w.Header().Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
				s.want("/strict", token, http.StatusServiceUnavailable)
			}, short, func(config *guard.Config) { config.WhenStale = c.mode })
		})
	}
}

func TestChallenges(t *testing.T) {
	s := settled(t)
	token := s.m.Token("billing", orders, "read")
	metadata := `resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"`
	for name, c := range map[string]struct {
		change    func(*http.Request)
		status    int
		challenge []string
		lacks     string
	}{
		"nothing":        {func(*http.Request) {}, 401, []string{"Bearer realm=", metadata}, "error="},
		"another scheme": {func(r *http.Request) { r.SetBasicAuth("a", "b") }, 401, []string{"Bearer realm="}, "error="},
		"two headers":    {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer a", "Bearer b"} }, 400, nil, ""},
		"no value":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401, []string{`error="invalid_token"`, metadata}, ""},
		"in the query":   {func(r *http.Request) { r.URL.RawQuery = "access_token=" + token }, 400, nil, ""},
		"junk":           {func(r *http.Request) { r.Header.Set("Authorization", "Bearer junk") }, 401, []string{`error="invalid_token"`, metadata}, ""},
		"too long":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("a", 9<<10)) }, 401, []string{`error="invalid_token"`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/read", nil)
			c.change(r)
			w := s.do(r)
			if w.Code != c.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.status)
			}
			got := w.Header().Get("WWW-Authenticate")
			for _, want := range c.challenge {
				if !strings.Contains(got, want) {
					t.Errorf("the challenge is %s, which lacks %s", got, want)
				}
			}
			if c.lacks != "" && strings.Contains(got, c.lacks) || len(c.challenge) == 0 && got != "" {
				t.Errorf("the challenge is %s", got)
			}
		})
	}
	if w := s.want("/refund", token, http.StatusForbidden); !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`) ||
		!strings.Contains(w.Header().Get("WWW-Authenticate"), `scope="refund"`) {
		t.Errorf("the challenge is %s", w.Header().Get("WWW-Authenticate"))
	}
}

// What Mintkeep cannot have issued, or not for this service, costs no question.
func TestJunkIsNotAskedAbout(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		good := s.m.Token("billing", orders, "read")
		s.want("/read", good, http.StatusOK)
		before := s.m.AskedInAll()
		claims := func(change func(map[string]any)) string {
			now := time.Now().Unix()
			c := map[string]any{"iss": s.m.URL, "sub": "x", "aud": orders, "exp": now + 60, "iat": now}
			change(c)
			return s.m.Sign(c)
		}
		ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for name, token := range map[string]string{
			"a wrong checksum":  "mk_" + strings.Repeat("a", 46),
			"a wrong signature": good[:len(good)-4] + map[bool]string{true: "AAAA", false: "BBBB"}[!strings.HasSuffix(good, "AAAA")],
			"another issuer":    claims(func(c map[string]any) { c["iss"] = "https://evil.example.com" }),
			"expired":           claims(func(c map[string]any) { c["exp"] = time.Now().Unix() - 120 }),
			"not yet":           claims(func(c map[string]any) { c["nbf"] = time.Now().Unix() + 120 }),
			"none":              "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.",
			"HS256 with the public key": func() string {
				kid, public := publicKey(t, s.m)
				return signed(t, jose.HS256, public, "at+jwt", kid, s.m.URL)
			}(),
			"an ID token":  signed(t, jose.ES256, ecKey, "JWT", "k1", s.m.URL),
			"9 KiB of JWT": claims(func(c map[string]any) { c["x"] = strings.Repeat("a", 9<<10) }),
		} {
			if w := s.get("/read", token); w.Code != http.StatusUnauthorized {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
		if n := s.m.AskedInAll() - before; n != 0 {
			t.Errorf("asked %d times", n)
		}
		forged := claims(func(map[string]any) {})
		s.want("/read", forged, http.StatusUnauthorized)
		if n := s.m.Asked(forged); n != 1 {
			t.Errorf("a token that was signed and never issued was asked about %d times", n)
		}
	})
}

// publicKey is the published key of Mintkeep, as bytes, which are public.
func publicKey(t *testing.T, m *guardtest.Server) (kid string, der []byte) {
	t.Helper()
	response, err := (&http.Client{Transport: m.Transport()}).Get(m.URL + keySet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	der, err = x509.MarshalPKIXPublicKey(set.Keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	return set.Keys[0].KeyID, der
}

// signed is a JWT with good claims, signed with a key that is not Mintkeep's.
func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, typ jose.ContentType, kid, issuer string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType(typ).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{"iss": issuer, "sub": "x", "aud": orders, "exp": now + 60, "iat": now})
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A handler that no guard protects, and code that has no request, get no credential and no panic.
func TestNoCredential(t *testing.T) {
	bubble(t, func(t *testing.T, s *service, _ *faults) {
		for name, ctx := range map[string]context.Context{"no credential": t.Context(), "a nil one": guard.With(t.Context(), nil)} {
			if who, ok := guard.From(ctx); ok || who != nil {
				t.Errorf("%s: got %v", name, who)
			}
		}
		for name, p := range map[string]guard.Presented{
			"nothing": {}, "empty headers": {Authorization: []string{"", ""}}, "an empty header": {Authorization: []string{""}}, "no scheme": {Authorization: []string{"x"}},
		} {
			if c, err := s.g.Check(t.Context(), p, guard.Scope(), guard.Audience()); c != nil || err == nil {
				t.Errorf("%s: got %v %v", name, c, err)
			}
		}
		for name, c := range map[string]*guard.Credential{"nil": nil, "made by a test": {Subject: "ada"}} {
			watched, stop := s.g.Watch(t.Context(), c)
			select {
			case <-watched.Done():
				if cause := context.Cause(watched); !errors.Is(cause, guard.ErrStale) {
					t.Errorf("%s: the stream ended with %v", name, cause)
				}
			case <-time.After(time.Minute):
				t.Errorf("%s: the stream goes on", name)
			}
			stop()
		}
	})
}

// Config.Refuse writes the refusal, and has all that it needs.
func TestRefuse(t *testing.T) {
	var got *guard.Refusal
	s := settled(t, func(c *guard.Config) {
		c.Refuse = func(w http.ResponseWriter, r *http.Request, refusal *guard.Refusal) {
			got = refusal
			http.Error(w, "go away from "+r.URL.Path, http.StatusTeapot)
		}
	})
	w := s.want("/read", "junk", http.StatusTeapot)
	if body := w.Body.String(); body != "go away from /read\n" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("got %q, %v", body, w.Header())
	}
	if got.Status != 401 || got.Code != "invalid_token" || got.Reason != "checksum" || !strings.HasPrefix(got.Challenge, "Bearer ") {
		t.Errorf("the refusal is %+v", got)
	}
}

func TestAudience(t *testing.T) {
	bubble(t, func(_ *testing.T, s *service, _ *faults) {
		s.want("/read", s.m.Token("billing", "https://other.example.com", "read"), http.StatusUnauthorized)
		s.want("/read", s.m.Key("ada", "https://auth.example.com", "read"), http.StatusUnauthorized)
	})
}

func TestExpiry(t *testing.T) {
	bubble(t, func(_ *testing.T, s *service, _ *faults) {
		token := s.m.TokenFor(1500*time.Millisecond, "billing", orders, "read")
		s.want("/read", token, http.StatusOK)
		time.Sleep(1499 * time.Millisecond)
		s.want("/read", token, http.StatusOK)
		time.Sleep(time.Millisecond)
		s.want("/read", token, http.StatusUnauthorized)
	})
}

func TestMistakes(t *testing.T) {
	_, err := guard.New(guard.Config{Issuer: "http://auth.example.com", MaxStale: time.Minute})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"Issuer", "ClientID", "ClientSecret", "Audiences", "MaxStale"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}
