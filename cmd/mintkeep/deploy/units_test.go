package deploy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// installed is where a package was unpacked: then its files are tested, and not those of the repository.
var installed = flag.String("installed", "", "the folder that a Debian package was unpacked to, for the tests of units")

// unitFile is the text of a unit, or of its environment file.
func unitFile(t *testing.T, file string) string {
	t.Helper()
	name, isUnit := strings.CutSuffix(file, ".service")
	switch {
	case *installed == "":
		return read(t, filepath.Join(recipes, file))
	case isUnit:
		return read(t, filepath.Join(*installed, "usr/lib/systemd/system", file))
	default:
		return read(t, filepath.Join(*installed, "etc", strings.TrimSuffix(name, ".env"), file))
	}
}

// program is that of the package, or the one that was built.
func program(t *testing.T, name string, built func(testing.TB) string) string {
	t.Helper()
	if *installed != "" {
		return filepath.Join(*installed, "usr/bin", name)
	}
	return built(t)
}

// unit is a systemd unit: the values of each directive, in their order.
type unit map[string][]string

func readUnit(t *testing.T, file string) unit {
	t.Helper()
	u := unit{}
	for line := range strings.Lines(unitFile(t, file)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			u[name] = append(u[name], value)
		}
	}
	return u
}

// credentials are the ids that LoadCredential names, and the files that they are read from.
func (u unit) credentials() map[string]string {
	files := map[string]string{}
	for _, value := range u["LoadCredential"] {
		id, path, _ := strings.Cut(value, ":")
		files[id] = path
	}
	return files
}

// variables are those of an environment file. The second ones are in comments, for an operator to choose.
func variables(t *testing.T, file string) (set, proposed map[string]string) {
	t.Helper()
	set, proposed = map[string]string{}, map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^(#?)(MINTKEEP_[A-Z_]+)=(.*)$`).FindAllStringSubmatch(unitFile(t, file), -1) {
		if match[1] == "#" {
			proposed[match[2]] = match[3]
		} else {
			set[match[2]] = match[3]
		}
	}
	return set, proposed
}

var units = map[string]string{"mintkeep.service": "mintkeep.env", "mintkeep-guard.service": "mintkeep-guard.env"}

