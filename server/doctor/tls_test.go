package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCertificateFile(t *testing.T) {
	for _, tt := range []struct {
		host        string
		from, until time.Duration
		want        []string
	}{
		{"auth.example.com", -time.Hour, 100 * 24 * time.Hour, []string{"warn redis"}},
		{"*.example.com", -time.Hour, 100 * 24 * time.Hour, []string{"warn redis"}},
		{"elsewhere.example.com", -time.Hour, 100 * 24 * time.Hour, []string{"warn tls", "warn redis"}},
		{"auth.example.com", -time.Hour, 24 * time.Hour, []string{"warn tls", "warn redis"}},
		{"auth.example.com", -2 * time.Hour, -time.Hour, []string{"fail tls", "warn redis"}},
		{"auth.example.com", time.Hour, 2 * time.Hour, []string{"fail tls", "warn redis"}},
	} {
		cert, key := certificate(t, tt.host, tt.from, tt.until)
		patient{environ: []string{"MINTKEEP_TLS_CERT=" + cert, "MINTKEEP_TLS_KEY=" + key}}.wrong(t, tt.want...)
	}
}

// certificate makes one that signs itself, and returns its files.
func certificate(t *testing.T, host string, from, until time.Duration) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
