package remotekeys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPublicAddresses(t *testing.T) {
	b := newBench(t, patience)
	for _, addr := range strings.Fields(`
		8.8.8.8 93.184.215.14 192.0.1.1 192.167.255.255 172.32.0.1 100.128.0.1 198.20.0.1 168.63.129.17
		2606:4700:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808`) {
		if !b.Public(netip.MustParseAddr(addr)) {
			t.Errorf("%s is not public", addr)
		}
	}
	for kind, addrs := range map[string]string{
		"loopback":             "127.0.0.1 127.255.255.255 ::1",
		"private":              "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fdff::1 fec0::1",
		"link-local":           "169.254.0.1 169.254.169.254 fe80::1 fe80::1%eth0 febf::1",
		"carrier-grade NAT":    "100.64.0.1 100.127.255.255",
		"multicast":            "224.0.0.1 239.255.255.255 ff02::1",
		"unspecified":          "0.0.0.0 0.1.2.3 ::",
		"documentation":        "192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1",
		"benchmarking":         "198.18.0.1 198.19.255.255 2001:2::1",
		"protocol assignments": "192.0.0.1 192.0.0.192 2001:1::1 100::1 5f00::1",
		"reserved":             "240.0.0.1 255.255.255.255 4000::1",
		"IPv4-mapped":          "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254",
		"IPv4-compatible":      "::127.0.0.1",
		"NAT64":                "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::a00:1 64:ff9b:1::808:808",
		"6to4":                 "2002:7f00:1:: 2002:a00:1::1",
		"Teredo":               "2001::1 2001:0:7f00:1::",
		"cloud metadata":       "169.254.169.254 169.254.170.2 fd00:ec2::254 fd20:ce::254 100.100.100.200 168.63.129.16 192.0.0.192",
	} {
		for _, addr := range strings.Fields(addrs) {
			if b.Public(netip.MustParseAddr(addr)) {
				t.Errorf("%s: %s is public", kind, addr)
			}
		}
	}
}

// A name is an address only when it is dialled. A private one must not see a connection then.
func TestNamesOfPrivateAddresses(t *testing.T) {
	public, uri := serveTLS(t, withKeys(keySet("k")))
	private := record(t, "127.0.0.1:"+port(public.Listener))
	b := newBench(t, patience, "MINTKEEP_FETCH_ALLOW="+internet.String(), "MINTKEEP_FETCH_CA="+public.ca(t))
	loopback := netip.MustParseAddr("127.0.0.1")

	const notPublic = "is not public, and MINTKEEP_FETCH_ALLOW does not list it"
	for name, addr := range map[string]string{
		"loopback": "127.0.0.1", "unspecified": "0.0.0.0", "private": "10.0.0.1", "metadata": "169.254.169.254",
		"carrier-grade NAT": "100.64.0.1", "metadata of Oracle": "192.0.0.192", "benchmarking": "198.18.0.1",
		"multicast": "224.0.0.1", "reserved": "240.0.0.1", "broadcast": "255.255.255.255", "mapped": "::ffff:127.0.0.1",
	} {
		b.names.are(netip.MustParseAddr(addr))
		if got := b.check(t, uri); !strings.Contains(got, notPublic) {
			t.Errorf("%s: got %q", name, got)
		}
	}
	b.names.alias("localhost.", loopback)
	if got := b.check(t, uri); !strings.Contains(got, notPublic) {
		t.Errorf("an alias of localhost: got %q", got)
	}
	b.names.are(loopback, internet)
	if got := b.check(t, uri); got != "" {
		t.Errorf("a name with a second, public address: got %q", got)
	}

	b.names.are(internet)
	if got := b.check(t, uri); got != "" {
		t.Fatalf("the public address: got %q", got)
	}
	b.names.are(loopback)
	b.clock.Advance(55 * time.Minute)
	if got := b.keys(t, uri); got != "k" {
		t.Errorf("a name that is private now: got %s", got)
	}
	b.WaitIdle()
	if log := b.log.String(); !strings.Contains(log, notPublic) {
		t.Errorf("the log does not say why: %s", log)
	}
	private.sawNothing(t)
}

func TestListedAddresses(t *testing.T) {
	server, uri := serveTLS(t, withKeys(keySet("k")))
	for allow, want := range map[string]string{
		"127.0.0.0/8":                      "",
		"127.0.0.2":                        "",
		"keys.example.com":                 "",
		"10.0.0.0/8,Keys.Example.COM.":     "",
		"127.0.0.3":                        "not public",
		"example.com":                      "not public",
		"www.example.com,10.0.0.0/8,::1":   "not public",
		"::ffff:127.0.0.0/104,192.168.0.1": "",
	} {
		b := newBench(t, patience, "MINTKEEP_FETCH_ALLOW="+allow, "MINTKEEP_FETCH_CA="+server.ca(t))
		b.names.are(internet)
		got := b.check(t, uri)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("with %s: got %q, want %q", allow, got, want)
		}
	}

	// By http only this machine is reached, whatever the name says.
	b := newBench(t, patience, "MINTKEEP_FETCH_ALLOW=keys.example.com,192.0.2.0/24")
	b.names.are(netip.MustParseAddr("192.0.2.1"))
	got := b.check(t, "http://keys.example.com:8080/")
	if want := "cannot be fetched: http is only for a loopback address that MINTKEEP_FETCH_ALLOW lists"; got != want {
		t.Errorf("http to another machine: got %q, want %q", got, want)
	}
}

