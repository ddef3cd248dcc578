package server_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// keyServer is the key server of a client, by http on this machine.
type keyServer struct {
	*httptest.Server
	requests atomic.Int32
	mu       sync.Mutex
	set      []byte // nil: it fails
}

func publish(t *testing.T, pairs ...servertest.Signer) *keyServer {
	t.Helper()
	k := &keyServer{}
	k.has(t, pairs...)
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.requests.Add(1)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.set == nil {
			w.WriteHeader(http.StatusInternalServerError)
			w.Write([]byte("canary-of-the-key-server"))
			return
		}
		w.Write(k.set)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) has(t *testing.T, pairs ...servertest.Signer) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set = nil
	if len(pairs) > 0 {
		k.set, _ = json.Marshal(servertest.JWKS(t, pairs...))
	}
}

// hold keeps requests waiting until release is called.
func (k *keyServer) hold() (release func()) {
	k.mu.Lock()
	return k.mu.Unlock
}

// remote registers a client with the URL of its keys.
func (e tokenEndpoint) remote(t *testing.T, id, uri string, key servertest.Signer) keyed {
	t.Helper()
	e.Admin(t, "POST", "/admin/clients?check=false", servertest.M{
		"client_id": id, "jwks_uri": uri, "token_endpoint_auth_method": "private_key_jwt", "scope": "read",
	}).Want(t, 201, "")
	return keyed{e, id, key}
}

// TestFetchedKeys is a client from its registration to the rotation of its keys, at two replicas.
func TestFetchedKeys(t *testing.T) {
	b := storetest.Embedded(t)
	allow := "MINTKEEP_FETCH_ALLOW=127.0.0.1"
	first, next, wrong := servertest.NewSigner(t, "first", "ES256"), servertest.NewSigner(t, "next", "ES256"), servertest.NewSigner(t, "first", "ES256")
	k := publish(t, first)
	replicas := []tokenEndpoint{newTokenEndpoint(t, b, allow), newTokenEndpoint(t, b, allow)}
	replicas[0].remote(t, "fetched", k.URL, first)
	ask := func(key servertest.Signer) []servertest.Response {
		var answers []servertest.Response
		for _, e := range replicas {
			c := keyed{e, "fetched", key}
			answers = append(answers, c.present(t, c.sign(t, nil, nil)))
		}
		return answers
	}
	for _, answer := range ask(first) {
		granted(t, answer)
	}
	k.has(t, first, next)
	for _, answer := range append(ask(next), ask(first)...) {
		granted(t, answer)
	}
	if got := k.requests.Load(); got != 4 {
		t.Errorf("got %d fetches, want 2 of each replica: the first, and that of the new key", got)
	}
	for range 3 {
		for _, answer := range ask(wrong) {
			refused(t, answer, 401, "invalid_client")
		}
	}
	if got := k.requests.Load(); got != 4 {
		t.Errorf("got %d fetches: a signature that no key verifies may cause one in a minute", got)
	}

	k.has(t, next)
	b.Clock.Advance(time.Minute)
	replicas[0].Admin(t, "POST", "/admin/clients/fetched/refresh-keys", nil)
	b.Clock.Advance(30 * time.Second)
	for _, answer := range ask(first) {
		refused(t, answer, 401, "invalid_client")
	}

	k.has(t) // fails
	b.Clock.Advance(2 * time.Hour)
	for _, answer := range ask(next) {
		granted(t, answer)
	}
}

// TestWhenKeysAreFetched: for the first assertion, and again only for a signature that a new key may verify.
func TestWhenKeysAreFetched(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_FETCH_ALLOW=127.0.0.1")
	first, next := servertest.NewSigner(t, "first", "ES256"), servertest.NewSigner(t, "next", "ES256")
	k := publish(t, first)
	c := e.remote(t, "fetched", k.URL, first)
	by := func(key servertest.Signer) keyed { return keyed{e, c.id, key} }
	fetches := func(what string, want int32) {
		t.Helper()
		if got := k.requests.Swap(0); got != want {
			t.Errorf("%s: got %d fetches, want %d", what, got, want)
		}
	}
	for name, claims := range map[string]servertest.M{"expired": {"exp": 1}, "another audience": {"aud": "x"}, "another client": {"sub": "x"}, "no jti": {"jti": nil}} {
		refused(t, c.present(t, c.sign(t, nil, claims), "client_id="+c.id), 401, "invalid_client")
		fetches(name, 0)
	}
	granted(t, c.present(t, c.sign(t, nil, nil)))
	fetches("a good assertion", 1)
	for name, tt := range map[string]struct {
		key    servertest.Signer
		header servertest.M
		reason string
		want   int32
	}{
		"a kid that stays unknown":       {next, nil, "key_unknown", 1},
		"a signature that fails":         {servertest.NewSigner(t, "first", "ES256"), nil, "signature", 1},
		"another algorithm":              {first, servertest.M{"alg": "RS256"}, "algorithm", 0},
		"no kid, and no key of the type": {servertest.NewSigner(t, "", "EdDSA"), servertest.M{"kid": nil}, "algorithm", 1},
	} {
		e.Clock.Advance(time.Minute)
		c.rejected(t, c.present(t, by(tt.key).sign(t, tt.header, nil)), tt.reason)
		fetches(name, tt.want)
	}
	k.has(t, next)
	e.Clock.Advance(time.Minute)
	granted(t, c.present(t, by(next).sign(t, nil, nil)))
	fetches("a new key", 1)
	c.rejected(t, c.present(t, c.sign(t, nil, nil)), "key_unknown")
	fetches("a key that was removed, in the same minute", 0)

	e.Admin(t, "PATCH", "/admin/clients/"+c.id, servertest.M{"disabled": true}).Want(t, 200, "")
	k.requests.Store(0)
	e.Clock.Advance(time.Minute)
	c.rejected(t, c.present(t, c.sign(t, nil, nil)), "disabled")
	fetches("a disabled client", 0)
}