// systemd accepts each directive, and rates what the services may do.
func TestUnitsAreAccepted(t *testing.T) {
	systemd := find(t, "systemd-analyze") //nolint:misspell // the name of the program
	dir := t.TempDir()
	for file := range units {
		text := regexp.MustCompile(`(?m)^ExecStart=\S+`).ReplaceAllString(unitFile(t, file), "ExecStart=/bin/true")
		write(t, filepath.Join(dir, file), text)
		if out, err := exec.Command(systemd, "verify", filepath.Join(dir, file)).CombinedOutput(); err != nil || len(out) != 0 {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
		// The threshold is ten times the exposure level: at most 2.0.
		if out, err := exec.Command(systemd, "security", "--offline=yes", "--threshold=20", "--no-pager", filepath.Join(dir, file)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// What an operator relies on, whatever systemd rates it.
func TestUnitsAreConfined(t *testing.T) {
	for file := range units {
		u := readUnit(t, file)
		for name, want := range map[string]string{
			"DynamicUser": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
			"NoNewPrivileges": "yes", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "SystemCallArchitectures": "native",
			"SystemCallFilter": "@system-service ~@privileged @resources", "MemoryDenyWriteExecute": "yes", "LockPersonality": "yes",
			"CapabilityBoundingSet": "", "UMask": "0077", "LimitNOFILE": "65536", "TimeoutStopSec": "20",
		} {
			if got, ok := u[name]; !ok || strings.Join(got, " ") != want {
				t.Errorf("%s: %s is %q, want %q", file, name, got, want)
			}
		}
	}
}

// Each secret, and each file that is one to others, comes as a credential; and each variable is a setting.
func TestUnitCredentials(t *testing.T) {
	u := readUnit(t, "mintkeep.service")
	set, proposed := variables(t, "mintkeep.env")
	for _, environment := range u["Environment"] {
		name, value, _ := strings.Cut(environment, "=")
		set[name] = strings.Replace(value, "%d", "/run/credentials/mintkeep.service", 1)
	}
	given := map[string]string{}
	for name, value := range proposed {
		given[name] = value
	}
	for name, value := range set {
		given[name] = value
	}
	known := map[string]bool{}
	for _, setting := range config.Settings() {
		name := setting.Name
		if setting.Secret {
			name = setting.File()
		}
		known[name] = true
		path, isCredential := strings.CutPrefix(given[name], "/run/credentials/mintkeep.service/")
		if (setting.Secret || setting.Placeholder == "PATH") && !isCredential {
			t.Errorf("%s is %q, which is not a credential", name, given[name])
		}
		if isCredential && u.credentials()[path] != "/etc/mintkeep/credentials/"+path {
			t.Errorf("%s is the credential %s, which is not loaded", name, path)
		}
	}
	for name := range given {
		if !known[name] {
			t.Errorf("%s is not a setting", name)
		}
	}
	// A file that is missing is an error to systemd, unless the credential has a default.
	for id := range u.credentials() {
		_, required := set["MINTKEEP_"+strings.ToUpper(strings.ReplaceAll(id, "-", "_"))+"_FILE"]
		if hasDefault := slices.Contains(u["SetCredential"], id+`:\n`); hasDefault == required && id != "admin-token" {
			t.Errorf("%s is required: %v, and has a default: %v", id, required, hasDefault)
		}
	}
}

// unitProcess is a unit as systemd runs it, but for its confinement: its command, its environment, and its credentials in a folder.
type unitProcess struct {
	*process
	unit
	credentials string
}

// startUnit writes the credentials and starts the unit.
func startUnit(t *testing.T, file, program string, credentials, change map[string]string) *unitProcess {
	t.Helper()
	p := &unitProcess{unit: readUnit(t, file), credentials: t.TempDir()}
	for id := range p.unit.credentials() {
		if content, ok := credentials[id]; ok {
			p.write(t, id, content)
		} else if slices.Contains(p.unit["SetCredential"], id+`:\n`) {
			p.write(t, id, "")
		} else {
			t.Fatalf("%s: the credential %s is required", file, id)
		}
	}
	values, _ := variables(t, units[file])
	for _, environment := range p.unit["Environment"] {
		name, value, _ := strings.Cut(environment, "=")
		values[name] = value
	}
	for name, value := range change {
		values[name] = value
	}
	environ := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range values {
		value = strings.NewReplacer("%d", p.credentials, "/run/credentials/"+file, p.credentials).Replace(value)
		environ = append(environ, name+"="+value)
	}
	words := strings.Fields(p.unit["ExecStart"][0])
	if words[0] != "/usr/bin/"+filepath.Base(program) {
		t.Fatalf("%s starts %s", file, words[0])
	}
	p.process = start(t, environ, append([]string{program}, words[1:]...))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.out.String())
		}
	})
	return p
}

func (p *unitProcess) write(t *testing.T, id, content string) {
	t.Helper()
	write(t, filepath.Join(p.credentials, id), content+"\n")
}

