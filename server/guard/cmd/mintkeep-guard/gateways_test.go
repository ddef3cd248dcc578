package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// recipes are the files of docs/gateways. Only their addresses are changed.
var recipes = map[string]struct {
	file, program string
	args          func(config string) []string
	// reload reads the file again; nil: a new process takes over.
	reload func(p *os.Process) error
}{
	"nginx": {"nginx.conf", "nginx", func(config string) []string {
		return []string{"-c", config, "-g", "daemon off; pid " + filepath.Dir(config) + "/nginx.pid; error_log stderr;"}
	}, func(p *os.Process) error { return p.Signal(syscall.SIGHUP) }},
	"haproxy": {
		"haproxy.cfg", "haproxy", func(config string) []string { return []string{"-W", "-f", config} },
		func(p *os.Process) error { return p.Signal(syscall.SIGUSR2) },
	},
	"caddy": {"Caddyfile", "caddy", func(config string) []string { return []string{"run", "--adapter", "caddyfile", "--config", config} }, nil},
}

// gateway is a gateway in front of a service, and a sidecar beside it.
type gateway struct {
	t       *testing.T
	m       *guardtest.Server
	g       *guard.Guard
	url     string
	process *os.Process
	output  bytes.Buffer
	kill    func() // the sidecar

	mu   sync.Mutex
	got  []*http.Request // what the service got
	body []int64         // how long its bodies were
	conn int             // connections to the sidecar
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func newGateway(t *testing.T, name string, change ...func(*guard.Config)) *gateway {
	t.Helper()
	recipe := recipes[name]
	program, err := exec.LookPath(recipe.program)
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/" + recipe.program)
	}
	if err != nil {
		if strings.Contains(os.Getenv("MINTKEEP_TEST_REQUIRE"), recipe.program) {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	gw := &gateway{t: t, m: guardtest.NewServer(t)}
	c := guard.Config{Audiences: []string{orders}}
	for _, f := range change {
		f(&c)
	}
	gw.g = gw.m.Guard(c)
	gw.m.Settle(gw.g)
	service := httptest.NewServer(http.HandlerFunc(gw.serve))
	t.Cleanup(service.Close)
	folder := t.TempDir()
	socket, tcp := filepath.Join(folder, "g.sock"), freeAddr(t)
	gw.sidecar(socket, tcp)
	gw.url = freeAddr(t)
	text := gw.read(recipe.file)
	for from, to := range map[string]string{
		"/run/mintkeep-guard.sock": socket, "127.0.0.1:9000": service.Listener.Addr().String(),
		"listen 8080": "listen " + gw.url, "bind :8080": "bind " + gw.url, "\n:8080 {": "\nhttp://" + gw.url + " {", "/etc/haproxy/": folder + "/",
	} {
		text = strings.ReplaceAll(text, from, to)
	}
	config := filepath.Join(folder, recipe.file)
	gw.write(config, text)
	gw.write(filepath.Join(folder, "mintkeep-guard.lua"), gw.read("mintkeep-guard.lua"))
	cmd := exec.Command(program, recipe.args(config)...)
	cmd.Env = append(os.Environ(), "MINTKEEP_GUARD_URL=http://"+tcp, "HOME="+folder)
	cmd.Stdout, cmd.Stderr = &gw.output, &gw.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gw.process = cmd.Process
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(gw.output.String())
		}
	})
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", gw.url); err == nil {
			_ = c.Close()
			return gw
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s does not listen", name)
		}
	}
}

func (gw *gateway) read(file string) string {
	gw.t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../../docs/gateways", file))
	if err != nil {
		gw.t.Fatal(err)
	}
	return string(b)
}

func (gw *gateway) write(path, text string) {
	gw.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		gw.t.Fatal(err)
	}
}

