package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// proxies are the files of docs/deploy/proxies. Only their addresses, and the paths of their certificates, are changed.
var proxies = map[string]struct {
	file, program string
	repeats       bool // sends a request that was answered 503 to the other server, where that is safe
	args          func(config string) []string
	reload        func(t *testing.T, p *proxy) // as the documentation of the proxy says
}{
	"nginx": {
		"nginx.conf", "nginx", true, func(config string) []string {
			return []string{"-c", config, "-g", "daemon off; pid " + filepath.Dir(config) + "/nginx.pid; error_log stderr;"}
		},
		func(t *testing.T, p *proxy) { p.signal(t, syscall.SIGHUP) },
	},
	"haproxy": {
		"haproxy.cfg", "haproxy", true, func(config string) []string { return []string{"-W", "-f", config} },
		func(t *testing.T, p *proxy) { p.signal(t, syscall.SIGUSR2) },
	},
	"caddy": {
		"Caddyfile", "caddy", false, func(config string) []string { return []string{"run", "--adapter", "caddyfile", "--config", config} },
		func(t *testing.T, p *proxy) {
			out, err := exec.CommandContext(t.Context(), p.program, "reload", "--force", "--adapter", "caddyfile", "--config", p.config, "--address", p.admin).CombinedOutput()
			if err != nil {
				t.Errorf("caddy reload: %v\n%s", err, out)
			}
		},
	},
}

const (
	publicHost   = "auth.example.com"
	operatorHost = "admin.internal.example"
)

// proxy is a proxy in front of two servers on one Redis.
type proxy struct {
	processtest.Caller // of the public host

	operators processtest.Caller
	redis     *storetest.Server
	late      *storetest.LateProxy // between both servers and redis
	public    *behind
	program   string
	config    string
	admin     string // where Caddy takes commands
	process   *os.Process
	output    processtest.Output
}

// behind are callers who reach a host through the proxy.
type behind struct {
	addr  string
	roots *x509.CertPool
}

// fresh is a caller with connections of its own.
func (b *behind) fresh(host string) processtest.Caller { return b.speaking(host, true) }

func (b *behind) speaking(host string, http2 bool) processtest.Caller {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, b.addr)
		},
		TLSClientConfig: &tls.Config{RootCAs: b.roots, ServerName: host, MinVersion: tls.VersionTLS12},
		Protocols:       protocols,
	}
	return processtest.Caller{URL: "https://" + host, HTTP: &http.Client{Transport: transport, Timeout: processtest.Patience}}
}

func (p *proxy) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

var operatorListener = regexp.MustCompile(`"msg":"listening for operators","address":"([^"]+)"`)

// newProxy starts two servers and the proxy in front of them.
func newProxy(t *testing.T, name string) *proxy {
	t.Helper()
	recipe := proxies[name]
	program, err := exec.LookPath(recipe.program)
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/" + recipe.program)
	}
	if err != nil {
		missing(t, recipe.program, recipe.program+" is not installed")
	}
	p := &proxy{program: program, admin: storetest.FreeAddr(t), redis: storetest.Redis(t)}
	p.late = storetest.NewLateProxy(t, p.redis)
	environ := append(processtest.OnRedis(p.late.URL(p.redis.URL())),
		"MINTKEEP_ISSUER=https://"+publicHost, "MINTKEEP_TRUSTED_PROXIES=127.0.0.1",
		"MINTKEEP_ADMIN_ADDR=127.0.0.1:0", "MINTKEEP_ADMIN_URL=https://"+operatorHost,
	)
	folder := t.TempDir()
	public, operators := storetest.FreeAddr(t), storetest.FreeAddr(t)
	replace := []string{
		"10.0.0.1:8443", operators, "bind 10.0.0.1\n", "bind 127.0.0.1\n", "/etc/ssl/", folder + "/",
		"worker_processes auto", "worker_processes 1", // which remembers the failures of all requests
		"listen 443 ", "listen " + public + " ", "bind :443 ", "bind " + public + " ", "localhost:2019", p.admin,
		publicHost + ":443", publicHost + ":" + port(public), operatorHost + ":8443", operatorHost + ":" + port(operators),
	}
	for _, host := range []string{"10.0.0.11", "10.0.0.12"} {
		server := processtest.StartReady(t, environ...)
		at := operatorListener.FindStringSubmatch(server.Log.String())
		if at == nil {
			t.Fatalf("no listener for operators: %s", server.Log)
		}
		replace = append(replace, host+":8080", strings.TrimPrefix(server.URL, "http://"), host+":8081", at[1])
	}
	p.config = filepath.Join(folder, recipe.file)
	save(t, p.config, strings.NewReplacer(replace...).Replace(text(t, "../../docs/deploy/proxies/"+recipe.file)))
	roots := writeCertificates(t, folder)
	p.start(t, folder, recipe.args(p.config))
	p.public = &behind{public, roots}
	p.Caller = p.public.fresh(publicHost)
	p.operators = (&behind{operators, roots}).fresh(operatorHost)
	processtest.Eventually(t, processtest.Patience, func() bool { return p.Ready() && p.operators.Ready() }, func() string {
		return p.Get("/readyz").String() + p.operators.Get("/readyz").String()
	})
	return p
}

func (p *proxy) start(t *testing.T, folder string, args []string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), p.program, args...)
	cmd.Env = append(os.Environ(), "HOME="+folder)
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.process = cmd.Process
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(p.output.String())
		}
	})
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// writeCertificates writes a certificate for each host, under the names that the files have, and trusts both.
func writeCertificates(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	for serial, host := range []string{publicHost, operatorHost} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(serial)), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		secret := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
		save(t, filepath.Join(folder, host+".crt"), chain)
		save(t, filepath.Join(folder, host+".key"), secret)
		save(t, filepath.Join(folder, host+".pem"), chain+secret)
		roots.AppendCertsFromPEM([]byte(chain))
	}
	return roots
}
