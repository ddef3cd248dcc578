package server

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mintkeep/mintkeep/server/fdreserve"
)

// keyPair is the server's certificate. It is read again when a file has changed, which is checked when a caller connects,
// and at [Server.Reload].
type keyPair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   string // of the files that were last read, valid or not
	checked time.Time
}

func loadKeyPair(certFile, keyFile string, log *slog.Logger) (*keyPair, error) {
	p := &keyPair{certFile: certFile, keyFile: keyFile, log: log, checked: time.Now()}
	p.stamp = p.stampOf()
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("MINTKEEP_TLS_CERT and MINTKEEP_TLS_KEY: %w", err)
	}
	p.current = &certificate
	return p, nil
}

// aead are the cipher suites of TLS 1.2 that are offered: those of RFC 9325 §4.2, and no CBC, which Go's default list
// has. TLS 1.3 has no others.
var aead = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// config checks the files at most once in each throttle.
func (p *keyPair) config(throttle time.Duration) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		CipherSuites:   aead,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.certificate(throttle), nil },
	}
}

func (p *keyPair) certificate(throttle time.Duration) *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.checked) < throttle {
		return p.current
	}
	p.checked = time.Now()
	if stamp := p.stampOf(); stamp != p.stamp {
		switch changed, err := p.read(stamp); {
		case err != nil:
			p.log.Error("the changed certificate cannot be used; the previous one stays in use", "error", err)
		case changed:
			p.log.Info("the certificate was reloaded")
		}
	}
	return p.current
}

// reload reads the files, whether or not they look changed, and tells whether it is another certificate.
func (p *keyPair) reload() (changed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read(p.stampOf())
}

// read takes the certificate that is in the files now; stamp was theirs before. The caller has the lock.
func (p *keyPair) read(stamp string) (changed bool, err error) {
	fresh, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if !fdreserve.Exhausted(err) { // else the files may be valid
		p.stamp = stamp
	}
	if err != nil {
		return false, err
	}
	changed = !slices.EqualFunc(fresh.Certificate, p.current.Certificate, bytes.Equal)
	p.current = &fresh
	return changed, nil
}

// stampOf is the state of both files, without reading them.
func (p *keyPair) stampOf() (stamp string) {
	for _, name := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			stamp += err.Error()
			continue
		}
		stamp += fmt.Sprint(info.ModTime().UnixNano(), info.Size(), ";")
	}
	return stamp
}
