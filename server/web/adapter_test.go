package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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
