package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// wire are requests as gateways send them that do not run in these tests. CREDENTIAL is replaced. Each asks whether its caller
// has the scope read, whatever the caller has written into its own request.
var wire = map[string]string{
	// Envoy's ext_authz by HTTP: path_prefix, then the caller's path and query; the caller's method and host; no body.
	"Envoy": `GET /verify/scope=read/orders/7?scope=none&audience=x&strict=0 HTTP/1.1
host: orders.example.com
authorization: Bearer CREDENTIAL
content-length: 0
x-forwarded-for: 203.0.113.7
x-forwarded-proto: https
x-request-id: 0f5c3b0e-1d2f-4c0e-9f57-8d0d6f5b7a11
x-envoy-internal: true
x-envoy-expected-rq-timeout-ms: 4000

`,
	"Envoy, a POST": `POST /verify/scope=read/orders/ HTTP/1.1
host: orders.example.com
authorization: Bearer CREDENTIAL
content-length: 0
x-forwarded-for: 203.0.113.7

`,
	"Envoy, with a part of the body": `PUT /verify/scope=read/orders/7 HTTP/1.1
host: orders.example.com
authorization: Bearer CREDENTIAL
content-length: 11
x-envoy-auth-partial-body: true

scope=write`,
	"Envoy, a path that climbs": `GET /verify/scope=read/../scope=none/ HTTP/1.1
host: orders.example.com
authorization: Bearer CREDENTIAL
content-length: 0

`,
	"Envoy, a path that climbs, encoded": `DELETE /verify/scope=read/%2e%2e/scope=none/%2fverify%3fscope=none HTTP/1.1
host: orders.example.com
authorization: Bearer CREDENTIAL
content-length: 0

`,
	// Traefik's ForwardAuth: always GET on the address of the configuration.
	"Traefik": `GET /verify?scope=read HTTP/1.1
Host: 127.0.0.1:8181
User-Agent: Go-http-client/1.1
Authorization: Bearer CREDENTIAL
X-Forwarded-For: 203.0.113.7
X-Forwarded-Host: orders.example.com
X-Forwarded-Method: DELETE
X-Forwarded-Port: 443
X-Forwarded-Proto: https
X-Forwarded-Server: gateway
X-Forwarded-Uri: /orders/7?scope=none&strict=0
X-Real-Ip: 203.0.113.7
Accept-Encoding: gzip

`,
	// All headers of the caller, if authRequestHeaders is not set.
	"Traefik, with the headers of the caller": `GET /verify?scope=read HTTP/1.1
Host: 127.0.0.1:8181
User-Agent: curl/8.7.1
Authorization: Bearer CREDENTIAL
Content-Type: application/x-www-form-urlencoded
Cookie: access_token=none
Forwarded: for=203.0.113.8;host=evil.example.com
X-Auth-Subject: admin
X-Original-Uri: /verify?scope=none
X-Forwarded-Method: POST
X-Forwarded-Uri: /verify?scope=none
Accept-Encoding: gzip

`,
	// The ExternalAuth filter of the Gateway API always sends Host, method, path, Content-Length and Authorization.
	"Gateway API": `PATCH /verify/scope=read/orders/7?audience=x HTTP/1.1
Host: orders.example.com
Content-Length: 0
Authorization: Bearer CREDENTIAL

`,
	"APISIX": `GET /verify?scope=read HTTP/1.1
Host: 127.0.0.1:8181
User-Agent: lua-resty-http/0.17.2 (Lua) ngx_lua/10026
X-Forwarded-Proto: http
X-Forwarded-Method: POST
X-Forwarded-Host: orders.example.com
X-Forwarded-Uri: /orders/7?scope=none
X-Forwarded-For: 203.0.113.7
Authorization: Bearer CREDENTIAL

`,
}

