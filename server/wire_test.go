package server_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
)

const formType = "application/x-www-form-urlencoded"

// served is a server behind Serve, on a listener of its own and as the binary runs it.
type served struct {
	*servertest.Server
	addr string
	stop func() error // drains it, and returns what Serve did
}

// serve runs s behind Serve until the test is over.
func serve(t *testing.T, s *servertest.Server) *served {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Server.Serve(ctx, listener, nil) }()
	v := &served{Server: s, addr: listener.Addr().String()}
	stopped := false
	v.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := v.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	v.URL = "http://" + v.addr
	return v
}

// wire is a connection on which a test sends any bytes.
type wire struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial connects. Nothing on the connection lasts longer than a minute.
func (v *served) dial(t *testing.T) *wire {
	t.Helper()
	c, err := net.Dial("tcp", v.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return &wire{c, t, bufio.NewReader(c)}
}

// say sends text. The server may have closed the connection already, which the answers show.
func (w *wire) say(text string) *wire {
	_, _ = io.WriteString(w.Conn, text)
	return w
}

// answer reads one answer; none, because the connection ended, has status 0.
func (w *wire) answer() servertest.Response {
	w.t.Helper()
	response, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return servertest.Response{}
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return servertest.Response{}
	}
	if response.Close {
		response.Header.Set("Connection", "close")
	}
	return servertest.Response{Status: response.StatusCode, Header: response.Header, Body: string(body)}
}

// closed fails the test unless the server closes the connection and sends nothing more.
func (w *wire) closed() {
	w.t.Helper()
	switch rest, err := io.ReadAll(w.r); {
	case len(rest) > 0:
		w.t.Errorf("after the last answer there is %.200q", rest)
	case err != nil && strings.Contains(err.Error(), "timeout"):
		w.t.Error("the connection stays open")
	}
}

// answers sends raw, says that no more will come, and reads every answer.
func (v *served) answers(t *testing.T, raw string) []servertest.Response {
	t.Helper()
	w := v.dial(t)
	w.say(raw)
	_ = w.Conn.(*net.TCPConn).CloseWrite()
	var all []servertest.Response
	for {
		a := w.answer()
		if a.Status == 0 {
			return all
		}
		all = append(all, a)
	}
}

// basic is the value of an Authorization header.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// request is a request on the wire, with the length of its body, and headers, each with its CRLF.
func request(method, path, headers, body string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n" + body
}

// tokenHead is the head of a token request of c, without the length of its body.
func tokenHead(c servertest.Client) string {
	return "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\nAuthorization: " + basic(c.ID, c.Secret) + "\r\n"
}

const grant = "grant_type=client_credentials"

// wantRefusal holds an error of one of Mintkeep's own handlers to what all have in common.
func wantRefusal(t *testing.T, r servertest.Response, statuses ...int) {
	t.Helper()
	found := false
	for _, s := range statuses {
		found = found || r.Status == s
	}
	if !found {
		t.Errorf("got %d %.300s, want one of %v", r.Status, r.Body, statuses)
		return
	}
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(r.Body), &e); err != nil || e.Error == "" || e.Description == "" {
		t.Errorf("%d is not the one error shape: %.300s", r.Status, r.Body)
	}
	wantHeaders(t, r)
	if r.Status == http.StatusUnauthorized && r.Header.Get("WWW-Authenticate") == "" {
		t.Error("401 without WWW-Authenticate")
	}
}

// wantHeaders holds an answer that must not be stored to the headers that all have.
func wantHeaders(t *testing.T, r servertest.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff",
		"Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000", "Server": "", "X-Powered-By": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if r.Header.Get("X-Request-Id") == "" {
		t.Error("no X-Request-Id")
	}
}
