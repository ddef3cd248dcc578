package web

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// statusGone is counted for a request whose caller went away while it waited, as nginx has it. It is never read.
const statusGone = 499

// Waiting is Handle for requests that wait: their handler takes a turn by [Turn] only while it works, and then calls [Wait]. Their
// successes are logged at debug.
func (a *Adapter) Waiting(body Body, h Handler) gin.HandlerFunc {
	return a.handle(route{body: body, handler: h, fail: inJSON, waits: true})
}

// Turn admits the work of a request that ctx belongs to, and starts its store time. The handler calls release when that
// work is done.
func Turn(ctx context.Context) (release func(), err error) {
	x := from(ctx)
	if !x.adapter.limiter.Acquire(x.caller, time.Now()) {
		return nil, overloaded()
	}
	x.startBudget()
	return func() {
		x.cancel()
		x.Context = x.caller
		x.adapter.limiter.Release()
	}, nil
}

// Wait says that the request only waits from now on: until its context is done, because the caller went away, or until drain
// is closed. Its body is dropped. drain is nil for a request that came while the server drained: its caller does not know
// another replica yet, so it is served as usual.
func Wait(ctx context.Context) (drain <-chan struct{}) {
	x := from(ctx)
	x.body = nil
	if x.adapter.draining.Load() {
		return nil
	}
	return x.adapter.drained.channel()
}

// Arrived is when the head of the request that ctx belongs to had arrived.
func Arrived(ctx context.Context) time.Time { return from(ctx).start }

// Gone answers a request whose caller went away.
func Gone(w http.ResponseWriter) error {
	w.WriteHeader(statusGone)
	return nil
}

// Encoded answers a request that has waited, with a JSON body in parts, of which requests may share some.
func Encoded(w http.ResponseWriter, r *http.Request, parts ...[]byte) error {
	if from(r.Context()).adapter.draining.Load() { // perhaps since it began to wait
		w.Header()["Connection"] = closing
	}
	w.Header()["Content-Type"] = jsonContent
	for _, part := range parts {
		_, _ = w.Write(part) // a caller who went away gets no answer
	}
	return nil
}

// drained is a channel that is closed when the server drains.
type drained struct {
	once, closed sync.Once
	c            chan struct{}
}

func (d *drained) channel() chan struct{} {
	d.once.Do(func() { d.c = make(chan struct{}) })
	return d.c
}

func (d *drained) close() { d.closed.Do(func() { close(d.channel()) }) }
