package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
)

// serve sends r through an Adapter and h, as route /r, and returns the answer and the log.
func serve(a *Adapter, body Body, h Handler, r *http.Request) (*httptest.ResponseRecorder, string) {
	gin.SetMode(gin.ReleaseMode)
	var log bytes.Buffer
	a.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	engine := gin.New()
	engine.Handle(r.Method, "/r/*rest", a.Handle(body, h))
	w := httptest.NewRecorder()
	engine.ServeHTTP(w, r)
	return w, log.String()
}

func ok(w http.ResponseWriter, _ *http.Request) error { return JSON(w, http.StatusOK, "ok") }

func errorCode(w *httptest.ResponseRecorder) string {
	var e struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &e)
	return e.Error
}

// A request that has waited for another server than the store has the whole store time again.
func TestRenewBudget(t *testing.T) {
	w, _ := serve(&Adapter{StoreBudget: time.Millisecond}, NoBody, func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		before, _ := ctx.Deadline()
		<-ctx.Done()
		RenewBudget(ctx)
		if after, ok := ctx.Deadline(); !ok || !after.After(before) || RequestID(ctx) == "" {
			t.Errorf("the store time ends at %v, and ended at %v", after, before)
		}
		return ok(w, r)
	}, httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody))
	if w.Code != http.StatusOK {
		t.Errorf("got %d", w.Code)
	}
	RenewBudget(t.Context()) // no request
}

func TestHandleErrors(t *testing.T) {
	for _, test := range []struct {
		err        error
		status     int
		code       string
		retryAfter string
	}{
		{InvalidRequest("no"), 400, "invalid_request", ""},
		{fmt.Errorf("wrapped: %w", NotFound("It")), 404, "not_found", ""},
		{store.ErrNotFound, 404, "not_found", ""},
		{store.ErrExists, 409, "conflict", ""},
		{store.ErrConflict, 409, "conflict", ""},
		{store.ErrNewerRecord, 503, "temporarily_unavailable", "2"},
		{store.ErrUnavailable, 503, "temporarily_unavailable", "2"},
		{TooManyRequests(0), 429, "too_many_requests", "1"},
		{TooManyRequests(1500 * time.Millisecond), 429, "too_many_requests", "2"},
		{TooManyRequests(time.Minute), 429, "too_many_requests", "60"},
		{errors.New("secret cause"), 500, "server_error", ""},
	} {
		w, log := serve(&Adapter{}, NoBody, func(http.ResponseWriter, *http.Request) error { return test.err },
			httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody))
		got := []any{w.Code, errorCode(w), w.Header().Get("Retry-After")}
		if diff := cmp.Diff([]any{test.status, test.code, test.retryAfter}, got); diff != "" {
			t.Errorf("%v: %s", test.err, diff)
		}
		if strings.Contains(w.Body.String(), "secret cause") {
			t.Errorf("the caller is told of the cause: %s", w.Body)
		}
		if strings.Count(log, "\n") != 1 {
			t.Errorf("%v: lines in the log: %s", test.err, log)
		}
	}
}

// A panic is a 500 that names the request, and its stack is in the log.
func TestHandlePanic(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody)
	r.Header.Set("X-Request-Id", "req-1")
	w, log := serve(&Adapter{}, NoBody, func(http.ResponseWriter, *http.Request) error { panic("boom") }, r)
	if w.Code != 500 || !strings.Contains(w.Body.String(), "req-1") || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log, "boom") || !strings.Contains(log, "adapter_test.go") || !strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("log: %s", log)
	}
}

func TestRequestID(t *testing.T) {
	for given, kept := range map[string]bool{
		"a": true, "A-b_c.9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "ä": false, "a\"b": false, "<x>": false, "\x1b[31m": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody)
		r.Header.Set("X-Request-Id", given)
		w, log := serve(&Adapter{}, NoBody, ok, r)
		id := w.Header().Get("X-Request-Id")
		if (id == given) != kept || len(id) == 0 || len(id) > 64 {
			t.Errorf("%q: got %q, kept %v", given, id, kept)
		}
		if !strings.Contains(log, `"request_id":"`+id+`"`) {
			t.Errorf("%q: not in the log: %s", given, log)
		}
		if own := strings.Contains(log, `"server_request_id":"`); own != kept {
			t.Errorf("%q: the server's own id is beside it: %v, want %v: %s", given, own, kept, log)
		}
	}
}

