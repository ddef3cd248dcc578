package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, query string
		ok          bool
	}{
		{"private authority", "?ca=CERT", true},
		{"another name", "?ca=CERT&server_name=redis.internal", true},
		{"wrong name", "?ca=CERT&server_name=elsewhere.internal", false},
		{"unknown authority", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert, key := certificate(t)
			addr := storetest.FreeAddr(t)
			_, port, _ := net.SplitHostPort(addr)
			storetest.Redis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert,
				"--tls-auth-clients", "no")
			s, err := store.Open(store.Options{URL: "rediss://" + addr + strings.ReplaceAll(tt.query, "CERT", cert)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Ping(t.Context()); (err == nil) != tt.ok {
				t.Errorf("got %v, want success %v", err, tt.ok)
			}
		})
	}
}

// certificate makes a self-signed certificate for 127.0.0.1 and redis.internal, and returns its files.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"redis.internal"},
		IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", der)
}
