package chart

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mintkeep accepts what the chart gives it: it starts with the arguments, the variables and the files of the container. No Redis is
// there, so it listens and waits for one.
func TestServerStarts(t *testing.T) {
	program := filepath.Join(t.TempDir(), "mintkeep")
	build := exec.Command("go", "build", "-o", program, "./cmd/mintkeep")
	build.Dir = "../../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	certificate, key := selfSigned(t)
	content := map[string]string{
		"admin-token": random(), "admin-token-next": random(), "master-key": random(),
		"tls.crt": certificate, "tls.key": key, "redis-ca.crt": certificate,
	}
	for file, redis := range map[string]string{
		"values-redis.yaml": "redis://127.0.0.1:1/0", "values-cluster.yaml": "redis+cluster://127.0.0.1:1,127.0.0.1:2",
		"values-sentinel.yaml": "rediss+sentinel://127.0.0.1:1/mymaster?ca=/run/secrets/mintkeep/redis-ca.crt",
	} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			content["redis-url"] = strings.ReplaceAll(redis, "/run/secrets/mintkeep", dir)
			for name, text := range content {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			container := mustRender(t, file, "secrets.adminTokenNext.name=mintkeep", "secrets.adminToken.name=mintkeep").deployment.Spec.Template.Spec.Containers[0]
			cmd := exec.Command(program, container.Args...)
			for _, v := range container.Env {
				value := strings.ReplaceAll(v.Value, "/run/secrets/mintkeep", dir)
				if strings.HasPrefix(value, ":") {
					value = "127.0.0.1:0"
				}
				cmd.Env = append(cmd.Env, v.Name+"="+value)
			}
			var log output
			cmd.Stderr = &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), `"msg":"listening"`); <-tick.C {
				select {
				case err := <-ended:
					t.Fatalf("it has ended: %v\n%s", err, log.String())
				default:
				}
				if time.Now().After(deadline) {
					t.Fatalf("it does not listen:\n%s", log.String())
				}
			}
			if strings.Contains(log.String(), "is not a setting") {
				t.Errorf("a variable has no effect:\n%s", log.String())
			}
		})
	}
}

// random is a secret of 32 bytes in base64.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
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