// sidecar serves on a socket, which everyone may use here, and on an address.
func (gw *gateway) sidecar(socket, addr string) {
	gw.t.Helper()
	h := newSidecar(gw.g, settings{}, newCounters(), slog.New(slog.DiscardHandler))
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			gw.mu.Lock()
			gw.conn++
			gw.mu.Unlock()
		}
	}}
	for _, at := range []string{"unix:" + socket, addr} {
		l, err := listen(gw.t.Context(), at)
		if err != nil {
			gw.t.Fatal(err)
		}
		go func() { _ = server.Serve(l) }()
	}
	for path := socket; path != "/"; path = filepath.Dir(path) { // the workers of nginx have another user
		_ = os.Chmod(path, 0o777)
		if strings.HasSuffix(filepath.Dir(path), os.TempDir()) || filepath.Dir(path) == os.TempDir() {
			break
		}
	}
	gw.kill = sync.OnceFunc(func() { _ = server.Close() })
	gw.t.Cleanup(gw.kill)
}

// serve is the service.
func (gw *gateway) serve(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	gw.mu.Lock()
	gw.got, gw.body = append(gw.got, r), append(gw.body, n)
	gw.mu.Unlock()
	_, _ = w.Write([]byte("orders"))
}

func (gw *gateway) last() (*http.Request, int64) {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	if len(gw.got) == 0 {
		return nil, 0
	}
	return gw.got[len(gw.got)-1], gw.body[len(gw.body)-1]
}

func (gw *gateway) served() int {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	return len(gw.got)
}

func (gw *gateway) ask(method, path, token string, change ...func(*http.Request)) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+gw.url+path, nil)
	if err != nil {
		return nil, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range change {
		f(r)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response, string(text), err
}

func (gw *gateway) want(status int, method, path, token string, change ...func(*http.Request)) *http.Response {
	gw.t.Helper()
	response, body, err := gw.ask(method, path, token, change...)
	if err != nil {
		gw.t.Fatal(err)
	}
	if response.StatusCode != status {
		gw.t.Fatalf("%s %s: %d %s, want %d", method, path, response.StatusCode, body, status)
	}
	return response
}

func eachGateway(t *testing.T, f func(t *testing.T, name string)) {
	for name := range recipes {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

func TestGateways(t *testing.T) {
	eachGateway(t, func(t *testing.T, name string) {
		gw := newGateway(t, name)
		token, key := gw.m.Token("billing", orders, "read"), gw.m.Key("ada", orders, "read")
		gw.want(200, "GET", "/orders/7?audience=x&strict=0", token)
		got, _ := gw.last()
		for header, want := range map[string]string{"X-Auth-Subject": "billing", "X-Auth-Client-Id": "billing", "X-Auth-Scope": "read", "X-Auth-Type": "bearer"} {
			if got.Header.Get(header) != want {
				t.Errorf("the service got %s: %q, want %q", header, got.Header.Get(header), want)
			}
		}
		if got.RequestURI != "/orders/7?audience=x&strict=0" {
			t.Errorf("the service was asked for %s", got.RequestURI)
		}
		gw.want(200, "GET", "/orders/", key)

		t.Run("rejections", func(t *testing.T) {
			served := gw.served()
			if c := gw.want(401, "GET", "/orders/", "").Header.Get("WWW-Authenticate"); !strings.HasPrefix(c, "Bearer ") || strings.Contains(c, "error=") {
				t.Errorf("the challenge is %s", c)
			}
			if c := gw.want(401, "GET", "/orders/", "junk").Header.Values("WWW-Authenticate"); len(c) != 1 || !strings.Contains(c[0], `error="invalid_token"`) {
				t.Errorf("the challenges are %q", c)
			}
			if c := gw.want(403, "GET", "/orders/", gw.m.Token("billing", orders, "write")).Header.Get("WWW-Authenticate"); !strings.Contains(c, `scope="read"`) {
				t.Errorf("the challenge is %s", c)
			}
			for _, path := range []string{"/orders/../scope=x/", "/orders/%2e%2e/", "/orders/?scope=write", "/_verify?scope=none", "/verify"} {
				if response, body, err := gw.ask("GET", path, ""); err != nil || response.StatusCode == 200 {
					t.Errorf("%s: %v %s", path, err, body)
				}
			}
			if gw.served() != served {
				t.Error("the service was asked")
			}
		})
		t.Run("spoofed headers", func(t *testing.T) {
			gw.want(200, "GET", "/orders/", key, func(r *http.Request) {
				r.Header["X-Auth-Subject"] = []string{"admin", "admin"}
				r.Header["x-auth-client-id"] = []string{"admin"}
				r.Header["X-AUTH-ACTOR"] = []string{"admin"}
				r.Header["X_Auth_Subject"] = []string{"admin"}
				r.Header["X-Auth-Expires"] = []string{"1"}
				r.Header["X-Original-Uri"] = []string{"/verify?scope=none"}
				r.Header["X-Forwarded-Uri"] = []string{"/verify?scope=none"}
			})
			got, _ := gw.last()
			for header, values := range got.Header {
				name := strings.ReplaceAll(strings.ToLower(header), "_", "-")
				if strings.HasPrefix(name, "x-auth-") && (len(values) > 1 || values[0] == "admin" || values[0] == "1" && name == "x-auth-expires") {
					t.Errorf("the service got %s: %q", header, values)
				}
			}
			if got.Header.Get("X-Auth-Subject") != "ada" {
				t.Errorf("the subject is %q", got.Header.Get("X-Auth-Subject"))
			}
		})
		t.Run("bodies", func(t *testing.T) {
			const size = 4 << 20
			for _, method := range []string{"POST", "PUT"} {
				gw.want(200, method, "/orders/", token, func(r *http.Request) {
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, size))), map[string]int64{"POST": -1, "PUT": size}[method]
				})
				if _, n := gw.last(); n != size {
					t.Errorf("%s: %d bytes reached the service", method, n)
				}
			}
			gw.want(200, "HEAD", "/orders/", token)
			gw.want(200, "OPTIONS", "/orders/", token)
		})
		t.Run("connections and questions", func(t *testing.T) {
			gw.mu.Lock()
			before := gw.conn
			gw.mu.Unlock()
			for range 200 {
				gw.want(200, "GET", "/orders/", token)
			}
			gw.mu.Lock()
			defer gw.mu.Unlock()
			if name != "haproxy" && gw.conn-before > 20 {
				t.Errorf("%d connections to the sidecar for 200 requests", gw.conn-before)
			}
			if n := gw.m.Asked(token); n != 1 {
				t.Errorf("Mintkeep was asked %d times", n)
			}
		})
		t.Run("revocation", func(t *testing.T) {
			gw.m.Revoke(token)
			gw.m.Settle(gw.g)
			gw.want(401, "GET", "/orders/", token)
		})
		t.Run("without the sidecar", func(t *testing.T) {
			gw.kill()
			for _, credential := range []string{key, "", "junk"} {
				if gw.want(503, "GET", "/orders/", credential).Header.Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			}
		})
	})
}

