package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// answerLimit is within which a caller is answered. One that waits for a file descriptor is never answered; one that is
// rejected at once may have to wait for a busy machine.
const answerLimit = 15 * time.Second

// While callers use all the file descriptors of the server, it answers all others at once, with 503, burns no processor,
// and serves again when they have left.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			environ := append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_METRICS_ADDR=")
			if scheme == "https" {
				environ = append(environ, secure(t)...)
			}
			r := startWithFewFiles(t, environ...)
			get := func(path string) processtest.Answer { return answered(t, r, path) }
			leave := crowd(t, address(r), 150)
			before := r.Usage(t)
			began := time.Now()
			var callers sync.WaitGroup
			for range 30 {
				callers.Go(func() {
					switch got := get("/admin/clients"); {
					case !got.Is(http.StatusServiceUnavailable) || got.Header.Get("Retry-After") == "":
						t.Errorf("answered with %s, Retry-After %q, want 503 and when to come again", got, got.Header.Get("Retry-After"))
					}
				})
			}
			callers.Wait()
			if got := get("/healthz"); !got.Is(http.StatusOK) {
				t.Errorf("/healthz answers %s: the process would be killed for its callers", got)
			}
			if said := r.Log.String(); !strings.Contains(said, "ulimit -n") {
				t.Errorf("the log does not say what to do:\n%s", said)
			}
			time.Sleep(200 * time.Millisecond) // in which there is nothing to do
			if busy, passed := r.Usage(t).CPU-before.CPU, time.Since(began); busy > passed/2+300*time.Millisecond {
				t.Errorf("it used %v of processor in %v", busy, passed)
			}

			leave()
			processtest.Eventually(t, processtest.Patience, func() bool { return get("/admin/clients").Is(http.StatusUnauthorized) }, r.Log.String)
		})
	}
}

// Redis is restarted while callers use all descriptors, and more come: they are served again all the same.
func TestFewFilesRedisRestarts(t *testing.T) {
	t.Parallel()
	for kind, start := range map[string]func(testing.TB, ...string) *storetest.Server{
		"redis": storetest.Redis, "sentinel": storetest.Redis, "cluster": storetest.Cluster,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			redis := start(t, "--appendonly", "yes", "--appendfsync", "always") // it is killed, and must lose nothing
			url := redis.URL()
			if kind == "sentinel" {
				url = storetest.Sentinel(t, redis).URL()
			}
			r := startWithFewFiles(t, processtest.OnRedis(url)...)
			stays := stay(t, r, false)
			processtest.Eventually(t, processtest.Patience, func() bool { return stays.Get("/admin/clients").Is(http.StatusUnauthorized) }, r.Log.String)
			fill(t, r)
			redis.Kill()
			for range 20 { // in which the connections to Redis end, and others take their place
				if got := stays.Get("/readyz"); !got.Is(http.StatusServiceUnavailable) {
					t.Fatalf("without Redis, /readyz answers %s", got)
				}
				fill(t, r)
			}
			redis.Start()
			processtest.Eventually(t, processtest.Patience, func() bool {
				fill(t, r)
				return stays.Ready()
			}, r.Log.String)
			if got := answered(t, r, "/healthz"); !got.Is(http.StatusOK) {
				t.Errorf("after %v, /healthz answers %s", got.Took, got)
			}
		})
	}
}

// Idle connections, of HTTP/2 too, keep no caller out: they are closed for those that have a request.
func TestFewFilesIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("server/fdreserve is tested with the race detector, and TestFewFiles too")
	}
	t.Parallel()
	for _, scheme := range []string{"http", "h2"} {
		t.Run(scheme, func(t *testing.T) {
			environ := append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_METRICS_ADDR=")
			if scheme == "h2" {
				environ = append(environ, secure(t)...)
			}
			r := startWithFewFiles(t, environ...)
			// A connection is closed for another only when it has been idle for a moment.
			eventually := func(what string, ok func() bool) {
				t.Helper()
				processtest.Eventually(t, processtest.Patience, ok, func() string { return what + " is rejected\n" + r.Log.String() })
			}
			for range 400 {
				eventually("an idle connection", func() bool { return stay(t, r, scheme == "h2").Get("/healthz").Is(http.StatusOK) })
			}
			for range 50 {
				eventually("a caller", func() bool { return r.Get("/admin/clients").Is(http.StatusUnauthorized) })
			}
		})
	}
}

// Idle connections to the public listener keep no operator out of a listener of their own, nor the other way round.
func TestFewFilesIdleOtherListener(t *testing.T) {
	if testing.Short() {
		t.Skip("server/fdreserve is tested with the race detector, and TestFewFiles too")
	}
	t.Parallel()
	r := startWithFewFiles(t, append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_METRICS_ADDR=",
		"MINTKEEP_ADMIN_ADDR=127.0.0.1:0", "MINTKEEP_ADMIN_URL=https://"+operatorHost)...)
	at := operatorListener.FindStringSubmatch(r.Log.String())
	if at == nil {
		t.Fatalf("no listener for operators: %s", r.Log)
	}
	public, operators := r.Caller, r.Caller
	operators.URL = "http://" + at[1]
	for _, tt := range []struct {
		name        string
		idle, other processtest.Caller
		path        string
		status      int
	}{
		{"operators", public, operators, "/admin/clients", http.StatusUnauthorized},
		{"callers", operators, public, "/api/v1/users/me", http.StatusUnauthorized},
	} {
		for range 150 { // more than there are descriptors; each stays
			idle := stay(t, r, false)
			idle.URL = tt.idle.URL
			processtest.Eventually(t, processtest.Patience, func() bool { return idle.Get("/healthz").Is(http.StatusOK) }, r.Log.String)
		}
		processtest.Eventually(t, processtest.Patience, func() bool { return tt.other.Get(tt.path).Is(tt.status) },
			func() string { return tt.name + " are rejected\n" + r.Log.String() })
	}
}