func TestRequestsOfOtherGateways(t *testing.T) {
	s := newStand(t, "")
	h2c := &http.Transport{Protocols: &http.Protocols{}}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	defer h2c.CloseIdleConnections()
	credentials := map[string]int{
		s.m.Token("billing", orders, "read"): 200, s.m.Key("billing", orders, "read"): 200,
		s.m.Token("billing", orders, "write"): 403, "junk": 401, "": 401,
	}
	for name, text := range wire {
		for credential, want := range credentials {
			line := "Bearer " + credential
			if credential == "" {
				line = "Basic YTpi"
			}
			text := strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\r\n"), "Bearer CREDENTIAL", line)
			for protocol, send := range map[string]func(string) answer{
				"HTTP/1.1": s.raw, "HTTP/2.0": func(text string) answer { return s.parsed(h2c, text) },
			} {
				a := send(text)
				if a.StatusCode != want || a.Proto != protocol {
					t.Errorf("%s, %s: %s %d %s, want %d", name, protocol, a.Proto, a.StatusCode, a.text, want)
				}
				if got := a.Header.Get("X-Auth-Subject"); want == 200 && got != "billing" {
					t.Errorf("%s, %s: the subject is %q", name, protocol, got)
				}
				if got := a.Header.Get("Www-Authenticate"); (want == 401 || want == 403) && !strings.HasPrefix(got, "Bearer ") {
					t.Errorf("%s, %s: the challenge is %q", name, protocol, got)
				}
			}
		}
	}
}

// raw sends these bytes.
func (s *stand) raw(text string) answer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, text); err != nil {
		s.t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.read(response)
}

// parsed sends the request that these bytes are.
func (s *stand) parsed(transport http.RoundTripper, text string) answer {
	s.t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		s.t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", s.url, ""
	response, err := transport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.read(response)
}

func (s *stand) read(response *http.Response) answer {
	s.t.Helper()
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response, string(text)}
}

// A request that is not as HTTP or RFC 6750 want it opens nothing.
func TestMalformedRequests(t *testing.T) {
	s := newStand(t, "")
	token := s.m.Token("billing", orders, "read")
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"well formed":             {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n", 200},
		"two credentials":         {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nAuthorization: Bearer " + token + "\r\n\r\n", 400},
		"two, joined":             {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + ", Bearer " + token + "\r\n\r\n", 401},
		"9 KiB":                   {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + strings.Repeat("a", 9<<10) + "\r\n\r\n", 401},
		"NUL in the credential":   {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\x00\r\n\r\n", 400},
		"an empty credential":     {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \r\n\r\n", 400},
		"a header of 40 KiB":      {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 40<<10) + "\r\nAuthorization: Bearer " + token + "\r\n\r\n", 431},
		"an absolute target":      {"GET http://x/verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n", 404},
		"another path":            {"GET //verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n", 404},
		"in the query":            {"GET /verify?scope=read&access_token=" + token + " HTTP/1.1\r\nHost: x\r\n\r\n", 500},
		"two hosts":               {"GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nHost: y\r\nAuthorization: Bearer " + token + "\r\n\r\n", 400},
		"a typo that looks right": {"GET /verify?scope=read&Scope=x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n", 500},
		"a scope that is encoded": {"GET /verify?scope=rea%64 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n", 200},
		"an encoding that is cut": {"GET /verify?scope=read%2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n", 500},
	} {
		a := s.raw(c.text)
		if a.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", name, a.StatusCode, a.text, c.want)
		}
		if _, there := a.Header["X-Auth-Subject"]; there != (c.want == 200) {
			t.Errorf("%s: %v", name, a.Header)
		}
	}
}

// What is wrong in the configuration of a gateway is named in the log, each time.
func TestWrongRequirementsAreLogged(t *testing.T) {
	s := newStand(t, "")
	token := s.m.Token("billing", orders, "read")
	for target, want := range map[string]string{
		"/verify?scop=read": "unknown requirement: scop", "/verify?scope=": "scope is empty", "/verify": "no requirements",
		"/verify/": "no requirements", "/verify/scop=read/x": "unknown requirement: scop", "/verify/orders": "orders is empty",
		"/verify?strict=0&scope=read": "unknown requirement: strict",
	} {
		s.log.Reset()
		if a, body := s.ask(http.MethodGet, target, bearer(token), ""); a.StatusCode != 500 || strings.Contains(body, token) {
			t.Errorf("%s: %d %s", target, a.StatusCode, body)
		}
		if log := s.log.String(); !strings.Contains(log, want) || strings.Contains(log, token) {
			t.Errorf("%s: the log has %s, want %s", target, log, want)
		}
	}
}