// reload runs the commands of ExecReload, as systemctl reload does.
func (p *unitProcess) reload(t *testing.T) {
	t.Helper()
	for _, command := range p.unit["ExecReload"] {
		words := strings.Fields(strings.ReplaceAll(command, "$MAINPID", strconv.Itoa(p.Process.Pid)))
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
}

// selfSigned is a new certificate for localhost, and its key, in PEM.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// mintkeep.service with its environment file, with TLS as the comments there propose. ExecReload has it read its files again: the
// admin token, the password of Redis and the certificate, while requests succeed.
func TestUnitReloads(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	redis := storetest.Redis(t)
	if _, err := redis.Do("ACL", "SETUSER", "mintkeep", "on", ">first", ">second", "~*", "+@all"); err != nil {
		t.Fatal(err)
	}
	redisURL := func(password string) string {
		return strings.Replace(redis.URL(), "://", "://mintkeep:"+password+"@", 1)
	}
	certificate, key := selfSigned(t)
	addr := storetest.FreeAddr(t)
	change := map[string]string{"MINTKEEP_ADDR": addr, "MINTKEEP_ISSUER": "https://localhost:" + portOf(addr), "MINTKEEP_METRICS_ADDR": ""}
	_, proposed := variables(t, "mintkeep.env")
	for _, name := range []string{"MINTKEEP_TLS_CERT", "MINTKEEP_TLS_KEY"} {
		change[name] = proposed[name]
	}
	p := startUnit(t, "mintkeep.service", program(t, "mintkeep", processtest.Program), map[string]string{
		"redis-url": redisURL("first"), "master-key": processtest.MasterKey, "admin-token": processtest.AdminToken,
		"tls-certificate": certificate, "tls-key": key,
	}, change)

	c := callerThatTrusts(addr, certificate)
	processtest.Eventually(t, processtest.Patience, c.Ready, p.out.String)
	client := c.Register(t, `{"client_id":"billing","scope":"read"}`)

	second, key := selfSigned(t)
	p.write(t, "tls-key", key)
	p.write(t, "tls-certificate", second)
	p.write(t, "redis-url", redisURL("second"))
	p.write(t, "admin-token", "another-token-for-tests-that-is-long-enough")
	stop, lost := make(chan struct{}), make(chan []processtest.Answer)
	go func() { // the caller's connection, from before the reload
		var answers []processtest.Answer
		for {
			if got := c.Issue(client); !got.Is(http.StatusOK) {
				answers = append(answers, got)
			}
			select {
			case <-stop:
				lost <- answers
				return
			default:
			}
		}
	}()
	p.reload(t)
	fresh := callerThatTrusts(addr, second)
	processtest.Eventually(t, processtest.Patience, func() bool {
		return fresh.Call(http.MethodGet, "/admin/clients", "", "", "Bearer another-token-for-tests-that-is-long-enough").Is(http.StatusOK)
	}, p.out.String)
	close(stop)
	if got := <-lost; len(got) != 0 {
		t.Errorf("%d requests failed during the reload: %s", len(got), got[0])
	}
	if got := c.Admin(http.MethodGet, "/admin/clients", ""); !got.Is(http.StatusUnauthorized) {
		t.Errorf("the former admin token: %s", got)
	}
	if log := p.out.String(); strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "reloaded the certificate and the settings in files") {
		t.Errorf("the log is\n%s", log)
	}
}

func callerThatTrusts(addr, certificate string) processtest.Caller {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(certificate))
	return processtest.Caller{
		URL:  "https://localhost:" + portOf(addr),
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}
}

// mintkeep-guard.service with its environment file, beside a Mintkeep.
func TestGuardUnit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	at := storetest.FreeAddr(t)
	m := processtest.StartReady(t, append(processtest.OnRedis(storetest.Redis(t).URL()), "MINTKEEP_ADDR="+at, "MINTKEEP_ISSUER=http://"+at)...)
	secret := m.Admin(http.MethodPost, "/admin/clients", `{"client_id":"orders","scope":"mintkeep:introspect","grant_types":[]}`).
		Member(t, http.StatusCreated, "client_secret")
	addr := storetest.FreeAddr(t)
	p := startUnit(t, "mintkeep-guard.service", program(t, "mintkeep-guard", processtest.Guard), map[string]string{"client-secret": secret}, map[string]string{
		"MINTKEEP_ISSUER": m.URL, "MINTKEEP_GUARD_ADDR": addr,
	})
	g := processtest.Caller{URL: "http://" + addr}
	processtest.Eventually(t, processtest.Patience, g.Ready, p.out.String)
	if got := g.Get("/verify?scope=read"); !got.Is(http.StatusUnauthorized) {
		t.Errorf("without a credential: %s", got)
	}
}
