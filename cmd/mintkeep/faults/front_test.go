package faults

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// front is a load balancer: each request goes to the next server that was ready when it was last asked, or to the
// next one if none was. It repeats nothing: another server is tried only if the connection was not made.
type front struct {
	*httptest.Server
	backends [2]backend
	turn     atomic.Int64
	to       *http.Client
}

type backend struct {
	url   atomic.Pointer[string]
	ready atomic.Bool
}

// unanswered marks the answers that are the front's own.
const unanswered = "X-Unanswered"

func newFront(t *testing.T) *front {
	f := &front{to: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: callTimeout}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.pass))
	ctx, stop := context.WithCancel(context.Background())
	asked := make(chan struct{})
	go f.keepAsking(ctx, asked)
	t.Cleanup(func() {
		stop()
		<-asked
		f.Close()
	})
	return f
}

// lead puts this server in a place of the front.
func (f *front) lead(place int, s *processtest.Server) {
	b := &f.backends[place]
	b.url.Store(&s.URL)
	b.ready.Store(s.Ready())
}

func (f *front) keepAsking(ctx context.Context, over chan<- struct{}) {
	defer close(over)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	quick := &http.Client{Transport: f.to.Transport, Timeout: time.Second}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := range f.backends {
			if at := f.backends[i].url.Load(); at != nil {
				f.backends[i].ready.Store(processtest.Caller{URL: *at, HTTP: quick}.Ready())
			}
		}
	}
}

func (f *front) pass(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	first := int(f.turn.Add(1)) % len(f.backends)
	if other := 1 - first; !f.backends[first].ready.Load() && f.backends[other].ready.Load() {
		first = other
	}
	response, err := f.send(first, r, string(body))
	if notConnected(err) {
		f.backends[first].ready.Store(false)
		response, err = f.send(1-first, r, string(body))
	}
	var answer []byte
	if err == nil {
		answer, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if err != nil {
		w.Header().Set(unanswered, "yes")
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if after := response.Header.Get("Retry-After"); after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(answer)
}

func (f *front) send(to int, r *http.Request, body string) (*http.Response, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, *f.backends[to].url.Load()+r.URL.Path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.GetBody = nil // so that the transport repeats nothing either
	out.Header = r.Header.Clone()
	return f.to.Do(out)
}

func notConnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// idle closes the idle connections.
func (f *front) idle() { f.to.CloseIdleConnections() }