// A guard that does not know is 503, and not 500 or 401.
func TestGatewaysWithAStaleGuard(t *testing.T) {
	eachGateway(t, func(t *testing.T, name string) {
		gw := newGateway(t, name, func(c *guard.Config) { c.WhenStale, c.MaxStale = guard.Closed, 300*time.Millisecond })
		key := gw.m.Key("ada", orders, "read")
		gw.m.FeedDown()
		for began := time.Now(); gw.g.Stats().State == guard.Current; time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatal("the guard stays current")
			}
		}
		if gw.want(503, "GET", "/orders/", key).Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	})
}

// A reload under load loses nothing and lets nothing through.
func TestGatewaysReload(t *testing.T) {
	eachGateway(t, func(t *testing.T, name string) {
		if recipes[name].reload == nil {
			t.Skip("the recipe has no reload: its administration endpoint is off")
		}
		gw := newGateway(t, name)
		key := gw.m.Key("ada", orders, "read")
		var all sync.WaitGroup
		problems := make(chan error, 16)
		for worker := range 8 {
			all.Add(1)
			go func() {
				defer all.Done()
				credential, want := key, 200
				if worker%2 == 1 {
					credential, want = "junk", 401
				}
				for i := range 150 {
					response, _, err := gw.ask("GET", "/orders/", credential)
					if err != nil { // the connection was closed: a client asks again
						response, _, err = gw.ask("GET", "/orders/", credential)
					}
					if err != nil || response.StatusCode != want {
						problems <- fmt.Errorf("request %d: %v, want %d: %v", i, response, want, err)
						return
					}
				}
			}()
		}
		for range 3 {
			if err := recipes[name].reload(gw.process); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		all.Wait()
		close(problems)
		for err := range problems {
			t.Error(err)
		}
	})
}
