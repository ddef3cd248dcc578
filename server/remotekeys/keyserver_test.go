package remotekeys_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/jwks"
	"github.com/mintkeep/mintkeep/server/metrics"
	"github.com/mintkeep/mintkeep/server/remotekeys"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// bench is a Fetcher, and what it is given.
type bench struct {
	*remotekeys.Fetcher
	clock   *storetest.Clock
	log     *syncBuffer
	metrics *metrics.Metrics
	names   *names
}

// patience is what a fetch may take in tests that are not about slow servers.
const patience = time.Minute

func newBench(t *testing.T, limit time.Duration, environ ...string) *bench {
	t.Helper()
	cfg, _, err := config.Load(config.Source{Environ: append(environ, "MINTKEEP_ISSUER=https://auth.example.com")})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{clock: storetest.NewClock(t), log: &syncBuffer{}, names: &names{}}
	b.metrics = metrics.New(metrics.Sources{KeySets: func() metrics.KeySets { return b.KeySets() }})
	b.Fetcher, err = remotekeys.New(remotekeys.Options{
		Config: cfg, Logger: slog.New(slog.NewTextHandler(b.log, nil)), Metrics: b.metrics, Now: b.clock.Now,
		Resolver: b.names.resolver(), Time: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// local is a bench that may fetch from this machine by http, which is cheap.
func local(t *testing.T) *bench { return newBench(t, patience, "MINTKEEP_FETCH_ALLOW=127.0.0.1") }

// keys asks as a client does, and returns the ids of the keys, or "503".
func (b *bench) keys(t *testing.T, uri string) string { return b.keysSince(t, uri, 0) }

func (b *bench) keysSince(t *testing.T, uri string, refreshed int64) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return ids(b.Keys(ctx, uri, refreshed))
}

func (b *bench) refetch(t *testing.T, uri string) string {
	t.Helper()
	return ids(b.Refetch(t.Context(), uri))
}

func ids(set *jwks.Set, err error) string {
	if err != nil {
		return "503"
	}
	all := make([]string, len(set.Keys))
	for i, k := range set.Keys {
		all[i] = k.ID
	}
	return strings.Join(all, " ")
}

// check is what an operator is told: empty when the URL can be registered.
func (b *bench) check(t *testing.T, uri string) string {
	t.Helper()
	if err := b.Check(t.Context(), uri); err != nil {
		return err.Error()
	}
	return ""
}

// keyServer has a set at every path, until it is told something else.
type keyServer struct {
	*httptest.Server
	requests atomic.Int64
	mu       sync.Mutex
	answer   http.HandlerFunc
}

// serve starts a key server by http on this machine.
func serve(t *testing.T, answer http.HandlerFunc) *keyServer {
	t.Helper()
	s := &keyServer{answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.stop)
	return s
}

// serveTLS starts one at an address that stands for one of the Internet, and returns the URL by a name of its certificate.
func serveTLS(t *testing.T, answer http.HandlerFunc) (s *keyServer, uri string) {
	t.Helper()
	s = &keyServer{answer: answer}
	s.Server = httptest.NewUnstartedServer(s)
	s.Listener.Close()
	s.Listener = listen(t, internet.String()+":0")
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.stop)
	return s, "https://keys.example.com:" + port(s.Listener) + "/jwks"
}

// internet is an address of this machine that the tests treat as one elsewhere.
var internet = netip.MustParseAddr("127.0.0.2")

func (s *keyServer) stop() {
	s.CloseClientConnections()
	s.Close()
}

func (s *keyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	answer(w, r)
}

func (s *keyServer) answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// ca is a file with the certificate of a server.
func (s *keyServer) ca(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// recorder is a listener that counts every connection, and answers none.
type recorder struct {
	net.Listener
	connections atomic.Int64
}

func record(t *testing.T, address string) *recorder {
	t.Helper()
	r := &recorder{Listener: listen(t, address)}
	t.Cleanup(func() { r.Close() })
	go func() {
		for {
			conn, err := r.Accept()
			if err != nil {
				return
			}
			r.connections.Add(1)
			conn.Close()
		}
	}()
	return r
}

// sawNothing is checked at the end.
func (r *recorder) sawNothing(t *testing.T) {
	t.Helper()
	if n := r.connections.Load(); n > 0 {
		t.Errorf("the private address saw %d connections", n)
	}
}

// withKeys answers with a set of these keys, and headers as "Name: value".
func withKeys(set string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Add(name, value)
		}
		io.WriteString(w, set)
	}
}

// keySet is a set of keys with these ids.
func keySet(ids ...string) string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		public, _, _ := ed25519.GenerateKey(rand.Reader)
		keys[i] = fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, id, base64.RawURLEncoding.EncodeToString(public))
	}
	return `{"keys":[` + strings.Join(keys, ",") + `]}`
}

// names is a name server whose answers a test chooses.
type names struct {
	mu  sync.Mutex
	ask func(name string) (cname string, addrs []netip.Addr)
}

// are sets the addresses of every name.
func (n *names) are(addrs ...netip.Addr) { n.alias("", addrs...) }

func (n *names) alias(cname string, addrs ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ask = func(string) (string, []netip.Addr) { return cname, addrs }
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go n.serve(theirs)
		return ours, nil
	}}
}

// serve answers one question over a stream (RFC 1035 §4.2.2).
func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return
	}
	var message dnsmessage.Message
	if message.Unpack(question) != nil || len(message.Questions) != 1 {
		return
	}
	n.answer(&message)
	packed, err := message.Pack()
	if err != nil {
		return
	}
	conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...))
}

func (n *names) answer(m *dnsmessage.Message) {
	asked := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ask == nil {
		m.RCode = dnsmessage.RCodeNameError
		return
	}
	cname, addrs := n.ask(asked.Name.String())
	header := dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET}
	if cname != "" {
		name := dnsmessage.MustNewName(cname)
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.CNAMEResource{CNAME: name}})
		header.Name = name
	}
	for _, addr := range addrs {
		switch {
		case addr.Is4() && asked.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && asked.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