func TestCertificates(t *testing.T) {
	server, uri := serveTLS(t, withKeys(keySet("k")))
	expired, expiredURI := serveWith(t, selfSigned(t, "keys.example.com", -time.Hour))
	another, anotherURI := serveWith(t, selfSigned(t, "other.example.com", time.Hour))
	const allow = "MINTKEEP_FETCH_ALLOW=127.0.0.2"
	for name, tt := range map[string]struct {
		uri     string
		environ []string
		want    string
	}{
		"not of a known authority":      {uri, []string{allow}, "not of a known authority"},
		"of an authority that is added": {uri, []string{allow, "MINTKEEP_FETCH_CA=" + server.ca(t)}, ""},
		"expired":                       {expiredURI, []string{allow, "MINTKEEP_FETCH_CA=" + expired.ca(t)}, "has expired"},
		"for another name":              {anotherURI, []string{allow, "MINTKEEP_FETCH_CA=" + another.ca(t)}, "not for the host of the URL"},
	} {
		b := newBench(t, patience, tt.environ...)
		b.names.are(internet)
		if got := b.check(t, tt.uri); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}

	b := newBench(t, patience, "MINTKEEP_FETCH_ALLOW=127.0.0.9", "MINTKEEP_FETCH_CA="+server.ca(t))
	b.names.are(internet)
	b.Publish(internet)
	if got := b.check(t, uri); !strings.Contains(got, "not of a known authority") {
		t.Errorf("a public address with a certificate of the operator's authority: got %q", got)
	}
}

// selfSigned is a certificate for a host that expires at a time from now.
func selfSigned(t *testing.T, host string, expires time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(expires),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serveWith(t *testing.T, certificate tls.Certificate) (s *keyServer, uri string) {
	t.Helper()
	s, _ = serveTLS(t, withKeys(keySet("k")))
	s.stop()
	s.Server = httptest.NewUnstartedServer(s)
	s.Listener.Close()
	s.Listener = listen(t, internet.String()+":0")
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	return s, "https://keys.example.com:" + port(s.Listener) + "/jwks"
}

// The environment's proxy is for other programs. That of the setting is used for every fetch.
func TestProxy(t *testing.T) {
	ignored := record(t, "127.0.0.1:0")
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://"+ignored.Addr().String())
	}
	server, uri := serveTLS(t, withKeys(keySet("k")))
	b := newBench(t, patience, "MINTKEEP_FETCH_ALLOW=127.0.0.2", "MINTKEEP_FETCH_CA="+server.ca(t))
	b.names.are(internet)
	if got := b.check(t, uri); got != "" {
		t.Errorf("without a proxy: got %q", got)
	}
	ignored.sawNothing(t)

	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.Host
		to, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			return
		}
		w.WriteHeader(http.StatusOK)
		from, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		relay(from, buffered, to)
	}))
	defer proxy.Close()
	for _, allow := range []string{"keys.example.com", "other.example.com"} {
		b = newBench(t, patience, "MINTKEEP_FETCH_PROXY="+proxy.URL, "MINTKEEP_FETCH_ALLOW="+allow, "MINTKEEP_FETCH_CA="+server.ca(t))
		got, listed := b.check(t, uri), allow == "keys.example.com"
		if listed && got != "" || !listed && !strings.Contains(got, "not of a known authority") {
			t.Errorf("through the proxy, with %s: got %q", allow, got)
		}
		if want := "CONNECT " + strings.TrimSuffix(strings.TrimPrefix(uri, "https://"), "/jwks"); asked != want {
			t.Errorf("the proxy was asked for %q, want %q", asked, want)
		}
	}
}

// The authority of the operator is renewed like a certificate of the server.
func TestRootsAreReloaded(t *testing.T) {
	server, uri := serveTLS(t, withKeys(keySet("k")))
	another, _ := serveWith(t, selfSigned(t, "other.example.com", time.Hour))
	file := another.ca(t)
	b := newBench(t, patience, "MINTKEEP_FETCH_ALLOW=127.0.0.2", "MINTKEEP_FETCH_CA="+file)
	b.names.are(internet)
	if got := b.check(t, uri); got == "" {
		t.Fatal("the certificate is accepted before its authority is known")
	}
	replace(t, file, server.ca(t))
	if replaced, err := b.Reload(); !replaced || err != nil {
		t.Errorf("reloading: got %v, %v", replaced, err)
	}
	if got := b.check(t, uri); got != "" {
		t.Errorf("after reloading: got %q", got)
	}
	replace(t, file, "/dev/null")
	if replaced, err := b.Reload(); replaced || err == nil {
		t.Errorf("an empty file: got %v, %v", replaced, err)
	}
	if got := b.check(t, uri); got != "" {
		t.Errorf("after a file that cannot be used: got %q", got)
	}
}
