package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/mintkeep/mintkeep/config"
)

const defaultURL = "http://localhost:8080"

// environment reads the variables of the commands that call a server, and collects
// every error to report them at once.
type environment struct {
	p        process
	src      config.Source
	mistakes []config.Mistake
}

func newEnvironment(p process) *environment {
	return &environment{p: p, src: config.Source{Environ: p.environ}}
}

// mistake notes an error of a setting or a flag. example is a good value; empty: none would help.
func (e *environment) mistake(name, problem, example string) {
	if example != "" {
		example = name + "=" + example
	}
	e.mistakes = append(e.mistakes, config.Mistake{Setting: name, Problem: problem, Example: example})
}

// set is the first of these variables that has a value; empty: none has.
func (e *environment) set(names ...string) string {
	for _, name := range names {
		if e.src.Get(name) != "" {
			return name
		}
	}
	return ""
}

// url is where the server is. Each command that asks for it sends a credential there.
func (e *environment) url() string { return e.origin("MINTKEEP_URL", defaultURL) }

// adminURL is where /admin is.
func (e *environment) adminURL() string {
	if e.set("MINTKEEP_ADMIN_URL") == "" {
		return e.url()
	}
	return e.origin("MINTKEEP_ADMIN_URL", "http://localhost:8081")
}

func (e *environment) origin(name, example string) string {
	text := e.src.Get(name)
	if text == "" {
		return example
	}
	origin, err := config.ParseOrigin(text)
	if err != nil {
		e.mistake(name, err.Error(), example)
	}
	if config.PlainOffLoopback(origin) {
		warn(e.p, []string{name + " is plain http off loopback: the credential and the answer travel unprotected; use https"})
	}
	return origin
}

// secret is a variable that must be set, or one that names its file.
func (e *environment) secret(name, example string) config.Secret {
	known := len(e.mistakes)
	secret := e.optionalSecret(name, example)
	if secret == "" && len(e.mistakes) == known {
		e.mistake(name, "is required, or "+name+"_FILE", example)
	}
	return secret
}

// optionalSecret is a secret that need not be set.
func (e *environment) optionalSecret(name, example string) config.Secret {
	secret, warning, err := e.src.Secret(name)
	if warning != "" {
		warn(e.p, []string{warning})
	}
	if err != nil {
		e.mistake(name, err.Error(), example)
	}
	return secret
}

// caFile is the setting that names a file of certificates.
const caFile = "MINTKEEP_CA_FILE"

// caHelp describes it.
const caHelp = `
    MINTKEEP_CA_FILE        a file of PEM certificates of certificate authorities
                            that are trusted besides those of the system`

// httpClient calls the server. It trusts the authorities of MINTKEEP_CA_FILE besides those of the system. It follows no
// redirect: none is expected, and it would carry the credential elsewhere.
func (e *environment) httpClient(timeout time.Duration) *http.Client {
	c := &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	path := e.src.Get(caFile)
	if path == "" {
		return c
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without certificates
	}
	text, err := os.ReadFile(path)
	var inPath *os.PathError
	switch {
	case errors.As(err, &inPath):
		e.mistake(caFile, "names a file that cannot be read: "+path+": "+inPath.Err.Error(), "/etc/ssl/company-ca.pem")
	case err != nil:
		e.mistake(caFile, "names a file that cannot be read: "+err.Error(), "/etc/ssl/company-ca.pem")
	case !roots.AppendCertsFromPEM(text):
		e.mistake(caFile, "names a file without a PEM certificate: "+path, "/etc/ssl/company-ca.pem")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	c.Transport = transport
	return c
}

func (e *environment) err() error {
	if len(e.mistakes) == 0 {
		return nil
	}
	return usageError{&config.Error{Mistakes: e.mistakes}}
}
