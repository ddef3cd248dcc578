package deploy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// installation is a copy of docs/deploy with its secrets, as an operator has it after create-secrets.
type installation struct {
	t   *testing.T
	dir string
}

func newInstallation(t *testing.T, host string) installation {
	t.Helper()
	find(t, "openssl")
	i := installation{t, filepath.Join(t.TempDir(), "docs/deploy")}
	for _, file := range []string{"compose.yaml", "haproxy.cfg", "redis.conf", "create-secrets", "../gateways/Caddyfile"} {
		write(t, filepath.Join(i.dir, file), read(t, filepath.Join(recipes, file)))
	}
	write(t, filepath.Join(i.dir, "secrets/admin-token"), processtest.AdminToken+"\n")
	for range 2 { // it keeps what exists
		if out, err := exec.Command("sh", filepath.Join(i.dir, "create-secrets"), host).CombinedOutput(); err != nil {
			t.Fatalf("create-secrets: %v\n%s", err, out)
		}
	}
	return i
}

func (i installation) secret(name string) string {
	i.t.Helper()
	return strings.TrimSpace(read(i.t, filepath.Join(i.dir, "secrets", name)))
}

// stack is what docker compose up starts, without containers: each service is a process, with a folder in place of its file
// system. It sees the secrets that it was given, and no others.
type stack struct {
	installation
	composition
	addresses []string // as they are in the network of Compose, and here, in pairs
	listens   map[string]string
	made      map[string]container
	running   map[string]*process
}

// container is a service as a process has it: a folder, and what is replaced in its words and files.
type container struct {
	service
	root     string
	replacer *strings.Replacer
}

func newStack(t *testing.T) *stack {
	t.Helper()
	for _, program := range []string{"redis-server", "redis-cli", "haproxy", "caddy", "wget"} {
		find(t, program)
	}
	free := func() string { return storetest.FreeAddr(t) }
	proxy, redis, a, b, gateway, health := free(), free(), free(), free(), free(), free()
	s := &stack{installation: newInstallation(t, "localhost"), made: map[string]container{}, running: map[string]*process{}}
	s.listens = map[string]string{"mintkeep-a": a, "mintkeep-b": b, "proxy": proxy, "redis": redis, "orders-gateway": gateway}
	s.addresses = []string{
		"redis:6379", redis, "port 6379", "bind 127.0.0.1\nport " + portOf(redis), "mintkeep-a:8080", a, "mintkeep-b:8080", b,
		"172.30.77.10", "127.0.0.1", "127.0.0.1:8081", health, "127.0.0.1:8181", free(), "127.0.0.1:9000", free(),
		"\n:8080 {", "\nhttp://" + gateway + " {", "bind :443", "bind " + proxy,
	}
	s.composition = parseComposition(t, interpolate(read(t, filepath.Join(s.dir, "compose.yaml")), map[string]string{
		"MINTKEEP_HOST": "localhost:" + portOf(proxy), "MINTKEEP_USER": "1000:1000",
	}))
	t.Cleanup(func() {
		for name, p := range s.running {
			if t.Failed() {
				t.Logf("%s:\n%s", name, &p.out)
			}
		}
	})
	return s
}

// container makes the folder of a service, once: its processes read the files.
func (s *stack) container(name string) container {
	s.t.Helper()
	if made, ok := s.made[name]; ok {
		return made
	}
	service, root := s.Services[name], filepath.Join(s.dir, "containers", name)
	pairs := append([]string{"/run/secrets/", filepath.Join(root, "run/secrets") + "/"}, s.addresses...)
	mounted := map[string]string{}
	for _, volume := range service.Volumes {
		source, target, _ := strings.Cut(volume, ":")
		target = strings.TrimSuffix(target, ":ro")
		pairs = append(pairs, target, filepath.Join(root, target))
		if strings.HasPrefix(source, ".") {
			mounted[filepath.Join(root, target)] = filepath.Join(s.dir, source)
		} else {
			service.Tmpfs = append(service.Tmpfs, target)
		}
	}
	for _, dir := range service.Tmpfs {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, secret := range service.Secrets {
		mounted[filepath.Join(root, "run/secrets", secret.Target)] = filepath.Join(s.dir, s.Secrets[secret.Source].File)
	}
	replacer := strings.NewReplacer(pairs...)
	for here, source := range mounted {
		write(s.t, here, replacer.Replace(read(s.t, source)))
	}
	s.made[name] = container{service, root, replacer}
	return s.made[name]
}

// command is a command in the container of a service.
func (s *stack) command(name string, words []string) (environ, argv []string) {
	s.t.Helper()
	c := s.container(name)
	environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.root, "XDG_CONFIG_HOME=" + c.root + "/config", "XDG_DATA_HOME=" + c.root + "/data"}
	for variable, value := range c.Environment {
		if variable == "MINTKEEP_ADDR" {
			value = s.listens[name]
		}
		environ = append(environ, variable+"="+c.replacer.Replace(value))
	}
	switch _, program, _ := strings.Cut(c.Image, "ghcr.io/mintkeep/"); {
	case strings.HasPrefix(program, "mintkeep-guard:"):
		words = append([]string{processtest.Guard(s.t)}, withoutEntrypoint(words, "/mintkeep-guard")...)
	case program != "":
		environ = append(environ, "MINTKEEP_METRICS_ADDR=127.0.0.1:0")
		words = append([]string{processtest.Program(s.t)}, withoutEntrypoint(words, "/mintkeep")...)
	case words[0] == "redis-cli":
		words = append([]string{find(s.t, words[0]), "-p", portOf(s.listens["redis"])}, words[1:]...)
	default:
		words = append([]string{find(s.t, words[0])}, words[1:]...)
	}
	for _, word := range words {
		argv = append(argv, c.replacer.Replace(word))
	}
	return environ, argv
}