// A client whose keys are not known gets 503, and learns nothing of the reason.
func TestKeysThatCannotBeFetched(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_FETCH_ALLOW=127.0.0.1")
	key := servertest.NewSigner(t, "first", "ES256")
	_, port, _ := net.SplitHostPort(storetest.FreeAddr(t)) // no program listens there at 127.0.0.1
	private, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Fatal(err)
	}
	defer private.Close()
	var seen atomic.Int32
	go func() {
		for conn, err := private.Accept(); err == nil; conn, err = private.Accept() {
			seen.Add(1)
			conn.Close()
		}
	}()
	k := publish(t)
	for id, uri := range map[string]string{"down": k.URL + "/canary-path", "local": "https://localhost:" + port + "/canary-path"} {
		c := e.remote(t, id, uri, key)
		answer := c.present(t, c.sign(t, nil, nil)).Want(t, 503, "temporarily_unavailable")
		if answer.Header.Get("Retry-After") == "" {
			t.Error("the answer has no Retry-After")
		}
		if strings.Contains(answer.Body, "canary") || strings.Contains(answer.Body, "127.0.0") || strings.Contains(answer.Body, "localhost") {
			t.Errorf("the answer tells more: %s", answer.Body)
		}
		if reason := lastRejection(t, e.Server)["reason"]; reason != "keys_unavailable" {
			t.Errorf("the audit log has the reason %s", reason)
		}
		refused(t, c.present(t, c.sign(t, nil, servertest.M{"exp": 1})), 401, "invalid_client") // whatever the keys are
	}
	k.has(t, key)
	e.Clock.Advance(10 * time.Second)
	c := keyed{e, "down", key}
	granted(t, c.present(t, c.sign(t, nil, nil)))

	// An operator learns which rule it is.
	for uri, want := range map[string]string{
		"https://127.0.0.2:" + port + "/":       "jwks_uri: must have a host name: an address needs MINTKEEP_FETCH_ALLOW",
		"http://a.example:8080/":                "jwks_uri: must begin with https://",
		"https://a.example:22/":                 "jwks_uri: must have the port 443, or one from 1024 to 65535",
		"http://127.0.0.1:" + port + "/":        "jwks_uri: cannot be fetched: the connection failed: connection refused",
		"https://" + k.Listener.Addr().String(): "jwks_uri: cannot be fetched: there is no valid answer: the server does not speak TLS or HTTP, or closes the connection",
	} {
		answer := e.Admin(t, "POST", "/admin/clients", servertest.M{"client_id": "x", "jwks_uri": uri}).Want(t, 400, "invalid_client_metadata")
		if got := answer.JSON(t)["error_description"]; got != want {
			t.Errorf("%s: got %q, want %q", uri, got, want)
		}
	}
	if n := seen.Load(); n > 0 {
		t.Errorf("the private address saw %d connections", n)
	}
}

// A key server that does not answer leaves a request time for the store. The keys that are known are used meanwhile, and
// whether another key has been published since is not known.
func TestKeyServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	e := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_FETCH_ALLOW=127.0.0.1")
	e.Server.Server.KeepBudget()
	first, next := servertest.NewSigner(t, "first", "ES256"), servertest.NewSigner(t, "next", "ES256")
	k := publish(t, first)
	c := e.remote(t, "fetched", k.URL, first)
	until(t, "the key is known", func() bool { return c.present(t, c.sign(t, nil, nil)).Status == http.StatusOK })

	k.has(t, first, next)
	answer := sync.OnceFunc(k.hold())
	defer answer()
	e.Clock.Advance(2 * time.Hour)
	granted(t, c.present(t, c.sign(t, nil, nil)))
	published := keyed{e, c.id, next}
	published.present(t, published.sign(t, nil, nil)).Want(t, 503, "temporarily_unavailable")
	if reason := lastRejection(t, e.Server)["reason"]; reason != "keys_unavailable" {
		t.Errorf("the audit log has the reason %s", reason)
	}
	metrics := httptest.NewRecorder()
	e.Metrics.Handler().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if want := `mintkeep_audit_not_written_total{to="store"} 0`; !strings.Contains(metrics.Body.String(), want) {
		t.Errorf("the metrics lack %s", want)
	}
	answer()
	until(t, "the new key is known", func() bool { return published.present(t, published.sign(t, nil, nil)).Status == http.StatusOK })
}

// TestStopWhileKeysAreFetched: a slow key server does not keep the process from exiting.
func TestStopWhileKeysAreFetched(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_FETCH_ALLOW=127.0.0.1")
	key := servertest.NewSigner(t, "first", "ES256")
	arrived := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(arrived); <-r.Context().Done() }))
	defer slow.Close()
	c := e.remote(t, "slow", slow.URL, key)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- e.Server.Server.Serve(ctx, listener, nil) }()
	assertion := c.sign(t, nil, nil)
	answer := make(chan servertest.Response, 1)
	go func() { answer <- c.present(t, assertion) }() // at the other listener of the same server, which does not drain
	<-arrived
	stop()
	if err := <-stopped; err != nil {
		t.Errorf("the server stopped with %v", err)
	}
	(<-answer).Want(t, 503, "temporarily_unavailable")
}
