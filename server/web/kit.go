package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
)

// StoreBudget is the store time that one request may use in all. It starts when the request's body
// has been read, so that a slow sender does not spend it.
const StoreBudget = 1500 * time.Millisecond

// Handler answers a request, or returns an error, never both.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Kit is what surrounds every handler of one server.
type Kit struct {
	Logger *slog.Logger

	// Count is told of each answered request; route is empty where none matched. May be nil.
	Count func(route, method string, status int, d time.Duration)

	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix

	// HSTS adds Strict-Transport-Security: the server is reached by https alone.
	HSTS bool

	draining atomic.Bool
	noise    sampler
	turns    turnstile
}

// Drain asks every connection to end after its present answer, so that clients and load balancers
// move away before the server stops listening.
func (k *Kit) Drain() { k.draining.Store(true) }

// Handle makes a gin handler of h, which is given requests with the declared body alone. Its errors are
// answered in JSON.
func (k *Kit) Handle(body Body, h Handler) gin.HandlerFunc {
	return k.handle(way{body: body, handler: h, refuse: inJSON})
}

// Page is Handle for a page that people see: refuse answers its errors.
func (k *Kit) Page(body Body, h Handler, refuse Refuse) gin.HandlerFunc {
	return k.handle(way{body: body, handler: h, refuse: refuse})
}

// Always is Handle for what takes no body and waits for no turn: probes, which must be answered in overload too, and
// documents, which cost no more than to refuse them.
func (k *Kit) Always(h Handler) gin.HandlerFunc {
	return k.handle(way{handler: h, refuse: inJSON, always: true})
}

// AlwaysPage is Page likewise.
func (k *Kit) AlwaysPage(h Handler, refuse Refuse) gin.HandlerFunc {
	return k.handle(way{handler: h, refuse: refuse, always: true})
}

// Refuse answers an error. What the person may know of it is in e.
type Refuse func(w http.ResponseWriter, r *http.Request, e *Error)

func inJSON(w http.ResponseWriter, r *http.Request, e *Error) { e.write(w, RequestID(r.Context())) }

// way is how a route's requests are answered.
type way struct {
	body    Body
	handler Handler
	refuse  Refuse
	always  bool // without waiting for a turn
}

func (k *Kit) handle(to way) gin.HandlerFunc {
	return func(c *gin.Context) {
		x := &exchange{Context: c.Request.Context(), id: requestID(c.Request), route: c.FullPath(), params: c.Params, start: time.Now()}
		x.address = clientAddress(c.Request, k.TrustedProxies)
		k.headers(c.Writer.Header(), x.id)
		if len(c.Request.TransferEncoding) > 0 {
			// RFC 9112 §6.1: a request with Content-Length too, which net/http hides from us, must be the last
			// on its connection, so that nobody smuggles a second one in it.
			c.Writer.Header()["Connection"] = closing
		}
		err := k.run(c, x, to)
		if err != nil {
			failed := answer(err)
			failed.headers(c.Writer.Header())
			to.refuse(c.Writer, c.Request.WithContext(x), failed)
			err = failed
		}
		k.record(c, x, err)
	}
}

// run reads the body, waits for a turn, starts the budget and calls the handler. A panic becomes an error.
func (k *Kit) run(c *gin.Context, x *exchange, to way) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if !to.always && x.Value(withoutFiles{}) != nil {
		return outOfFiles() // before the body is there, for which others would wait too
	}
	if x.body, err = to.body.read(c.Writer, c.Request); err != nil {
		return err
	}
	if !to.always { // and not before the body was there, or slow senders could have all the turns
		if !k.turns.enter(x.Context, x.start) {
			return overloaded()
		}
		defer k.turns.leave()
	}
	if k.draining.Load() { // perhaps since the body began to arrive
		c.Writer.Header()["Connection"] = closing
	}
	// Store work is not abandoned when the caller hangs up: an end that was begun is finished, and
	// the budget bounds it anyway.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.Context), StoreBudget)
	defer cancel()
	x.Context = ctx
	return to.handler(c.Writer, c.Request.WithContext(x))
}

// The header values that every answer shares. Nobody changes the slices.
var (
	noStore     = []string{"no-store"}
	noCache     = []string{"no-cache"}
	noSniff     = []string{"nosniff"}
	noReferrer  = []string{"no-referrer"}
	noFraming   = []string{"default-src 'none'; frame-ancestors 'none'"}
	strict      = []string{"max-age=31536000"}
	closing     = []string{"close"}
	jsonContent = []string{"application/json"}
)

func (k *Kit) headers(h http.Header, id string) {
	h["Cache-Control"] = noStore // RFC 6749 §5.1; what may be cached says so itself
	h["Pragma"] = noCache
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = noFraming
	h["X-Request-Id"] = []string{id}
	if k.HSTS {
		h["Strict-Transport-Security"] = strict
	}
	if k.draining.Load() {
		h["Connection"] = closing
	}
}

// record counts the request and writes its line.
func (k *Kit) record(c *gin.Context, x *exchange, err error) {
	status, took := c.Writer.Status(), time.Since(x.start)
	if k.Count != nil {
		k.Count(c.FullPath(), c.Request.Method, status, took)
	}
	level := levelOf(status)
	if !k.Logger.Enabled(c, level) {
		return
	}
	quieted, ok := k.noise.allow(status, x.start)
	if !ok {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", c.Request.Method),
		slog.String("route", c.FullPath()), // the pattern: a path may hold what should not be logged
		slog.Int("status", status),
		slog.Float64("took_ms", float64(took.Microseconds())/1000),
		slog.String("address", x.address.String()),
		slog.String("request_id", x.id),
	}
	attrs = append(attrs, x.notes...)
	if err != nil {
		attrs = append(attrs, slog.String("error", reason(err)))
	}
	if quieted > 0 {
		attrs = append(attrs, slog.Int("similar_lines_dropped", quieted))
	}
	k.Logger.LogAttrs(c, level, "request", attrs...)
}

func levelOf(status int) slog.Level {
	switch {
	case status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// reason is what the log says of a failure: the cause where there is one, else the answer.
func reason(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Cause != nil {
		return e.Cause.Error()
	}
	return err.Error()
}
