package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// chunk is text as one chunk.
func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// once fails the test unless raw, a request that is wrong or ambiguous, has one answer at most, with one of the
// statuses; 0 is none. Behind raw stands what would be a second request, were the first cut off too early.
func (v *served) once(t *testing.T, what, raw string, statuses ...int) servertest.Response {
	t.Helper()
	answers := v.answers(t, raw)
	if len(answers) > 1 {
		t.Errorf("%s: %d answers: a second request was smuggled in", what, len(answers))
	}
	var got servertest.Response
	if len(answers) > 0 {
		got = answers[0]
	}
	for _, s := range statuses {
		if got.Status == s {
			return got
		}
	}
	t.Errorf("%s: got %d %.200q, want one of %v", what, got.Status, got.Body, statuses)
	return got
}

func TestFraming(t *testing.T) {
	t.Parallel()
	s := serve(t, servertest.New(t, storetest.Embedded(t)))
	c := s.Register(t, servertest.M{"scope": "read"})
	head := tokenHead(c)
	const smuggled = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(grant))

	t.Run("a folded header is one header", func(t *testing.T) {
		// RFC 9112 §5.2 lets a server reject it or replace the fold by a space. Either way it is one header.
		folded := "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\nAuthorization:\r\n " + basic(c.ID, c.Secret) + "\r\n" + length + "\r\n" + grant
		s.once(t, "fold", folded, 200, 400)
		s.once(t, "fold in the first line", "GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n", 400)
	})
	t.Run("ambiguous length and chunks", func(t *testing.T) {
		chunked := chunk(grant) + "0\r\n\r\n"
		for what, headers := range map[string]string{
			"unknown coding":       "Transfer-Encoding: xchunked\r\n",
			"chunked twice":        "Transfer-Encoding: chunked, chunked\r\n",
			"two lines":            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
			"vertical tab":         "Transfer-Encoding: chunked\x0b\r\n",
			"quoted":               "Transfer-Encoding: \"chunked\"\r\n",
			"identity and chunked": "Transfer-Encoding: identity, chunked\r\n",
			"two lengths":          length + "Content-Length: 1\r\n",
			"signed":               fmt.Sprintf("Content-Length: +%d\r\n", len(grant)),
			"list":                 fmt.Sprintf("Content-Length: %d,%d\r\n", len(grant), len(grant)),
			"negative":             "Content-Length: -1\r\n",
			"hexadecimal":          "Content-Length: 0x1d\r\n",
			"no number":            "Content-Length: \r\n",
			"too large a number":   "Content-Length: 99999999999999999999\r\n",
			"space before colon":   fmt.Sprintf("Content-Length : %d\r\n", len(grant)),
			"bare CR":              "X-A: b\rTransfer-Encoding: chunked\r\n" + length,
			"NUL":                  "X-A: b\x00c\r\n" + length,
		} {
			body := grant
			if strings.Contains(headers, "Transfer") {
				body = chunked
			}
			s.once(t, what, head+headers+"\r\n"+body+smuggled, 400, 501)
		}
		both := s.once(t, "Content-Length and Transfer-Encoding", head+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked+smuggled, 200, 400)
		if both.Header.Get("Connection") != "close" {
			t.Error("RFC 9112 §6.1: the connection must be closed")
		}
		s.once(t, "the other order", head+"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"+chunked+smuggled, 200, 400)
		s.once(t, "HTTP/1.0", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1)+"Transfer-Encoding: chunked\r\n\r\n"+chunked+smuggled, 200, 400, 401, 501)
	})
	t.Run("malformed request line", func(t *testing.T) {
		for what, line := range map[string]string{
			"HTTP/0.9": "GET /healthz\r\n\r\n", "HTTP/9.9": "GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n", "no version": "GET /healthz HTTP\r\nHost: a\r\n\r\n",
			"100 kB": "GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "two CRLF first": "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
			"two spaces": "GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "tab": "GET\t/healthz\tHTTP/1.1\r\nHost: a\r\n\r\n", "lower case": "GET /healthz http/1.1\r\nHost: a\r\n\r\n",
			"HTTP/2 at once": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "junk": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		} {
			s.once(t, what, line, 0, 400, 404, 414, 431, 505)
		}
		// RFC 9112 §2.2 lets a server take LF alone for the end of a line.
		s.once(t, "LF", "GET /healthz HTTP/1.1\nHost: a\n\n", 200, 400)
		s.once(t, "asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200, 204, 404)
		s.once(t, "CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 400, 404, 405)
	})
	t.Run("malformed chunks and trailers", func(t *testing.T) {
		chunks := head + "Transfer-Encoding: chunked\r\n\r\n"
		for what, body := range map[string]string{
			"overflow": "FFFFFFFFFFFFFFFF1\r\n" + grant, "0x": "0x1d\r\n" + grant, "signed": "+1d\r\n" + grant, "bare LF": fmt.Sprintf("%x\n%s\n0\n\n", len(grant), grant),
			"extensions": "1d" + strings.Repeat(";a", 500_000) + "\r\n" + grant + "\r\n0\r\n\r\n", "too long": "1\r\n" + grant + "\r\n0\r\n\r\n", "empty size": "\r\n" + grant,
		} {
			s.once(t, what, chunks+body+smuggled, 400)
		}
		trailers := s.once(t, "trailers", "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+formType+"\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization, grant_type\r\n\r\n"+
			chunk(grant)+"0\r\nAuthorization: "+basic(c.ID, c.Secret)+"\r\ngrant_type: client_credentials\r\n\r\n", 400, 401)
		wantRefusal(t, trailers, 400, 401)
	})
	t.Run("request target in absolute form", func(t *testing.T) {
		absolute := strings.Replace(head, "POST /oauth/token", "POST http://evil.example/oauth/token", 1) + length + "\r\n" + grant
		noEvil(t, s.once(t, "absolute", absolute, 200, 400, 421))
		noEvil(t, s.once(t, "metadata", "GET http://evil.example/.well-known/oauth-authorization-server HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200, 400, 421))
	})
	t.Run("missing, double and foreign Host", func(t *testing.T) {
		const get = "GET /.well-known/oauth-authorization-server HTTP/1.1\r\n"
		s.once(t, "none", get+"\r\n", 400)
		s.once(t, "two", get+"Host: a\r\nHost: b\r\n\r\n", 400)
		s.once(t, "space", get+"Host: a b\r\n\r\n", 400)
		for _, header := range []string{"Host: evil.example", "Host: localhost\r\nX-Forwarded-Host: evil.example", "Host: localhost\r\nForwarded: host=evil.example;proto=http", "Host: " + strings.Repeat("evil.example.", 600)} {
			r := s.once(t, header[:10], get+header+"\r\n\r\n", 200, 400, 421)
			noEvil(t, r)
			if r.Status == 200 && !strings.Contains(r.Body, `"issuer":"`+servertest.Issuer+`"`) {
				t.Errorf("the issuer depends on the host: %s", r.Body)
			}
		}
	})
	t.Run("hop-by-hop headers", func(t *testing.T) {
		for _, connection := range []string{"Authorization", "keep-alive, Authorization", "X-Forwarded-For, Content-Type"} {
			s.once(t, connection, head+"Connection: "+connection+"\r\n"+length+"\r\n"+grant, 200)
		}
	})
	t.Run("method override is ignored", func(t *testing.T) {
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			s.Admin(t, "GET", "/admin/clients/"+c.ID+"?_method=DELETE", nil, servertest.Header(name, "DELETE")).Want(t, 200, "")
			s.Get(t, "/oauth/token", servertest.Header(name, "POST")).Want(t, 405, "method_not_allowed")
		}
		s.Token(t, c, "_method=DELETE")
	})
	t.Run("Upgrade is ignored", func(t *testing.T) {
		for _, to := range []string{"h2c", "websocket", "TLS/1.0", "HTTP/2.0"} {
			upgrade := "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nUpgrade: " + to + "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
			s.once(t, to, head+upgrade+length+"\r\n"+grant, 200, 400, 426)
		}
	})
	s.Token(t, c)
}

func noEvil(t *testing.T, r servertest.Response) {
	t.Helper()
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, ","), "evil") {
			t.Errorf("%s reflects: %.100q", name, values)
		}
	}
	if strings.Contains(r.Body, "evil") {
		t.Errorf("the body reflects: %.300s", r.Body)
	}
}

