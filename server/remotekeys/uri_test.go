package remotekeys_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/remotekeys"
)

func TestURLs(t *testing.T) {
	const (
		noHost  = "must have a host name"
		address = "must have a host name: an address needs MINTKEEP_FETCH_ALLOW"
		https   = "must begin with https://"
		port    = "must have the port 443, or one from 1024 to 65535"
	)
	b := newBench(t, patience, "MINTKEEP_FETCH_ALLOW=127.0.0.1,10.1.0.0/16,fd00::/64,sidecar.internal.")
	for uri, want := range map[string]string{
		"https://keys.example.com":                 "",
		"https://keys.example.com/a/jwks.json?v=1": "",
		"https://keys.example.com.:443/":           "",
		"https://keys.example.com:8443/":           "",
		"HTTPS://KEYS.EXAMPLE.COM/":                "",
		"https://xn--mnze-0ra.example/":            "",
		"https://sidecar.internal/":                "",
		"http://sidecar.internal:8080/":            "",
		"http://SIDECAR.internal.:8080/":           "",
		"http://127.0.0.1:8080/":                   "",
		"http://localhost:8080/":                   "",
		"https://10.1.2.3/":                        "",
		"https://[fd00::1]/":                       "",
		"https://[::ffff:10.1.2.3]/":               "",

		"http://keys.example.com:8080/": https,
		"http://10.1.2.3:8080/":         https,
		"file:///etc/passwd":            https,
		"gopher://keys.example.com/":    https,
		"http://sidecar.internal/":      port,
		"https://keys.example.com:22/":  port,
		"https://keys.example.com:80/":  port,
		"https://keys.example.com:0/":   port,
		"https://keys.example.com:/":    port,

		"https://keys.example.com:65536/":                      port,
		"https://keys.example.com:https/":                      "must be an absolute URL",
		"https:keys.example.com":                               "must be an absolute URL",
		"//keys.example.com/":                                  "must be an absolute URL",
		"":                                                     "must be an absolute URL",
		"https://user:pw@keys.example.com/":                    "must have no user and no password",
		"https://@keys.example.com/":                           "must have no user and no password",
		"https://keys.example.com/#f":                          "must have no fragment",
		"https://keys.example.com/#":                           "must have no fragment",
		"https:///x":                                           noHost,
		"https://:443/":                                        noHost,
		"https://-.example.com/":                               noHost,
		"https://2130706433/":                                  noHost,
		"https://127.1/":                                       noHost,
		"https://0x7f.0.0.1/":                                  noHost,
		"https://0177.0.0.1/":                                  noHost,
		"https://keys.0x7f000001/":                             noHost,
		"https://münze.example/":                               "must be printable ASCII without spaces",
		"https://keys.example.com/\r\nHost: x":                 "must be printable ASCII without spaces",
		"https://keys.example.com\\@localhost/":                "must be printable ASCII without spaces",
		"https://" + strings.Repeat("a.", 251) + "b/":          noHost, // 512 bytes
		"https://keys.example.com/" + strings.Repeat("a", 488): "must have at most 512 bytes",

		"https://127.0.0.2/":              address,
		"https://10.2.0.1/":               address,
		"https://169.254.169.254/":        address,
		"https://93.184.215.14/":          address, // public, and still no name that a certificate is for
		"https://[::1]/":                  address,
		"https://[::ffff:127.0.0.2]/":     address,
		"https://[fe80::1%25eth0]/":       address,
		"https://[fc00::1]/":              address,
		"https://[64:ff9b::7f00:1]/":      address,
		"https://[2002:7f00:1::]/":        address,
		"https://[::]/":                   address,
		"https://[fd00:0:0:1::1]/":        address,
		"https://[2606:4700:4700::1111]/": address,
	} {
		got := ""
		if err := b.CheckURI(uri); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", uri, got, want)
		}
	}
}

func FuzzCheckURI(f *testing.F) {
	for _, uri := range []string{"https://keys.example.com/jwks?x=1", "http://127.0.0.1:8080/", "https://[::1]:443/", "https://a:22", "https:///", "https://127.1"} {
		f.Add(uri)
	}
	fetcher, err := remotekeys.New(remotekeys.Options{Config: &config.Config{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if fetcher.CheckURI(uri) != nil {
			return
		}
		r, err := http.NewRequest(http.MethodGet, uri, http.NoBody)
		if err != nil {
			t.Fatalf("%q is accepted, and cannot be requested: %v", uri, err)
		}
		if _, err := netip.ParseAddr(r.URL.Hostname()); err == nil || r.URL.Scheme != "https" || r.URL.User != nil || r.URL.Fragment != "" {
			t.Errorf("%q is accepted", uri)
		}
	})
}
