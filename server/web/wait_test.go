package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// waitingRoute has POST /w, whose requests work in a turn and then wait until they are told to end.
func waitingRoute(a *Adapter, began chan<- struct{}, end <-chan struct{}) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	a.Logger = slog.New(slog.DiscardHandler)
	engine := gin.New()
	engine.GET("/h", a.Handle(NoBody, ok))
	engine.POST("/w", a.Waiting(JSONBody, func(w http.ResponseWriter, r *http.Request) error {
		release, err := Turn(r.Context())
		if err != nil {
			return err
		}
		release()
		drain := Wait(r.Context())
		began <- struct{}{}
		select {
		case <-end:
			return Encoded(w, r, []byte(`"e`), []byte(`nd"`))
		case <-drain:
			return Encoded(w, r, []byte(`"drain"`))
		case <-r.Context().Done():
			return Gone(w)
		}
	}))
	return engine
}

func waitRequest(ctx context.Context) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/w", strings.NewReader("{}")).WithContext(ctx)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// However many requests wait, the others have all turns.
func TestWaitingTakesNoTurn(t *testing.T) {
	a := &Adapter{}
	a.limiter.Limit, a.limiter.MaxWait, a.limiter.Overloaded = 1, time.Minute, func() bool { return true }
	began, end := make(chan struct{}), make(chan struct{})
	engine := waitingRoute(a, began, end)
	const n = 1_000
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			w := httptest.NewRecorder()
			if engine.ServeHTTP(w, waitRequest(t.Context())); w.Body.String() != `"end"` {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
	for range n {
		<-began
	}
	w := httptest.NewRecorder()
	engine.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/h", http.NoBody))
	if w.Code != http.StatusOK {
		t.Errorf("another request gets %d %s", w.Code, w.Body)
	}
	close(end)
	all.Wait()
}

// A wait ends with its caller, and with the drain. One that comes during the drain waits.
func TestWaitEnds(t *testing.T) {
	a := &Adapter{}
	began, end := make(chan struct{}), make(chan struct{})
	engine := waitingRoute(a, began, end)
	answers := make(chan *httptest.ResponseRecorder)
	send := func(ctx context.Context) {
		go func() {
			w := httptest.NewRecorder()
			engine.ServeHTTP(w, waitRequest(ctx))
			answers <- w
		}()
		<-began
	}
	ctx, leave := context.WithCancel(t.Context())
	send(ctx)
	leave()
	if w := <-answers; w.Code != statusGone {
		t.Errorf("a caller who went away is counted as %d", w.Code)
	}
	send(t.Context())
	a.Drain()
	a.Drain() // again changes nothing
	if w := <-answers; w.Body.String() != `"drain"` || w.Header().Get("Connection") != "close" {
		t.Errorf("at the drain it gets %d %s, headers %v", w.Code, w.Body, w.Header())
	}
	send(t.Context())
	close(end)
	if w := <-answers; w.Body.String() != `"end"` || w.Header().Get("Connection") != "close" {
		t.Errorf("during the drain it gets %d %s, headers %v", w.Code, w.Body, w.Header())
	}
}

// In overload the work of a request that will wait is shed like that of others.
func TestTurnShed(t *testing.T) {
	a := &Adapter{}
	a.limiter.Limit, a.limiter.MaxWait, a.limiter.Overloaded = 1, time.Millisecond, func() bool { return true }
	a.limiter.Acquire(t.Context(), time.Now())
	w := httptest.NewRecorder()
	waitingRoute(a, nil, nil).ServeHTTP(w, waitRequest(t.Context()))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
