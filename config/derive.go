package config

import "crypto/rand"

// derive fills in the values that depend on others.
func (c *Config) derive(src Source) {
	if c.Issuer == "" {
		host, port := splitAddr(c.Addr)
		c.Issuer, c.issuerDerived = originOf(host, port, c.TLS()), true
	}
	if c.SeparateAdmin() && c.AdminURL == "" {
		host, port := splitAddr(c.AdminAddr)
		c.AdminURL, c.adminDerived = originOf(host, port, c.TLS()), true
	}
	if c.Audience == "" {
		c.Audience, c.audienceDerived = c.Issuer, true
	}
	if c.LogFormat == "" {
		c.LogFormat = map[bool]string{true: "text", false: "json"}[src.Terminal]
	}
	if c.Embedded() && len(c.MasterKeys) == 0 {
		key := make([]byte, masterKeySize)
		_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
		c.MasterKeys = MasterKeys{key}
	}
	if c.Embedded() && c.AdminToken == "" {
		c.AdminToken, c.adminTokenDrawn = Secret(rand.Text()+rand.Text()), true
	}
}

// LocalURL is the origin at which this machine reaches the server with these
// settings. It reads the address and TLS alone.
func LocalURL(src Source) (string, error) {
	l := newLoader(src)
	host, port := splitAddr(read(l, "addr", parseAddr))
	if err := l.err("addr"); err != nil {
		return "", err
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return origin(schemeOf(l.given("tls-cert")), host, port), nil
}

// LocalIssuer is the issuer that these settings name, or empty if none does: then it is derived.
func LocalIssuer(src Source) (string, error) {
	l := newLoader(src)
	issuer := read(l, "issuer", ParseOrigin)
	return issuer, l.err("issuer")
}
