package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
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

// While other callers have all the files that the server may open, it answers everybody else at once, with 503, burns
// no processor, and serves again when they have left.
func TestFewFiles(t *testing.T) {
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("prlimit is not installed")
	}
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			environ := append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_METRICS_ADDR=")
			if scheme == "https" {
				certFile, keyFile := certificate(t)
				environ = append(environ, "MINTKEEP_TLS_CERT="+certFile, "MINTKEEP_TLS_KEY="+keyFile)
			}
			r := processtest.Start(t, environ...)
			r.URL = strings.Replace(r.URL, "http:", scheme+":", 1)
			r.HTTP = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
				DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			}}
			get := func(path string) processtest.Answer {
				got := r.Get(path)
				if got.Err != nil {
					t.Errorf("GET %s: %v after %v", path, got.Err, got.Took)
				}
				return got
			}
			processtest.Eventually(t, 5*time.Second, func() bool { return get("/readyz").Is(http.StatusOK) }, r.Log.String)

			limit := "--nofile=64:"
			if out, err := exec.Command(prlimit, "--pid", strconv.Itoa(r.PID()), limit).CombinedOutput(); err != nil {
				t.Fatalf("prlimit: %v: %s", err, out)
			}
			leave := crowd(t, strings.TrimPrefix(r.URL, scheme+"://"), 150)
			before := r.Usage(t)
			began := time.Now()
			var callers sync.WaitGroup
			for range 30 {
				callers.Go(func() {
					switch got := get("/admin/clients"); {
					case got.Took > 2500*time.Millisecond:
						t.Errorf("answered after %v", got.Took)
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
			processtest.Eventually(t, 5*time.Second, func() bool { return get("/admin/clients").Is(http.StatusUnauthorized) }, r.Log.String)
		})
	}
}

// crowd connects n callers who say nothing, until leave is called.
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

// certificate writes that of net/http/httptest.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