// A body over the limit is rejected before all of it has arrived.
func TestSizeLimits(t *testing.T) {
	t.Parallel()
	s := serve(t, servertest.New(t, storetest.Embedded(t)))
	c := s.Register(t, servertest.M{"scope": "read"})
	head := tokenHead(c)
	t.Run("a body over the limit", func(t *testing.T) {
		for what, sent := range map[string]string{
			"declared, none sent":      "Content-Length: 1000000000\r\n\r\n",
			"declared by one too much": "Content-Length: 65537\r\n\r\n",
			"waits for 100":            "Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n",
			"chunks without end":       "Transfer-Encoding: chunked\r\n\r\n" + chunk(strings.Repeat("x", 64<<10)) + "10\r\nxxx",
			"one chunk of 1 GB":        "Transfer-Encoding: chunked\r\n\r\n40000000\r\n" + strings.Repeat("x", 64<<10+1),
		} {
			w := s.dial(t).say(head + sent)
			var r servertest.Response
			within(t, 5*time.Second, func() { r = w.answer() }) // while the rest is still owed
			wantRefusal(t, r, 413)
			if r.Header.Get("Connection") != "close" {
				t.Errorf("%s: the connection is kept", what)
			}
			_ = w.Close()
		}
	})
	t.Run("a body within the limit", func(t *testing.T) {
		for _, n := range []int{0, 1, 64<<10 - 1, 64 << 10} {
			padding := ""
			if n > len(grant) {
				padding = "&x=" + strings.Repeat("x", n-len(grant)-3)
			}
			want := 200
			body := grant + padding
			if n <= 1 {
				want, body = 400, strings.Repeat("x", n)
			}
			if r := s.Post(t, "/oauth/token", body, c.Basic()); r.Status != want || len(body) != n {
				t.Errorf("%d bytes: got %d %s", n, r.Status, r.Body)
			}
		}
	})
	t.Run("headers and targets over the limit", func(t *testing.T) {
		for what, raw := range map[string]string{
			"1 MB":               request("GET", "/healthz", "X-A: "+strings.Repeat("a", 1<<20)+"\r\n", ""),
			"many":               request("GET", "/healthz", strings.Repeat("X-A: b\r\n", 10_000), ""),
			"1 MB Authorization": request("POST", "/oauth/token", "Authorization: Basic "+strings.Repeat("QUFB", 1<<18)+"\r\n", ""),
			"64 kB target":       request("GET", "/"+strings.Repeat("a", 64<<10), "", ""),
		} {
			w := s.dial(t)
			go w.say(raw)
			if r := w.answer(); r.Status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s: got %d", what, r.Status)
			}
		}
	})
}
