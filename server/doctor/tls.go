package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// renewBefore is how much a certificate should have left.
const renewBefore = 14 * 24 * time.Hour

// certificateFile checks the certificate of this server, if it speaks TLS itself.
func certificateFile(cfg *config.Config, now time.Time) []Check {
	if !cfg.TLS() {
		return nil
	}
	chain, err := readChain(cfg.TLSCert)
	if err != nil {
		return []Check{{Name: "tls", State: Fail, Found: err.Error(), Fix: "MINTKEEP_TLS_CERT is a chain in PEM, the server's certificate first"}}
	}
	c := dated("tls", chain, now, "renew the certificate: the server loads a new file by itself")
	if c.State != Fail {
		c = suited(c, chain, cfg.Issuer)
	}
	return []Check{c}
}

func readChain(file string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d cannot be read: %w", file, len(chain)+1, err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%s has no certificate", file)
	}
	return chain, nil
}

// dated checks the dates of every certificate of a chain: an expired one breaks it.
func dated(name string, chain []*x509.Certificate, now time.Time, fix string) Check {
	c := Check{Name: name, State: OK, Fix: fix}
	from, until := chain[0].NotBefore, chain[0].NotAfter
	for _, certificate := range chain[1:] {
		if certificate.NotAfter.Before(until) {
			until = certificate.NotAfter
		}
		if certificate.NotBefore.After(from) {
			from = certificate.NotBefore
		}
	}
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case now.After(until):
		c.State, c.Found = Fail, "expired at "+day(until)
	case now.Before(from):
		c.State, c.Found = Fail, "not valid before "+day(from)
	case until.Sub(now) < renewBefore:
		c.State, c.Found = Warn, fmt.Sprintf("valid for %s more, until %s", age(until.Sub(now)), day(until))
	default:
		c.Found, c.Fix = "valid until "+day(until), ""
	}
	return c
}

// suited checks whether callers of the issuer will accept the certificate.
func suited(c Check, chain []*x509.Certificate, issuer string) Check {
	for i, certificate := range chain[1:] {
		if chain[i].CheckSignatureFrom(certificate) != nil {
			c.State, c.Found = Warn, c.Found+fmt.Sprintf("; certificate %d of the file did not sign the one before it", i+2)
			c.Fix = "put the chain in order: the server's certificate, then the one that signed it, and so on"
			return c
		}
	}
	u, err := url.Parse(issuer)
	if err == nil && chain[0].VerifyHostname(u.Hostname()) != nil {
		c.State, c.Found = Warn, c.Found+"; it is not for "+u.Hostname()+", the host of the issuer"
		c.Fix = "have it issued for that name too, unless a proxy in front has it"
	}
	return c
}

// serverCertificates checks those of Redis.
func serverCertificates(d *redisdb.Diagnosis, now time.Time) []Check {
	var checks []Check
	for _, shown := range d.Certificates {
		if shown.Err != nil || len(shown.Chain) == 0 {
			checks = append(checks, Check{
				Name: "redis tls", State: Fail, Found: shown.Addr + " shows no certificate: " + cause(shown.Err),
				Fix: "check that the port speaks TLS; without TLS, use redis:// in place of rediss://",
			})
			continue
		}
		c := dated("redis tls", shown.Chain, now, "renew the certificate of Redis")
		c.Found = shown.Addr + ": " + c.Found
		checks = append(checks, c)
	}
	return checks
}
