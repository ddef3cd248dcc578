package server_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// proxies are reverse proxies with their defaults: how each is started, before the address back.
var proxies = map[string]struct {
	config string
	args   func(file, dir string) []string
}{
	"nginx": {
		"daemon off; master_process off; pid %[3]s/pid; error_log stderr;\nevents {}\nhttp { access_log off; client_body_temp_path %[3]s/b; " +
			"proxy_temp_path %[3]s/p; fastcgi_temp_path %[3]s/f; uwsgi_temp_path %[3]s/u; scgi_temp_path %[3]s/s;\n" +
			"server { listen %[1]s; location / { proxy_pass http://%[2]s; } } }\n",
		func(file, dir string) []string { return []string{"-p", dir, "-c", file} },
	},
	"haproxy": {
		"defaults\n  mode http\n  timeout connect 5s\n  timeout client 50s\n  timeout server 50s\nfrontend f\n  bind %[1]s\n  default_backend b\nbackend b\n  server s %[2]s\n",
		func(file, _ string) []string { return []string{"-db", "-f", file} },
	},
	"caddy": {
		"{\n  admin off\n  auto_https off\n  storage file_system %[3]s\n}\nhttp://%[1]s {\n  reverse_proxy %[2]s\n}\n",
		func(file, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} },
	},
}

// A poll is an ordinary request: proxies with their defaults hold it no longer than the server does, and pass a void on.
func TestChangesBehindProxies(t *testing.T) {
	t.Parallel()
	s := watchedServer(t, storetest.Embedded(t))
	s.Register(t, servertest.M{"client_id": "billing"})
	for name, p := range proxies {
		t.Run(name, func(t *testing.T) {
			binary, err := exec.LookPath(name)
			if err != nil {
				if binary = "/usr/sbin/" + name; exec.Command(binary, "-v").Run() != nil {
					if slices.Contains(strings.Split(os.Getenv("MINTKEEP_TEST_REQUIRE"), ","), name) {
						t.Fatal(name + " is not installed, and MINTKEEP_TEST_REQUIRE asks for it")
					}
					t.Skip(name + " is not installed")
				}
			}
			dir, at := t.TempDir(), storetest.FreeAddr(t)
			file := filepath.Join(dir, "config")
			if err := os.WriteFile(file, fmt.Appendf(nil, p.config, at, strings.TrimPrefix(s.URL, "http://"), dir), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(binary, p.args(file, dir)...)
			cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			through := func(r *http.Request) { r.URL.Host = at }
			eventually(t, func() bool {
				c, err := net.Dial("tcp", at)
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
			after := s.poll(t, nil, s.guard.Basic(), through).Cursor
			if c := s.poll(t, servertest.M{"after": after, "wait": 500}, s.guard.Basic(), through); c.Reset || c.Nonce != nonce {
				t.Errorf("without a change: %+v", c)
			}
			s.wantWoken(t, after, s.guard.Basic(), through)
		})
	}
}
