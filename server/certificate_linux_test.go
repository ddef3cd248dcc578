package server_test

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mintkeep/mintkeep/server"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A certificate that was renewed while there was no file to read it with is used as soon as there is one.
func TestCertificateWithoutFiles(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	one := servertest.New(t, storetest.Embedded(t), "MINTKEEP_TLS_CERT="+certFile, "MINTKEEP_TLS_KEY="+keyFile)
	one.Server.Hurry(func(p *server.Timeouts) { p.Certificate = 0 })
	s := serve(t, one)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	serial := func(c net.Conn) int64 {
		secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		if err := secure.Handshake(); err != nil {
			t.Error(err)
			return 0
		}
		return secure.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	early, second := dial(), dial()
	if got := serial(second); got != 1 { // and the earlier is accepted too
		t.Fatalf("at first: serial %d", got)
	}
	writeCertificate(t, certFile, keyFile, 2)
	restore := withoutFiles(t)
	got := serial(early)
	restore()
	if got != 1 {
		t.Errorf("without files: serial %d", got)
	}
	if got := serial(dial()); got != 2 {
		t.Errorf("after it: serial %d", got)
	}
}

// withoutFiles has this process open no more files until restore is called.
func withoutFiles(t *testing.T) (restore func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	restore = func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) }
	t.Cleanup(restore)
	return restore
}
