package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// writeCertificate makes a certificate with this serial number, and its key.
func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A changed certificate is served from the next connection on; one that cannot be used changes nothing.
func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	one := servertest.New(t, storetest.Embedded(t), "MINTKEEP_TLS_CERT="+certFile, "MINTKEEP_TLS_KEY="+keyFile)
	one.Server.Hurry(func(p *server.Timeouts) { p.Certificate = 0 })
	s := serve(t, one)
	get := func() (serial int64) {
		t.Helper()
		transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		r, err := (&http.Client{Transport: transport}).Get("https://" + s.addr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK || r.ProtoMajor != 2 || r.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("got %d by %s, %v", r.StatusCode, r.Proto, r.Header)
		}
		return r.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got := get(); got != 1 {
		t.Errorf("at first: serial %d", got)
	}
	writeCertificate(t, certFile, keyFile, 2)
	if got := get(); got != 2 {
		t.Errorf("after a change: serial %d", got)
	}
	if err := os.WriteFile(certFile, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 2 {
		t.Errorf("after a bad change: serial %d", got)
	}
	writeCertificate(t, certFile, keyFile, 3)
	if got := get(); got != 3 {
		t.Errorf("after it was mended: serial %d", got)
	}
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if c, err := tls.Dial("tcp", s.addr, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is taken")
	}
}

// Of TLS 1.2 the suites with authenticated encryption are accepted, and no other that Go can offer.
func TestCipherSuites(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	s := serve(t, servertest.New(t, storetest.Embedded(t), "MINTKEEP_TLS_CERT="+certFile, "MINTKEEP_TLS_KEY="+keyFile))
	accepted := map[string]bool{}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if slices.Contains(suite.SupportedVersions, tls.VersionTLS13) {
			continue // TLS 1.3 negotiates its own
		}
		offer := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}}
		c, err := tls.Dial("tcp", s.addr, offer)
		if err != nil {
			continue
		}
		accepted[tls.CipherSuiteName(c.ConnectionState().CipherSuite)] = true
		_ = c.Close()
	}
	want := map[string]bool{ // the certificate is of ECDSA
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": true, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": true,
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": true,
	}
	if diff := cmp.Diff(want, accepted); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
