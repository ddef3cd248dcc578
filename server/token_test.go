package server_test

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestTokenSuccess(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		e := newTokenEndpoint(t, b)
		c := e.basic(t)

		t.Run("the documented shape", func(t *testing.T) {
			body := granted(t, e.send(t, grantCC+"&scope=read+write", c.Basic()))
			delete(body, "access_token")
			want := servertest.M{"token_type": "bearer", "expires_in": 3600.0, "scope": "read write"}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Errorf("token response (-want +got):\n%s", diff)
			}
		})
		t.Run("200 at the same moment are 200 tokens", func(t *testing.T) { distinctTokens(t, e, c) })
		t.Run("a token expires after its lifetime", func(t *testing.T) {
			for _, format := range []string{"jwt", "opaque"} {
				short := e.Register(t, servertest.M{
					"scope": "read", "access_token_ttl": 600, "access_token_format": format,
				})
				tokenLifetime(t, e, b.Clock, short)
			}
		})
	})
}

// distinctTokens also holds RFC 7009 §2: one of many alike is revoked alone.
func distinctTokens(t *testing.T, e tokenEndpoint, c servertest.Client) {
	const n = 200
	tokens := make([]string, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range tokens {
		wg.Go(func() {
			<-start
			tokens[i], _ = e.send(t, grantCC, c.Basic()).JSON(t)["access_token"].(string)
		})
	}
	close(start)
	wg.Wait()

	slices.Sort(tokens)
	if got := len(slices.Compact(slices.Clone(tokens))); got != n || tokens[0] == "" {
		t.Fatalf("%d distinct tokens of %d, the least being %q", got, n, tokens[0])
	}
	e.Revoke(t, c, tokens[0]).Want(t, http.StatusOK, "")
	for i, token := range tokens {
		wg.Go(func() {
			if got, want := e.Active(t, c, token), i != 0; got != want {
				t.Errorf("token %d: active %v, want %v", i, got, want)
			}
		})
	}
	wg.Wait()
}

func tokenLifetime(t *testing.T, e tokenEndpoint, clock *storetest.Clock, c servertest.Client) {
	t.Helper()
	issued := clock.Now().Unix()
	body := granted(t, e.send(t, grantCC, c.Basic()))
	token := body["access_token"].(string)
	seen := e.Introspect(t, c, token)
	got := []any{body["expires_in"], seen["iat"], seen["exp"]}
	if diff := cmp.Diff([]any{600.0, float64(issued), float64(issued + 600)}, got); diff != "" {
		t.Errorf("expires_in, iat, exp (-want +got):\n%s", diff)
	}
	clock.Advance(570 * time.Second) // the clock of a real Redis runs on: a busy machine has half a minute
	if !e.Active(t, c, token) {
		t.Error("after 570 of 600 s the token is inactive")
	}
	clock.Advance(31 * time.Second)
	if diff := cmp.Diff(servertest.M{"active": false}, e.Introspect(t, c, token)); diff != "" {
		t.Errorf("after 601 of 600 s (-want +got):\n%s", diff)
	}
}

func TestTokenRequest(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t), "MINTKEEP_TOKEN_TTL=60s")
	c := e.basic(t)

	t.Run("one JSON object and nothing else", func(t *testing.T) {
		answer := e.send(t, grantCC, c.Basic())
		granted(t, answer)
		if !strings.HasPrefix(answer.Body, "{") || !strings.HasSuffix(strings.TrimSpace(answer.Body), "}") {
			t.Errorf("got %q", answer.Body)
		}
		shape := regexp.MustCompile(`^{"access_token":"[^"]+","token_type":"bearer","expires_in":60,"scope":"read write"}\n?$`)
		if !shape.MatchString(answer.Body) {
			t.Errorf("got %q, want %v", answer.Body, shape)
		}
	})
	t.Run("the lifetime is the configured one", func(t *testing.T) {
		body := granted(t, e.send(t, grantCC, c.Basic()))
		_, claims := jwtParts(t, body["access_token"].(string))
		if got := claims["exp"].(float64) - claims["iat"].(float64); got != 60 || body["expires_in"] != 60.0 {
			t.Errorf("exp-iat is %v and expires_in %v, want 60", got, body["expires_in"])
		}
	})
	t.Run("unknown parameters are ignored", func(t *testing.T) {
		granted(t, e.send(t, grantCC+"&foo=bar&x[]=1&%00=", c.Basic()))
	})
	t.Run("an empty grant_type is a missing one", func(t *testing.T) {
		refused(t, e.send(t, "grant_type=", c.Basic()), 400, "invalid_request")
	})
	for row, form := range map[string]string{
		"grant_type twice":                       grantCC + "&" + grantCC,
		"two grant types":                        "grant_type=password&" + grantCC,
		"two scopes":                             grantCC + "&scope=read&scope=write",
		"the same scope twice":                   grantCC + "&scope=read&scope=read",
		"client_id twice":                        grantCC + "&client_id=" + c.ID + "&client_id=" + c.ID,
		"client_secret twice":                    grantCC + "&client_id=" + c.ID + "&client_secret=a&client_secret=b",
		"an unknown parameter twice":             grantCC + "&foo=1&foo=2",
		"grant_type twice, once percent-encoded": grantCC + "&%67rant_type=client_credentials",
		"bad percent-encoding":                   grantCC + "&scope=%zz",
		"a semicolon between":                    grantCC + ";scope=read",
	} {
		t.Run(row, func(t *testing.T) { refused(t, e.send(t, form, c.Basic()), 400, "invalid_request") })
	}
	t.Run("nothing is taken from the query", func(t *testing.T) {
		everything := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}, "scope": {"read"},
		}
		refused(t, e.Post(t, "/oauth/token?"+everything.Encode(), ""), 400, "invalid_request")
		refused(t, e.Post(t, "/oauth/token?"+grantCC, "", c.Basic()), 400, "invalid_request")
		refused(t, e.Post(t, "/oauth/token?client_secret="+c.Secret, grantCC, c.Basic()), 400, "invalid_request")
	})
	t.Run("the content type has parameters and any case", func(t *testing.T) {
		for _, contentType := range []string{
			"application/x-www-form-urlencoded; charset=UTF-8", `application/x-www-form-urlencoded;charset="utf-8"`,
			"Application/X-WWW-Form-URLEncoded",
		} {
			granted(t, e.send(t, grantCC, c.Basic(), servertest.Header("Content-Type", contentType)))
		}
	})
	t.Run("plus and %20 both separate scopes", func(t *testing.T) {
		for _, scope := range []string{"read+write", "read%20write"} {
			if got := granted(t, e.send(t, grantCC+"&scope="+scope, c.Basic()))["scope"]; got != "read write" {
				t.Errorf("%s: got %q", scope, got)
			}
		}
	})
}

