package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

var caddy = flag.String("caddy", "", "another Caddy than that of the system, such as testdata/caddy builds")

// recipe is a file of docs/gateways, and how its program is used.
type recipe struct {
	file    string
	beside  []string // other files of docs/gateways that it reads
	program string
	check   []string // arguments that only check the file; CONFIG and FOLDER are replaced
	run     []string
	needs   []string // files of other packages
	reload  func(gw *gateway) error
	// threads is how many connections to the sidecar its threads may keep, if that is not up to its callers.
	threads int
	// introspects is whether a module of the gateway asks POST /introspect for itself, on a connection for each request. Such
	// a module answers 401 too when it gets no answer.
	introspects bool
}

func apache(file, needs string, beside ...string) recipe {
	return recipe{
		file: file, beside: beside, program: "apache2", needs: []string{needs}, check: []string{"-t", "-f", "CONFIG"},
		run:         []string{"-D", "FOREGROUND", "-f", "CONFIG", "-E", "FOLDER/start.log"},
		reload:      signalled(syscall.SIGUSR1), // apachectl graceful
		threads:     100,                        // 25 in each of 4 processes
		introspects: beside == nil,
	}
}

// recipes are the gateways. Only the addresses and paths in their files are changed.
var recipes = map[string]recipe{
	"nginx": {
		file: "nginx.conf", program: "nginx", check: []string{"-t", "-c", "CONFIG", "-g", "error_log stderr;"},
		run:    []string{"-c", "CONFIG", "-g", "daemon off; pid FOLDER/nginx.pid; error_log stderr;"},
		reload: signalled(syscall.SIGHUP), // nginx -s reload
	},
	"haproxy": {
		file: "haproxy.cfg", beside: []string{"mintkeep-guard.lua"}, program: "haproxy", check: []string{"-c", "-f", "CONFIG"},
		run: []string{"-W", "-f", "CONFIG"}, reload: signalled(syscall.SIGUSR2), // of the master, as systemctl reload sends it
	},
	"caddy": {
		file: "Caddyfile", program: "caddy", check: []string{"validate", "--adapter", "caddyfile", "--config", "CONFIG"},
		run:    []string{"run", "--adapter", "caddyfile", "--config", "CONFIG"},
		reload: (*gateway).reloadCaddy,
	},
	"apache with mod_lua":          apache("apache-lua.conf", "/usr/share/lua/5.3/socket.lua", "mintkeep-guard-apache.lua"),
	"apache with mod_oauth2":       apache("apache-mod_oauth2.conf", "/usr/lib/apache2/modules/mod_oauth2.so"),
	"apache with mod_auth_openidc": apache("apache-mod_auth_openidc.conf", "/usr/lib/apache2/modules/mod_auth_openidc.so"),
}

func signalled(s syscall.Signal) func(*gateway) error {
	return func(gw *gateway) error { return gw.process.Signal(s) }
}

// gateway is a gateway in front of a service, and a sidecar beside it.
type gateway struct {
	recipe
	t       *testing.T
	m       *guardtest.Server
	g       *guard.Guard
	host    string // an address of loopback that is its own
	url     string
	folder  string
	files   *strings.Replacer // of the files of the recipe
	process *os.Process
	output  bytes.Buffer
	kill    func() // the sidecar

	mu    sync.Mutex
	got   []*http.Request // what the service got
	body  []int64         // how long its bodies were
	conn  int             // connections to the sidecar
	extra int64           // bytes of bodies that the sidecar got
}

// newGateway starts a gateway in front of a service. The sidecar beside it asks a guard.
func newGateway(t *testing.T, name string, change ...func(*guard.Config)) *gateway {
	t.Helper()
	gw := &gateway{recipe: recipes[name], t: t}
	program := gw.look()
	gw.m = guardtest.NewServer(t)
	c := guard.Config{Audiences: []string{orders}}
	for _, f := range change {
		f(&c)
	}
	gw.g = gw.m.Guard(c)
	gw.m.Settle(gw.g)
	gw.host = fmt.Sprintf("127.0.1.%d", hosts.Add(1))
	gw.folder = openFolder(t)
	socket, tcp := filepath.Join(gw.folder, "g.sock"), gw.freeAddr()
	gw.sidecar(socket, tcp)
	gw.url = gw.freeAddr()
	certificate, key := gw.certificate()
	gw.files = strings.NewReplacer(
		"/run/mintkeep-guard.sock", socket, "127.0.0.1:8181", tcp, "127.0.0.1:8443", gw.freeAddr(), "127.0.0.1:8182", gw.freeAddr(),
		"listen 8080", "listen "+gw.url, "bind :8080", "bind "+gw.url, "Listen 8080", "Listen "+gw.url, "\n:8080 {", "\nhttp://"+gw.url+" {\n\tbind "+gw.host,
		"/etc/haproxy/", gw.folder+"/", "/etc/apache2/mintkeep", gw.folder+"/mintkeep", "/var/lib/caddy/", gw.folder+"/",
		"/run/apache2.pid", gw.folder+"/apache2.pid", "/var/log/apache2/error.log", gw.folder+"/error.log",
		"/etc/ssl/certs/ssl-cert-snakeoil.pem", certificate, "/etc/ssl/private/ssl-cert-snakeoil.key", key,
	)
	gw.write(gw.service(gw.serve))
	gw.start(program)
	return gw
}

// hosts counts gateways. Each has an address of its own, where no other process takes a port that was free.
var hosts atomic.Int32

