package remotekeys_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// canary is in each bad answer, and in no error.
const canary = "canary-of-the-other-side"

func TestHostileAnswers(t *testing.T) {
	private := record(t, "127.0.0.1:0")
	const unusable = "the answer is no usable key set in JSON"
	padded := func(size int) string {
		set := keySet("k")
		return set + strings.Repeat(" ", size-len(set))
	}
	status := func(code int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for _, h := range headers {
				name, value, _ := strings.Cut(h, ": ")
				w.Header().Set(name, value)
			}
			w.WriteHeader(code)
			if code != http.StatusNoContent && code != http.StatusNotModified {
				io.WriteString(w, canary)
			}
		}
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"256 KiB":                   {withKeys(padded(256 << 10)), ""},
		"no type":                   {withKeys(keySet("k"), "Content-Type: application/octet-stream"), ""},
		"encoding identity":         {withKeys(keySet("k"), "Content-Encoding: identity"), ""},
		"257 KiB":                   {withKeys(padded(257<<10), "Content-Length: 263168"), "more than 256 KiB"},
		"257 KiB in chunks":         {withKeys(padded(257 << 10)), "more than 256 KiB"},
		"a body without end":        {endless, "more than 256 KiB"},
		"headers without end":       {endlessHeaders, "no valid answer"},
		"interim answers, no end":   {interim, "no valid answer"},
		"gzip of much":              {bomb, "compressed"},
		"gzip that is none":         {withKeys(keySet("k"), "Content-Encoding: gzip"), "compressed"},
		"a redirect":                {status(302, "Location: http://"+private.Addr().String()+"/"), "status 302: redirects are not followed"},
		"a permanent redirect":      {status(308, "Location: http://"+private.Addr().String()+"/"), "status 308: redirects are not followed"},
		"not modified":              {status(304), "status 304"},
		"no content":                {status(204), "status 204, not 200"},
		"accepted":                  {status(202), "status 202, not 200"},
		"not found":                 {status(404), "status 404, not 200"},
		"an error":                  {status(500), "status 500, not 200"},
		"a demand for a password":   {status(401, "WWW-Authenticate: Basic realm=x"), "status 401, not 200"},
		"HTML":                      {withKeys("<html>"+canary, "Content-Type: text/html"), unusable},
		"nothing":                   {withKeys(""), unusable},
		"a byte order mark":         {withKeys("\ufeff" + keySet("k")), unusable},
		"deep JSON":                 {withKeys(strings.Repeat("[", 100_000)), unusable},
		"a deep member":             {withKeys(`{"keys":` + strings.Repeat(`{"a":`, 40_000)), unusable},
		"half a set":                {withKeys(keySet("k")[:40]), unusable},
		"a set and more":            {withKeys(keySet("k") + canary), unusable},
		"no keys":                   {withKeys(`{"keys":[]}`), unusable},
		"a key for encryption":      {withKeys(strings.Replace(keySet("k"), `"kty"`, `"use":"enc","kty"`, 1)), unusable},
		"a symmetric key":           {withKeys(`{"keys":[{"kty":"oct","k":"` + canary + `"}]}`), unusable},
		"101 keys":                  {withKeys(keySet(make([]string, 101)...)), unusable},
		"what is not HTTP":          {raw(canary + "\r\n\r\n"), "no valid answer"},
		"a length that is too long": {raw("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"), "no valid answer"},
		"a connection that closes":  {raw(""), "no valid answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, server := local(t), serve(t, tt.answer)
			got := b.check(t, server.URL)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got != "" {
				b.keys(t, server.URL)
			}
			if said := got + b.log.String(); strings.Contains(said, canary) {
				t.Errorf("an error or the log repeats the answer: %s", said)
			}
			private.sawNothing(t)
		})
	}
}

// A server that is slow costs the time of one fetch.
func TestSlowAnswers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a byte now and then": drip,
		"no answer":           func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		b := newBench(t, 50*time.Millisecond, "MINTKEEP_FETCH_ALLOW=127.0.0.1")
		server := serve(t, answer)
		if got := b.check(t, server.URL); !strings.Contains(got, "there is no complete answer within 50ms") {
			t.Errorf("%s: got %q", name, got)
		}
	}
	b := newBench(t, 50*time.Millisecond, "MINTKEEP_FETCH_ALLOW=127.0.0.2")
	silent := listen(t, "127.0.0.2:0") // no TLS handshake
	defer silent.Close()
	b.names.are(internet)
	if got := b.check(t, "https://keys.example.com:"+port(silent)+"/"); !strings.Contains(got, "there is no complete answer within 50ms") {
		t.Errorf("no handshake: got %q", got)
	}
}

// What is sent names Mintkeep, and carries nothing else.
func TestRequest(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header))
		http.SetCookie(w, &http.Cookie{Name: "c", Value: canary})
		io.WriteString(w, keySet("k"))
	})
	b := local(t)
	for range 2 {
		if got := b.check(t, server.URL+"/jwks?a=b"); got != "" {
			t.Fatal(got)
		}
	}
	want := "GET /jwks?a=b map[Accept:[application/jwk-set+json, application/json] Accept-Encoding:[identity] " +
		"Connection:[close] User-Agent:[Mintkeep (https://auth.example.com)]]"
	mu.Lock()
	defer mu.Unlock()
	for _, got := range seen {
		if got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// The log names the URL without its query, which may have a password.
func TestLogHasNoQuery(t *testing.T) {
	b := local(t)
	server := serve(t, raw(""))
	b.keys(t, server.URL+"/jwks?key="+canary)
	if log := b.log.String(); !strings.Contains(log, server.URL+"/jwks") || strings.Contains(log, canary) {
		t.Errorf("the log has %s", log)
	}
}

func TestUsableKeysOfASet(t *testing.T) {
	good := make([]string, 90)
	for i := range good {
		good[i] = fmt.Sprint("k", i)
	}
	set := strings.Replace(keySet(good...), `{"keys":[`, `{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"AKP"},{"kty":"OKP","crv":"Ed25519","x":"!"},`, 1)
	b, server := local(t), serve(t, withKeys(set))
	if got, want := b.keys(t, server.URL), strings.Join(good, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := io.WriteString(w, strings.Repeat(" ", 64<<10)); err != nil {
			return
		}
	}
}

func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(time.Millisecond) // of the other side
	}
}

// bomb is a gigabyte of spaces in a megabyte, of which nothing is read.
func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	for range 1 << 10 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			return
		}
	}
}

func endlessHeaders(w http.ResponseWriter, r *http.Request) {
	raw("HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Long: "+strings.Repeat("x", 1000)+"\r\n", 1000))(w, r)
}

func interim(w http.ResponseWriter, r *http.Request) {
	raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 10_000))(w, r)
}

// raw answers with bytes, and closes the connection.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, answer)
	}
}

// relay copies both ways until one side closes.
func relay(from net.Conn, buffered *bufio.ReadWriter, to net.Conn) {
	defer from.Close()
	defer to.Close()
	go io.Copy(to, buffered)
	io.Copy(from, to)
}

// replace writes the content of another file into file.
func replace(t *testing.T, file, other string) {
	t.Helper()
	text, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