// The route's pattern is logged, never the path: it may hold a credential that was pasted there.
func TestLogHasNoPath(t *testing.T) {
	w, log := serve(&Adapter{}, NoBody, func(_ http.ResponseWriter, r *http.Request) error {
		Note(r.Context(), "noted", "line\nbreak")
		return NotFound("It")
	}, httptest.NewRequest(http.MethodGet, "/r/hunter2?q=hunter2", http.NoBody))
	if w.Code != 404 || strings.Contains(log, "hunter2") || !strings.Contains(log, "/r/*rest") {
		t.Errorf("log: %s", log)
	}
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, `line\nbreak`) {
		t.Errorf("the line is not one: %s", log)
	}
}

func TestDrainClosesConnections(t *testing.T) {
	a := &Adapter{}
	for _, want := range []string{"", "close"} {
		w, _ := serve(a, NoBody, ok, httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody))
		if got := w.Header().Get("Connection"); got != want {
			t.Errorf("Connection: got %q, want %q", got, want)
		}
		a.Drain()
	}
}

// Who is refused because there is no file descriptor is refused before the body comes, also if it never does.
func TestRejecting(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		a := &Adapter{Logger: slog.New(slog.DiscardHandler)}
		engine := gin.New()
		engine.POST("/r", a.Handle(FormBody, ok))
		server := httptest.NewUnstartedServer(engine)
		server.Config.BaseContext = func(net.Listener) context.Context { return Rejecting(context.Background(), errors.New("canary")) }
		server.Config.SetKeepAlivesEnabled(false)
		server.Start()
		defer server.Close()
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(c, "POST /r HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n", expect)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%q: %v", expect, err)
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusServiceUnavailable || !r.Close {
			t.Errorf("%q: got %d, and the connection ends: %v", expect, r.StatusCode, r.Close)
		}
	}
}

func TestBodyKinds(t *testing.T) {
	const form, object, merge = "application/x-www-form-urlencoded", "application/json", "application/merge-patch+json"
	for _, test := range []struct {
		kind              Body
		contentType, sent string
		status            int
		read              string
	}{
		{NoBody, "", "ignored", 200, ""},
		{FormBody, form, "a=b", 200, "a=b"},
		{FormBody, form, "", 200, ""},
		{FormBody, form + "; charset=UTF-8", "a=b", 200, "a=b"},
		{FormBody, "Application/X-WWW-Form-URLEncoded", "a=b", 200, "a=b"},
		{FormBody, object, "a=b", 415, ""},
		{FormBody, "", "a=b", 415, ""},
		{FormBody, form + ", " + object, "a=b", 415, ""},
		{FormBody, form, strings.Repeat("x", BodyLimit), 200, strings.Repeat("x", BodyLimit)},
		{FormBody, form, strings.Repeat("x", BodyLimit+1), 413, ""},
		{JSONBody, object, "{}", 200, "{}"},
		{JSONBody, merge, "{}", 415, ""},
		{JSONBody, "", "", 415, ""},
		{MaybeJSON, "", "", 200, ""},
		{MaybeJSON, object, "{}", 200, "{}"},
		{MaybeJSON, form, "a=b", 415, ""},
		{MergePatch, merge, "{}", 200, "{}"},
		{MergePatch, object, "{}", 200, "{}"},
		{MergePatch, form, "{}", 415, ""},
	} {
		for _, chunked := range []bool{false, true} {
			if chunked && test.kind == MaybeJSON && test.sent == "" {
				continue // a chunked body is a body, be it an empty one
			}
			r := httptest.NewRequest(http.MethodPost, "/r/x", strings.NewReader(test.sent))
			if chunked {
				r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
			}
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			read := ""
			w, _ := serve(&Adapter{}, test.kind, func(w http.ResponseWriter, r *http.Request) error {
				read = string(from(r.Context()).body)
				return ok(w, r)
			}, r)
			if w.Code != test.status || read != test.read {
				t.Errorf("kind %d, %q, %d bytes, chunked %v: got %d, read %d bytes", test.kind, test.contentType, len(test.sent), chunked, w.Code, len(read))
			}
			if closes := w.Header().Get("Connection") == "close"; closes != (chunked || test.status != 200) {
				t.Errorf("kind %d, %q, %d bytes, chunked %v: closes: %v", test.kind, test.contentType, len(test.sent), chunked, closes)
			}
		}
	}
}

// failing is a body that breaks off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBodyBreaksOff(t *testing.T) {
	for err, want := range map[error]int{os.ErrDeadlineExceeded: 408, io.ErrUnexpectedEOF: 400, io.EOF: 400} {
		r := httptest.NewRequest(http.MethodPost, "/r/x", failing{err})
		r.ContentLength = 10
		r.Header.Set("Content-Type", "application/json")
		w, _ := serve(&Adapter{}, JSONBody, ok, r)
		if w.Code != want || errorCode(w) != "invalid_request" || w.Header().Get("Connection") != "close" {
			t.Errorf("%v: got %d %q %s", err, w.Code, w.Header().Get("Connection"), w.Body)
		}
	}
}

