package config

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// relateTLS checks that certificate and key are both there and fit: a server that
// cannot serve must not start.
func (l *loader) relateTLS(c *Config) {
	switch {
	case c.TLSCert == "" && c.TLSKey == "":
		return
	case c.TLSKey == "":
		l.mistake("tls-key", errors.New("is missing: MINTKEEP_TLS_CERT is set"))
		return
	case c.TLSCert == "":
		l.mistake("tls-cert", errors.New("is missing: MINTKEEP_TLS_KEY is set"))
		return
	}
	cert, _, certErr := readFile(c.TLSCert)
	if certErr != nil {
		l.mistake("tls-cert", fmt.Errorf("cannot be read: %w", certErr))
	}
	key, open, keyErr := readFile(c.TLSKey)
	if keyErr != nil {
		l.mistake("tls-key", fmt.Errorf("cannot be read: %w", keyErr))
	}
	if certErr != nil || keyErr != nil {
		return
	}
	if open {
		l.warnings = append(l.warnings, fmt.Sprintf("MINTKEEP_TLS_KEY: every user of this machine can read %s: run chmod 0600 on it", c.TLSKey))
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		l.mistake("tls-cert", fmt.Errorf("and MINTKEEP_TLS_KEY cannot be used: %w", err))
	}
}
