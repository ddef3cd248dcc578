package guardtest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// NewLocal is one without a network, which only its own guards reach: see [Server.Transport].
func NewLocal(tb testing.TB) *Server {
	tb.Helper()
	s := newServer(tb)
	s.URL, s.local = "http://localhost", true
	return s
}

// Transport answers in the caller's process. A guard of [NewLocal] has it unless its Config has an HTTPClient, which may add
// faults to it.
func (s *Server) Transport() http.RoundTripper { return transport{s.handler} }

type transport struct{ handler http.Handler }

// RoundTrip waits for the answer no longer than the request's context.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		t.handler.ServeHTTP(w, r.Clone(r.Context()))
	}()
	select {
	case <-done:
		answer := w.Result()
		answer.Request = r
		return answer, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