// Two thousand connections of one trusted proxy are served; while half of the descriptors are in use, an address that is
// not one has its oldest idle ones closed.
func TestFewFilesTrustedProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("server/fdreserve is tested with the race detector, and TestFewFiles too")
	}
	t.Parallel()
	const n = 2000
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprint(trusted), func(t *testing.T) {
			environ := append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_METRICS_ADDR=")
			if trusted {
				environ = append(environ, "MINTKEEP_TRUSTED_PROXIES=127.0.0.0/8")
			}
			r := startWithFiles(t, n+300, environ...)
			conns := make([]net.Conn, n)
			for i := range conns {
				c, err := net.Dial("tcp", address(r))
				if err != nil {
					t.Fatalf("connection %d: %v; this test needs %d file descriptors of its own", i, err, n)
				}
				t.Cleanup(func() { _ = c.Close() })
				conns[i] = c
				if got := statusOn(c); got != http.StatusOK {
					t.Fatalf("connection %d is answered with %d", i, got)
				}
			}
			open := 0
			for _, c := range conns {
				if statusOn(c) == http.StatusOK {
					open++
				}
			}
			if trusted && open != n || !trusted && open > n*3/4 {
				t.Errorf("of %d connections, %d are open", n, open)
			}
		})
	}
}

// statusOn sends a request that needs no store on a connection, and returns the status of the answer; 0: none came.
func statusOn(c net.Conn) int {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// Who speaks HTTP/2 and HTTP/1.1 is rejected by HTTP/1.1: an HTTP/2 connection would keep its descriptor.
func TestFewFilesRejectHTTP2(t *testing.T) {
	t.Parallel()
	r := startWithFewFiles(t, append(processtest.OnRedis(storetest.Redis(t).URL()), secure(t)...)...)
	caller := stay(t, r, true)
	processtest.Eventually(t, processtest.Patience, func() bool {
		crowd(t, address(r), 100)
		return caller.Get("/admin/clients").Is(http.StatusServiceUnavailable)
	}, r.Log.String)
}

// A slow caller, and one whose request was sent twice on the way, get the whole rejection too.
func TestFewFilesSlowCaller(t *testing.T) {
	t.Parallel()
	r := startWithFewFiles(t, processtest.OnRedis(storetest.Redis(t).URL())...)
	processtest.Eventually(t, processtest.Patience, func() bool { // the machine may be late as well
		crowd(t, address(r), 60)
		c, err := net.Dial("tcp", address(r))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		time.Sleep(230 * time.Millisecond)
		fmt.Fprint(c, "GET /admin/clients HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(answerLimit))
		answer, _ := io.ReadAll(c)
		return strings.HasPrefix(string(answer), "HTTP/1.1 503 ")
	}, r.Log.String)
}

// startWithFewFiles starts a server that may open 64 files once it is ready.
func startWithFewFiles(t *testing.T, environ ...string) *processtest.Server {
	t.Helper()
	return startWithFiles(t, 64, environ...)
}

func startWithFiles(t *testing.T, files int, environ ...string) *processtest.Server {
	t.Helper()
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("prlimit is not installed")
	}
	r := processtest.Start(t, environ...)
	if strings.Contains(strings.Join(environ, " "), "MINTKEEP_TLS_CERT=") {
		r.URL = strings.Replace(r.URL, "http:", "https:", 1)
	}
	r.HTTP = &http.Client{Timeout: answerLimit, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	r.AwaitReady(t)
	if out, err := exec.Command(prlimit, "--pid", strconv.Itoa(r.PID()), fmt.Sprintf("--nofile=%d:", files)).CombinedOutput(); err != nil {
		t.Fatalf("prlimit: %v: %s", err, out)
	}
	return r
}

// address is host:port of a server.
func address(r *processtest.Server) string {
	_, hostPort, _ := strings.Cut(r.URL, "://")
	return hostPort
}

// fill connects more callers than there are descriptors for, which send a request and stay, and returns the first.
func fill(t *testing.T, r *processtest.Server) (first processtest.Caller) {
	t.Helper()
	first = stay(t, r, false)
	first.Get("/admin/clients")
	for range 40 {
		caller := stay(t, r, false)
		caller.Get("/admin/clients")
	}
	return first
}

// answered is the answer to a caller. One for whom there is no descriptor has 0.3 s to send its request, and when it is
// late, because the machine is busy, it asks again.
func answered(t *testing.T, r *processtest.Server, path string) (got processtest.Answer) {
	t.Helper()
	for range 20 {
		if got = r.Get(path); got.Err == nil {
			return got
		}
	}
	t.Errorf("GET %s: %v after %v", path, got.Err, got.Took)
	return got
}

// stay is a caller with a connection of its own, which it keeps.
func stay(t *testing.T, r *processtest.Server, http2 bool) processtest.Caller {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return processtest.Caller{URL: r.URL, HTTP: &http.Client{Timeout: answerLimit, Transport: transport}}
}

// crowd connects n callers that send nothing, until leave is called.
func crowd(t *testing.T, address string, n int) (leave func()) {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(fmt.Errorf("connection %d: %w", i, err))
		}
		conns[i] = c
	}
	leave = sync.OnceFunc(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	t.Cleanup(leave)
	return leave
}

// secure are the settings for TLS, with the certificate of net/http/httptest.
func secure(t *testing.T) []string {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"MINTKEEP_TLS_CERT=" + certFile, "MINTKEEP_TLS_KEY=" + keyFile}
}
