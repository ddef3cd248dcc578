package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
)

// file writes content under a short name and returns its path.
func file(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// keyPair writes a certificate and its key.
func keyPair(t *testing.T, keyMode os.FileMode) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = file(t, "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	key = file(t, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), keyMode)
	return cert, key
}

func TestSecretsFromFiles(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n"} {
		got, warnings := load(t, config.Source{Environ: []string{
			"MINTKEEP_ISSUER=https://auth.example.com",
			"MINTKEEP_REDIS_URL_FILE=" + file(t, "url", "redis://:p@redis"+end, 0o440),
			"MINTKEEP_MASTER_KEY_FILE=" + file(t, "key", master+end, 0o400),
			"MINTKEEP_ADMIN_TOKEN_FILE=" + file(t, "token", adminToken+end, 0o600),
		}})
		if len(warnings) > 0 {
			t.Errorf("got warnings %q", warnings)
		}
		if got.RedisURL.Reveal() != "redis://:p@redis" || got.AdminToken.Reveal() != adminToken || len(got.MasterKeys) != 1 {
			t.Errorf("end %q: got %q, %q and %d keys", end, got.RedisURL.Reveal(), got.AdminToken.Reveal(), len(got.MasterKeys))
		}
	}
}

func TestSecretFileMistakes(t *testing.T) {
	readable, empty := file(t, "token", adminToken, 0o600), file(t, "empty", "\n", 0o600)
	dir := filepath.Dir(readable)
	large := file(t, "large", strings.Repeat("x", 1<<20+1), 0o600)
	tests := []struct {
		name, path, want string
		more             []string
	}{
		{name: "missing", path: dir + "/nowhere", want: "cannot be read from the file of MINTKEEP_ADMIN_TOKEN_FILE: " + dir + "/nowhere: no such file"},
		{name: "directory", path: dir, want: "cannot be read from the file of MINTKEEP_ADMIN_TOKEN_FILE: " + dir + ": is a directory"},
		{name: "large", path: large, want: "cannot be read from the file of MINTKEEP_ADMIN_TOKEN_FILE: " + large + ": larger than 1 MiB"},
		{name: "empty", path: empty, want: "cannot be read from the file of MINTKEEP_ADMIN_TOKEN_FILE: " + empty + ": empty"},
		{name: "both", path: readable, want: "and MINTKEEP_ADMIN_TOKEN_FILE are both set: remove one", more: []string{"MINTKEEP_ADMIN_TOKEN=" + adminToken}},
		{name: "secret for a path", path: adminToken, want: "cannot be read from the file of MINTKEEP_ADMIN_TOKEN_FILE: no such file (the value is the path of a file, not its content)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mistakes(t, config.Source{Environ: append(tt.more, "MINTKEEP_ADMIN_TOKEN_FILE="+tt.path)})
			if d := cmp.Diff([]string{"MINTKEEP_ADMIN_TOKEN " + tt.want}, got); d != "" {
				t.Errorf("mistakes (-want +got):\n%s", d)
			}
		})
	}
}

func TestUnreadableRedisFileIsNoEmbeddedStore(t *testing.T) {
	got := mistakes(t, config.Source{Environ: []string{"MINTKEEP_REDIS_URL_FILE=/nowhere/url"}})
	if len(got) != 3 {
		t.Errorf("got %q, want the URL, the issuer and the master key", got)
	}
}

func TestTLSMistakes(t *testing.T) {
	cert, key := keyPair(t, 0o600)
	_, other := keyPair(t, 0o600)
	junk := file(t, "junk", "canary", 0o600)
	tests := []struct{ name, cert, key, want string }{
		{"no certificate", "", key, "MINTKEEP_TLS_CERT is missing: MINTKEEP_TLS_KEY is set"},
		{"no key", cert, "", "MINTKEEP_TLS_KEY is missing: MINTKEEP_TLS_CERT is set"},
		{"gone", "/nowhere/tls.crt", key, "MINTKEEP_TLS_CERT cannot be read: /nowhere/tls.crt: no such file"},
		{"junk", cert, junk, "MINTKEEP_TLS_CERT and MINTKEEP_TLS_KEY cannot be used: tls: failed to find any PEM data in key input"},
		{"mismatch", cert, other, "MINTKEEP_TLS_CERT and MINTKEEP_TLS_KEY cannot be used: tls: private key does not match public key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mistakes(t, config.Source{Environ: []string{"MINTKEEP_TLS_CERT=" + tt.cert, "MINTKEEP_TLS_KEY=" + tt.key}})
			if d := cmp.Diff([]string{tt.want}, got); d != "" {
				t.Errorf("mistakes (-want +got):\n%s", d)
			}
		})
	}
}