func TestTokenMethods(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c := e.basic(t)
	everything := "?" + grantCC + "&client_id=" + c.ID + "&client_secret=" + c.Secret

	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "FOO", "post"} {
		t.Run(method+" is not allowed", func(t *testing.T) {
			answer := e.Do(t, method, "/oauth/token"+everything, http.NoBody, c.Basic())
			if method == "HEAD" {
				answer.Want(t, 405, "")
			} else {
				refused(t, answer, 405, "method_not_allowed")
			}
			if allow := answer.Header.Get("Allow"); !slices.Contains(strings.Split(allow, ", "), "POST") {
				t.Errorf("Allow: got %q, want POST", allow)
			}
		})
	}
	t.Run("OPTIONS says POST, and no other origin is allowed", func(t *testing.T) {
		answer := e.Do(t, "OPTIONS", "/oauth/token", http.NoBody,
			servertest.Header("Origin", "https://evil.example"),
			servertest.Header("Access-Control-Request-Method", "POST")).Want(t, 204, "")
		if allow := answer.Header.Get("Allow"); !strings.Contains(allow, "POST") {
			t.Errorf("Allow: got %q, want POST", allow)
		}
		for name := range answer.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %q", name, answer.Header.Get(name))
			}
		}
	})
}

func TestTokenTransports(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c := e.basic(t)

	t.Run("Expect: 100-continue", func(t *testing.T) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret},
		}.Encode()
		_, _ = fmt.Fprintf(conn, "POST /oauth/token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"+
			"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", len(body))
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		answers := bufio.NewReader(conn)
		for i, want := range []int{100, 200} {
			if i == 1 {
				_, _ = conn.Write([]byte(body))
			}
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != want {
				t.Fatalf("answer %d: got %s, want %d", i, answer.Status, want)
			}
		}
	})
	t.Run("HTTP/2 over TLS answers the same", func(t *testing.T) {
		hs := httptest.NewUnstartedServer(e.Server.Server)
		hs.EnableHTTP2 = true
		hs.StartTLS()
		defer hs.Close()
		over := servertest.Server{URL: hs.URL, HTTP: &http.Client{Transport: onlyHTTP2{t, hs.Client().Transport}}}
		one := e.send(t, grantCC, c.Basic())
		two := over.Post(t, "/oauth/token", grantCC, c.Basic())
		granted(t, two)
		for _, h := range []http.Header{one.Header, two.Header} {
			for _, differs := range []string{"Date", "X-Request-Id", "Content-Length"} {
				h.Del(differs)
			}
		}
		if diff := cmp.Diff(one.Header, two.Header); diff != "" {
			t.Errorf("headers over HTTP/1.1 (-) and HTTP/2 (+):\n%s", diff)
		}
	})
}

