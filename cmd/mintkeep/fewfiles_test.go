package main

import (
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

// While other callers have all the files that the server may open, it answers everybody else at once, with 503, burns
// no processor, and serves again when they have left.
func TestFewFiles(t *testing.T) {
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("prlimit is not installed")
	}
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			environ := onRedis(storetest.Redis(t).URL())
			if scheme == "https" {
				certFile, keyFile := certificate(t)
				environ = append(environ, "MINTKEEP_TLS_CERT="+certFile, "MINTKEEP_TLS_KEY="+keyFile)
			}
			r := start(t, environ...)
			r.url = strings.Replace(r.url, "http:", scheme+":", 1)
			caller := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
				DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			}}
			get := func(path string) (status int, retry string, took time.Duration) {
				began := time.Now()
				response, err := caller.Get(r.url + path)
				if err != nil {
					t.Errorf("GET %s: %v after %v", path, err, time.Since(began))
					return 0, "", 0
				}
				defer response.Body.Close()
				_, _ = io.Copy(io.Discard, response.Body)
				return response.StatusCode, response.Header.Get("Retry-After"), time.Since(began)
			}
			eventually(t, 5*time.Second, func() bool { status, _, _ := get("/readyz"); return status == 200 }, r.stderr.String)

			limit := "--nofile=64:"
			if out, err := exec.Command(prlimit, "--pid", strconv.Itoa(r.cmd.Process.Pid), limit).CombinedOutput(); err != nil {
				t.Fatalf("prlimit: %v: %s", err, out)
			}
			leave := crowd(t, strings.TrimPrefix(r.url, scheme+"://"), 150)
			before, err := processtest.UsageOf(r.cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			var callers sync.WaitGroup
			for range 30 {
				callers.Go(func() {
					switch status, retry, took := get("/admin/clients"); {
					case took > 2500*time.Millisecond:
						t.Errorf("answered after %v", took)
					case status != http.StatusServiceUnavailable || retry == "":
						t.Errorf("answered with %d, Retry-After %q, want 503 and when to come again", status, retry)
					}
				})
			}
			callers.Wait()
			if status, _, _ := get("/healthz"); status != http.StatusOK {
				t.Errorf("/healthz answers %d: the process would be killed for its callers", status)
			}
			if said := r.stderr.String(); !strings.Contains(said, "ulimit -n") {
				t.Errorf("the log does not say what to do:\n%s", said)
			}
			time.Sleep(200 * time.Millisecond) // in which there is nothing to do
			after, err := processtest.UsageOf(r.cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			if busy, passed := after.CPU-before.CPU, time.Since(began); busy > passed/2+300*time.Millisecond {
				t.Errorf("it used %v of processor in %v", busy, passed)
			}

			leave()
			eventually(t, 5*time.Second, func() bool { status, _, _ := get("/admin/clients"); return status == 401 }, r.stderr.String)
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