// withoutEntrypoint is a command without the program of the image, which a health check names and a command does not.
func withoutEntrypoint(words []string, program string) []string {
	if len(words) > 0 && words[0] == program {
		return words[1:]
	}
	return words
}

// up starts services, and waits until the health check of each is good.
func (s *stack) up(names ...string) {
	s.t.Helper()
	for _, name := range names {
		environ, argv := s.command(name, s.Services[name].Command)
		s.running[name] = start(s.t, environ, argv)
	}
	for _, name := range names {
		last := ""
		processtest.Eventually(s.t, processtest.Patience, func() bool {
			if s.running[name].gone() {
				s.t.Fatalf("%s has ended:\n%s", name, &s.running[name].out)
			}
			environ, argv := s.command(name, s.Services[name].Healthcheck.Test[1:])
			check := exec.Command(argv[0], argv[1:]...)
			check.Env = environ
			out, err := check.CombinedOutput()
			last = fmt.Sprint(err, "\n", string(out))
			return err == nil && !strings.Contains(string(out), "NOAUTH")
		}, func() string { return name + " is not healthy: " + last + s.running[name].out.String() })
	}
}

// cli is docker compose run --rm cli.
func (s *stack) cli(words ...string) string {
	s.t.Helper()
	environ, argv := s.command("cli", words)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environ
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%q: %v\n%s%s", words, err, out, err.(*exec.ExitError).Stderr)
	}
	return string(out)
}

func (s *stack) caller() processtest.Caller {
	s.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(s.secret("tls-certificate"))) {
		s.t.Fatal("create-secrets made no certificate")
	}
	return processtest.Caller{
		URL:  "https://localhost:" + portOf(s.listens["proxy"]),
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}
}

// compose.yaml as it stands: an operator is created, tokens are issued by both servers, and a service with a guard beside it
// accepts them until they are revoked.
func TestComposeRuns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	s := newStack(t)
	s.up("redis")
	s.up("mintkeep-a", "mintkeep-b")
	s.up("proxy")

	c := s.caller()
	if got := c.Get("/.well-known/oauth-authorization-server").Member(t, http.StatusOK, "issuer"); got != c.URL {
		t.Errorf("the issuer is %s, want %s", got, c.URL)
	}
	if got := s.cli("user", "create", "--email", "you@example.com", "--role", "operator"); !strings.Contains(got, c.URL+"/") {
		t.Errorf("got %s\nwant an invite link", got)
	}
	out, err := exec.Command(find(t, "redis-cli"), "-p", portOf(s.listens["redis"]), "get", "mk:x").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "NOAUTH") {
		t.Errorf("Redis without a password answers %q %v, want NOAUTH", out, err)
	}

	secret := regexp.MustCompile(`"client_secret": "(.*)"`).FindStringSubmatch(
		s.cli("client", "create", "--id", "orders", "--scope", "mintkeep:introspect", "--grant-types", "none", "--json"))
	write(t, filepath.Join(s.dir, "secrets/orders"), secret[1])
	s.up("orders")
	s.up("orders-guard")
	s.up("orders-gateway")
	shop := c.Register(t, `{"client_id":"shop","scope":"read","audience":["https://orders.example.com"]}`)
	token := c.Token(t, shop)
	gateway := processtest.Caller{URL: "http://" + s.listens["orders-gateway"]}
	order := func(credential string) processtest.Answer {
		return gateway.Call(http.MethodGet, "/orders/7", "", "", credential)
	}
	processtest.Eventually(t, processtest.Patience, func() bool { return order("").Is(http.StatusUnauthorized) },
		func() string { return "without a token: " + order("").String() })
	if got := order("Bearer " + token); !got.Is(http.StatusOK) || got.Body != "an order" {
		t.Errorf("with a token: %s", got)
	}

	s.running["mintkeep-a"].kill()
	for range 20 {
		if got := c.Issue(shop); !got.Is(http.StatusOK) {
			t.Fatalf("without one of the servers: %s", got)
		}
	}
	if got := c.Form("/oauth/revoke", shop, url.Values{"token": {token}}); !got.Is(http.StatusOK) {
		t.Fatalf("revoke: %s", got)
	}
	processtest.Eventually(t, processtest.Patience, func() bool { return order("Bearer " + token).Is(http.StatusUnauthorized) },
		func() string { return "the gateway accepts a token that was revoked" })

	s.noSecrets(append([]string{secret[1], token}, strings.SplitN(shop, " ", 2)[1])...)
}

// noSecrets checks that no program has written a secret.
func (s *stack) noSecrets(more ...string) {
	s.t.Helper()
	for _, name := range []string{"admin-token", "master-key", "redis-password", "redis-backup-password"} {
		more = append(more, s.secret(name))
	}
	for name, p := range s.running {
		for _, secret := range more {
			if strings.Contains(p.out.String(), secret) {
				s.t.Errorf("%s has written a secret", name)
			}
		}
	}
}