// A body takes memory as it arrives, not as it was announced.
func TestBodyMemory(t *testing.T) {
	const callers = 200
	arrived := make(chan struct{}, callers)
	var held [callers]*http.Request
	pipes := make([]*io.PipeWriter, callers)
	var done sync.WaitGroup
	before := heap()
	for i := range held {
		body, w := io.Pipe()
		held[i] = httptest.NewRequest(http.MethodPost, "/r/x", body)
		held[i].Header.Set("Content-Type", "application/x-www-form-urlencoded")
		held[i].ContentLength = BodyLimit
		pipes[i] = w
		done.Go(func() {
			if _, err := FormBody.read(httptest.NewRecorder(), held[i]); err == nil {
				t.Error("a body that was cut off is read")
			}
		})
		go func() {
			_, _ = w.Write([]byte("grant_type="))
			arrived <- struct{}{}
		}()
	}
	for range callers {
		<-arrived
	}
	if each := (heap() - before) / callers; each > BodyLimit/4 {
		t.Errorf("a caller who has sent 11 bytes takes %d", each)
	}
	for _, w := range pipes {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}
	done.Wait()
}

// heap is the memory in use, in bytes.
func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestContentEncoding(t *testing.T) {
	for _, test := range []struct {
		lines []string
		want  int
	}{
		{[]string{"identity"}, 200},
		{[]string{"IDENTITY"}, 200},
		{[]string{""}, 200},
		{[]string{"gzip"}, 415},
		{[]string{"identity, gzip"}, 415},
		{[]string{"identity", "gzip"}, 415},
	} {
		r := httptest.NewRequest(http.MethodPost, "/r/x", strings.NewReader("{}"))
		r.Header["Content-Encoding"] = test.lines
		r.Header.Set("Content-Type", "application/json")
		if w, _ := serve(&Adapter{}, JSONBody, ok, r); w.Code != test.want {
			t.Errorf("%q: got %d, want %d", test.lines, w.Code, test.want)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"name":"x","other":1}`:    "",
		`{"name":"x"} `:             "",
		`{"name":1}`:                "name must not be a JSON number",
		`{"name":"x"}{}`:            "one JSON value and nothing after it",
		`{"name":"x"}]`:             "must be a JSON object|one JSON value and nothing after it",
		`[]`:                        "must be a JSON object",
		``:                          "The body is missing",
		"\xef\xbb\xbf{}":            "must be a JSON object",
		`{"name":NaN}`:              "must be a JSON object",
		strings.Repeat("[", 20_000): "must be a JSON object",
		`{"n":` + strings.Repeat(`{"n":`, 12_000) + `1`: "must be a JSON object",
	} {
		r := httptest.NewRequest(http.MethodPost, "/r/x", strings.NewReader(body))
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
		r.Header.Set("Content-Type", "application/json")
		w, _ := serve(&Adapter{}, JSONBody, func(w http.ResponseWriter, r *http.Request) error {
			var v struct {
				Name string `json:"name"`
			}
			if err := DecodeJSON(r, &v); err != nil {
				return err
			}
			return ok(w, r)
		}, r)
		found := want == "" && w.Code == 200
		for _, w2 := range strings.Split(want, "|") {
			found = found || want != "" && w.Code == 400 && strings.Contains(w.Body.String(), w2)
		}
		if !found {
			t.Errorf("%.60q: got %d %s, want %q", body, w.Code, w.Body, want)
		}
	}
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48")}
	for _, test := range []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"untrusted peer", "192.0.2.9:1", []string{"198.51.100.1"}, "192.0.2.9"},
		{"one hop", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"hearsay to the left", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"a line each", "10.0.0.1:1", []string{"1.2.3.4", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"the caller's line is first", "10.0.0.1:1", []string{"10.0.0.3", "198.51.100.1"}, "198.51.100.1"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"garbage nearest", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"garbage behind a proxy", "10.0.0.1:1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"IPv6", "[2001:db8:f::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with a port", "10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv4 with a port", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"zone", "[2001:db8:f::1%eth0]:1", []string{"fe80::1%25x"}, "fe80::1"},
		{"no peer", "@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": test.lines}}
		if got := clientAddress(r, trusted).String(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		if peer, _, _ := strings.Cut(test.peer, "%"); peer == test.peer && test.peer != "@" {
			want := netip.MustParseAddrPort(test.peer).Addr().Unmap()
			if got := clientAddress(r, nil); got != want {
				t.Errorf("%s: with nobody trusted: got %s, want %s", test.name, got, want)
			}
		}
	}
}

func TestSampler(t *testing.T) {
	var s sampler
	at := time.Unix(1_800_000_000, 0)
	count := func(x *request, status, n int, at time.Time) (written, dropped int) {
		for range n {
			kind, sampled := x.sampled(status)
			d, ok := 0, true
			if sampled {
				d, ok = s.allow(kind, at)
			}
			if ok {
				written++
			}
			dropped += d
		}
		return written, dropped
	}
	const most = linesPerSecond
	probe, page, token := &request{route: "/healthz", sampleSuccess: true}, &request{route: "/docs", sampleSuccess: true}, &request{route: "/oauth/token"}
	for _, test := range []struct {
		request          *request
		status, n        int
		at               time.Time
		written, dropped int
	}{
		{token, 200, 1000, at, 1000, 0},
		{token, 500, 1000, at, 1000, 0},
		{probe, 500, 1000, at, 1000, 0},
		{token, 401, 1000, at, most, 0},
		{token, 429, 5, at, 5, 0}, // one flood does not hide another
		{token, 503, 1000, at, most, 0},
		{probe, 200, 1000, at, most, 0},
		{page, 304, 1000, at, most, 0},
		{page, 200, 1000, at, most, 0},
		{token, 401, 1, at.Add(time.Second), 1, 1000 - most},
		{token, 401, 1, at.Add(2 * time.Second), 1, 0},
		{probe, 200, 1, at.Add(2 * time.Second), 1, 1000 - most},
	} {
		written, dropped := count(test.request, test.status, test.n, test.at)
		if written != test.written || dropped != test.dropped {
			t.Errorf("%d × %s %d: written %d, told of %d dropped; want %d and %d",
				test.n, test.request.route, test.status, written, dropped, test.written, test.dropped)
		}
	}
}

// A request has 1.5 s of store time in all, unless the server is given another budget.
func TestStoreBudget(t *testing.T) {
	for budget, want := range map[time.Duration]time.Duration{0: 1500 * time.Millisecond, time.Hour: time.Hour} {
		before := time.Now()
		serve(&Adapter{StoreBudget: budget}, NoBody, func(w http.ResponseWriter, r *http.Request) error {
			deadline, limited := r.Context().Deadline()
			if !limited || deadline.Before(before.Add(want)) || deadline.After(time.Now().Add(want)) {
				t.Errorf("with %v: the deadline is %v after the request came, want %v", budget, deadline.Sub(before), want)
			}
			return ok(w, r)
		}, httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody))
	}
}

// The answer in overload has what every answer has, and comes before the handler is asked. A probe is answered.
func TestOverloaded(t *testing.T) {
	a := &Adapter{}
	a.limiter.Limit, a.limiter.MaxWait, a.limiter.Overloaded = 1, time.Millisecond, func() bool { return true }
	a.limiter.Acquire(t.Context(), time.Now())
	counted := 0
	a.Count = func(_, _ string, status int, _ time.Duration) {
		if status == http.StatusServiceUnavailable {
			counted++
		}
	}
	w, log := serve(a, NoBody, func(http.ResponseWriter, *http.Request) error {
		t.Error("the handler was called")
		return nil
	}, httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody))
	retry := w.Header().Get("Retry-After")
	if w.Code != 503 || errorCode(w) != "temporarily_unavailable" || retry != "1" && retry != "2" {
		t.Errorf("got %d %s, Retry-After %q", w.Code, w.Body, retry)
	}
	if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Cache-Control") != "no-store" || counted != 1 {
		t.Errorf("headers %v, counted %d times", w.Header(), counted)
	}
	if !strings.Contains(log, `"error":"overloaded: `) {
		t.Errorf("log: %s", log)
	}
	engine := gin.New()
	engine.GET("/probe", a.Always(ok))
	w = httptest.NewRecorder()
	engine.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/probe", http.NoBody))
	if w.Code != http.StatusOK {
		t.Errorf("a probe gets %d %s", w.Code, w.Body)
	}
	a.limiter.Release()
	if !a.limiter.Acquire(t.Context(), time.Now()) {
		t.Error("a request that was shed, or the probe, keeps its place")
	}
}

// A request that is done makes room, also if its handler panics.
func TestRoomGivenBack(t *testing.T) {
	a := &Adapter{}
	a.limiter.Limit, a.limiter.MaxWait, a.limiter.Overloaded = 1, time.Millisecond, func() bool { return true }
	for _, h := range []Handler{ok, func(http.ResponseWriter, *http.Request) error { panic("boom") }} {
		serve(a, NoBody, h, httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody))
		if !a.limiter.Acquire(t.Context(), time.Now()) {
			t.Error("the request keeps its place")
		}
		a.limiter.Release()
	}
}