func (gw *gateway) freeAddr() string {
	gw.t.Helper()
	l, err := net.Listen("tcp", gw.host+":0")
	if err != nil {
		gw.t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// service starts a service behind the gateway and returns its address.
func (gw *gateway) service(h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	gw.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// look finds the program of the gateway, or skips the test.
func (gw *gateway) look() string {
	gw.t.Helper()
	if gw.program == "caddy" && *caddy != "" {
		return *caddy
	}
	program, err := exec.LookPath(gw.program)
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/" + gw.program)
	}
	for _, file := range gw.needs {
		_, missing := os.Stat(file)
		err = errors.Join(err, missing)
	}
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("MINTKEEP_TEST_REQUIRE"), ","), gw.program) {
			gw.t.Fatal(err)
		}
		gw.t.Skip(err)
	}
	return program
}

// openFolder is a folder that the user of the gateway may enter.
func openFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for path := folder; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o777); err != nil { // the workers of a gateway have another user
			t.Fatal(err)
		}
	}
	return folder
}

// write writes the files of the recipe, with the addresses of this test and that of the service.
func (gw *gateway) write(service string) {
	gw.t.Helper()
	for _, file := range append([]string{gw.file}, gw.beside...) {
		text, err := os.ReadFile(filepath.Join("../../../../docs/gateways", file))
		if err != nil {
			gw.t.Fatal(err)
		}
		changed := strings.ReplaceAll(gw.files.Replace(string(text)), "127.0.0.1:9000", service)
		if err := os.WriteFile(filepath.Join(gw.folder, file), []byte(changed), 0o644); err != nil {
			gw.t.Fatal(err)
		}
	}
}

// command is a command of the gateway's program.
func (gw *gateway) command(program string, args []string) *exec.Cmd {
	replace := strings.NewReplacer("CONFIG", filepath.Join(gw.folder, gw.file), "FOLDER", gw.folder)
	for i := range args {
		args[i] = replace.Replace(args[i])
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "HOME="+gw.folder)
	return cmd
}

func (gw *gateway) start(program string) {
	gw.t.Helper()
	if out, err := gw.command(program, slices.Clone(gw.check)).CombinedOutput(); err != nil {
		gw.t.Fatalf("the file is not valid: %v\n%s", err, out)
	}
	cmd := gw.command(program, slices.Clone(gw.run))
	cmd.Stdout, cmd.Stderr = &gw.output, &gw.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		gw.t.Fatal(err)
	}
	gw.process = cmd.Process
	gw.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if gw.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(gw.folder, "error.log"))
			gw.t.Logf("%s%s", &gw.output, log)
		}
	})
	gw.eventually("listens", func() bool {
		c, err := net.Dial("tcp", gw.url)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// reloadCaddy does what systemctl reload does.
func (gw *gateway) reloadCaddy() error {
	cmd := gw.command(gw.look(), []string{"reload", "--adapter", "caddyfile", "--config", "CONFIG", "--force"})
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	return cmd.Run()
}

// eventually waits for a state.
func (gw *gateway) eventually(what string, done func() bool) {
	gw.t.Helper()
	for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			gw.t.Fatalf("%s: not within a minute", what)
		}
	}
}

// sidecar serves on a socket, which everyone may use here, and on an address.
func (gw *gateway) sidecar(socket, addr string) {
	gw.t.Helper()
	h := newSidecar(gw.g, settings{}, newCounters(), slog.New(slog.DiscardHandler))
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/introspect" {
				n, _ := io.Copy(io.Discard, r.Body)
				gw.mu.Lock()
				gw.extra += n
				gw.mu.Unlock()
			}
			h.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				gw.mu.Lock()
				gw.conn++
				gw.mu.Unlock()
			}
		},
	}
	for _, at := range []string{"unix:" + socket, addr} {
		l, err := listen(gw.t.Context(), at)
		if err != nil {
			gw.t.Fatal(err)
		}
		go func() { _ = server.Serve(l) }()
	}
	if err := os.Chmod(socket, 0o777); err != nil {
		gw.t.Fatal(err)
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

// last is the last request that the service got, and the length of its body.
func (gw *gateway) last() (*http.Request, int64) {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	if len(gw.got) == 0 {
		return nil, 0
	}
	return gw.got[len(gw.got)-1], gw.body[len(gw.body)-1]
}

// served is how many requests the service got.
func (gw *gateway) served() int {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	return len(gw.got)
}

// connections is how many connections to the sidecar were made.
func (gw *gateway) connections() int {
	gw.mu.Lock()
	defer gw.mu.Unlock()
	return gw.conn
}

// answer is an answer of the gateway.
type answer struct {
	*http.Response
	text string
}

func (gw *gateway) ask(client *http.Client, method, path, token string, change ...func(*http.Request)) (answer, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+gw.url+path, nil)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range change {
		f(r)
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answer{response, string(text)}, err
}

func (gw *gateway) want(status int, method, path, token string, change ...func(*http.Request)) answer {
	gw.t.Helper()
	a, err := gw.ask(http.DefaultClient, method, path, token, change...)
	if err != nil {
		gw.t.Fatal(err)
	}
	if a.StatusCode != status {
		gw.t.Fatalf("%s %s: %d %s, want %d", method, path, a.StatusCode, a.text, status)
	}
	return a
}

func eachGateway(t *testing.T, f func(t *testing.T, name string)) {
	for name := range recipes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, name)
		})
	}
}