// onlyHTTP2 is a transport that must speak it.
type onlyHTTP2 struct {
	t    testing.TB
	next http.RoundTripper
}

func (o onlyHTTP2) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.next.RoundTrip(r)
	if err == nil && answer.ProtoMajor != 2 {
		o.t.Errorf("the answer came over %s", answer.Proto)
	}
	return answer, err
}

func TestTokenEntropy(t *testing.T) {
	e := newTokenEndpoint(t, storetest.Embedded(t))
	c := e.Register(t, servertest.M{"scope": "read", "access_token_format": "opaque"})

	t.Run("served tokens have the documented format", func(t *testing.T) {
		shape := regexp.MustCompile(`^mkt_[0-9A-Za-z]{46}$`) // within b64token (RFC 6750 §2.1)
		for range 50 {
			if token := e.Token(t, c); !shape.MatchString(token) || !credential.WellFormed(token) {
				t.Errorf("%q is not as documented, or its checksum is wrong", token)
			}
		}
	})
	t.Run("each character of the random part is free", func(t *testing.T) {
		const n, random = 10_000, 40
		var counts [random][256]int
		seen := map[string]bool{}
		for range n {
			token := strings.TrimPrefix(credential.NewToken("mk"), "mkt_")
			seen[token] = true
			for i := range random {
				counts[i][token[i]]++
			}
		}
		if len(seen) != n {
			t.Fatalf("%d tokens of %d are distinct", len(seen), n)
		}
		bits := 0.0
		for i := range counts {
			most := slices.Max(counts[i][:])
			bits += math.Log2(n / float64(most)) // min-entropy, the most cautious measure
		}
		if bits < 160 {
			t.Errorf("%.0f bits of min-entropy, want 160 or more", bits)
		}
	})
	t.Run("jti has 128 bits or more and is unique", func(t *testing.T) {
		plain := e.basic(t)
		seen := map[string]bool{}
		for range 100 {
			_, claims := jwtParts(t, e.Token(t, plain))
			seen[claims["jti"].(string)] = true
		}
		for jti := range seen {
			if float64(len(jti))*math.Log2(32) < 128 { // the least alphabet in use is base32
				t.Errorf("jti %q is too short", jti)
			}
		}
		if len(seen) != 100 {
			t.Errorf("%d of 100 are distinct", len(seen))
		}
	})
}
