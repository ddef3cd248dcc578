//go:build go1.25

package guard_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// A guard whose polls a replica rejects reaches another one: the next poll has a connection of its own, and a balancer in between chooses
// again. It does so with the program's HTTPClient too, and with HTTP/2, and ends no question that is under way.
func TestBadReplicaIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		http2, wrapped, plain bool
	}{
		"HTTP/1.1": {},
		"HTTP/2":   {http2: true},
		"HTTP/1.1, a transport of the program's own": {wrapped: true},
		"HTTP/2, a transport of the program's own":   {http2: true, wrapped: true},
		"HTTP/1.1, a transport without settings":     {plain: true},
		"HTTP/2, a transport without settings":       {http2: true, plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := guardtest.NewServer(t)
			balancer, bad := newBalancer(t, m, c.http2)
			client := balancer.Client()
			if c.wrapped {
				client = &http.Client{Transport: wrapped{client.Transport}}
			}
			if c.plain {
				client = &http.Client{Transport: withoutSettings(balancer)}
			}
			g, err := guard.New(guard.Config{
				Issuer: balancer.URL, ClientID: guardtest.ClientID, ClientSecret: guardtest.ClientSecret, Audiences: []string{orders}, HTTPClient: client,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = g.Close() })
			release, answer, began := m.Hold(), make(chan int, 1), time.Now()
			key := m.Key("ada", orders, "read")
			go func() { answer <- status(g, key) }()
			for m.Asked(key) == 0 {
				time.Sleep(time.Millisecond)
			}
			settle(t, g)
			if !bad.wasMet() {
				t.Error("no poll was rejected")
			}
			release()
			if code := <-answer; code != http.StatusOK && time.Since(began) < 2*time.Second { // a question ends after 2.5 s
				t.Errorf("the question that was under way got %d", code)
			}
		})
	}
}

// replica is one whose connection is the first over which a poll came.
type replica struct {
	mu   sync.Mutex
	addr string
	met  bool
}

func (b *replica) rejects(r *http.Request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.URL.Path != feed {
		return false
	}
	if b.addr == "" {
		b.addr = r.RemoteAddr
	}
	b.met = b.met || b.addr == r.RemoteAddr
	return b.addr == r.RemoteAddr
}

// wasMet is whether it rejected a poll.
func (b *replica) wasMet() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.met
}

// newBalancer passes each request on to m, but for the polls of the bad replica's connection.
func newBalancer(t *testing.T, m *guardtest.Server, http2 bool) (*httptest.Server, *replica) {
	t.Helper()
	target, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	bad, proxy := &replica{}, httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bad.rejects(r) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, bad
}

// withoutSettings is a transport without settings, but that it trusts a server: net/http lets it use HTTP/2.
func withoutSettings(server *httptest.Server) *http.Transport {
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	t := &http.Transport{}
	t.Clone() // has net/http set up HTTP/2: it does not once there is a TLSClientConfig
	t.TLSClientConfig.RootCAs = trusted
	return t
}

// wrapped is a transport that a program has put its own around.
type wrapped struct{ next http.RoundTripper }

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) { return w.next.RoundTrip(r) }

// A program may have wrapped the default transport, for traces or a proxy. A guard sends its requests through it.
func TestDefaultTransportIsWrapped(t *testing.T) {
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	http.DefaultTransport = wrapped{before}
	m := guardtest.NewServer(t)
	settle(t, m.Guard(guard.Config{Audiences: []string{orders}}))
}
