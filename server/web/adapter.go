package web

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/mintkeep/mintkeep/server/overload"
	"github.com/mintkeep/mintkeep/server/tracing"
)

// defaultStoreBudget leaves a caller who waits for two seconds time for the answer.
const defaultStoreBudget = 1500 * time.Millisecond

// Handler answers a request, or returns an error, never both.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Adapter makes gin handlers of the handlers of one server.
type Adapter struct {
	Logger *slog.Logger

	// Count is told of each answered request; route is empty where none matched. May be nil.
	Count func(route, method string, status int, d time.Duration)

	// Tracer makes a span of each request. May be nil.
	Tracer *tracing.Tracer

	// StoreBudget is the store time that one request may use in all. It starts when the request's body has been read, so
	// that a slow sender does not spend it. Zero: 1.5 s.
	StoreBudget time.Duration

	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix

	// HSTS adds Strict-Transport-Security: the server is reached by https alone.
	HSTS bool

	draining atomic.Bool
	drained  drained
	noise    sampler
	limiter  overload.Limiter
}

// Drain makes every connection close after its present answer, so that clients and load balancers
// move away before the server stops listening. Requests that wait are answered; see [Wait].
func (a *Adapter) Drain() {
	a.draining.Store(true)
	a.drained.close()
}

// Handle makes a gin handler of h, which is given requests with the declared body alone. Its errors are
// answered in JSON.
func (a *Adapter) Handle(body Body, h Handler) gin.HandlerFunc {
	return a.handle(route{body: body, handler: h, fail: inJSON})
}

// Page is Handle for an HTML page: fail answers its errors.
func (a *Adapter) Page(body Body, h Handler, fail Fail) gin.HandlerFunc {
	return a.handle(route{body: body, handler: h, fail: fail})
}

// Always is Handle without admission control, for what takes no body and anyone gets: probes, which must be answered in
// overload too, and documents, which cost no more than a rejection. The log lines of its successes are sampled.
func (a *Adapter) Always(h Handler) gin.HandlerFunc {
	return a.handle(route{handler: h, fail: inJSON, always: true})
}

// AlwaysPage is Page without admission control.
func (a *Adapter) AlwaysPage(h Handler, fail Fail) gin.HandlerFunc {
	return a.handle(route{handler: h, fail: fail, always: true})
}

// Fail answers an error. What the user may know of it is in e.
type Fail func(w http.ResponseWriter, r *http.Request, e *Error)

func inJSON(w http.ResponseWriter, r *http.Request, e *Error) { e.write(w, RequestID(r.Context())) }

// route is how the requests of one route are answered.
type route struct {
	body    Body
	handler Handler
	fail    Fail
	always  bool // without admission control
	waits   bool // takes its turn itself, and is logged at debug
}

func (a *Adapter) handle(to route) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, span := a.traced(c)
		x := &request{
			Context: ctx, adapter: a, caller: ctx, span: span, route: c.FullPath(), params: c.Params,
			sampleSuccess: to.always, routine: to.waits, start: time.Now(),
		}
		x.id, x.serverID = requestIDs(c.Request)
		x.address = clientAddress(c.Request, a.TrustedProxies)
		a.headers(c.Writer.Header(), x.id)
		if len(c.Request.TransferEncoding) > 0 {
			// RFC 9112 §6.1: a request with Content-Length too, which net/http hides from us, must be the last
			// on its connection. Otherwise a second request could be smuggled in it.
			c.Writer.Header()["Connection"] = closing
		}
		err := a.run(c, x, to)
		if err != nil {
			if to.waits && a.draining.Load() {
				c.Writer.Header()["Connection"] = closing
			}
			failed := answer(err)
			failed.headers(c.Writer.Header())
			to.fail(c.Writer, c.Request.WithContext(x), failed)
			err = failed
		}
		a.record(c, x, err)
	}
}

// run checks the path, reads the body, waits for admission, starts the budget and calls the handler. A panic becomes an error.
func (a *Adapter) run(c *gin.Context, x *request, to route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if !wellFormed(c.Request.URL) {
		c.Writer.Header().Del("Allow") // which the router sets for a path that it knows by another method
		return NotFound("Page")
	}
	if cause, ok := x.Value(rejected{}).(error); ok && !to.always {
		return noRoom(cause) // before the body is read, for which other callers would wait too
	}
	if x.body, err = to.body.read(c.Writer, c.Request); err != nil {
		return err
	}
	if !to.always && !to.waits { // and only after the body was read, or slow senders could take all the room
		if !a.limiter.Acquire(x.Context, x.start) {
			return overloaded()
		}
		defer a.limiter.Release()
	}
	if a.draining.Load() { // perhaps since the body began to arrive
		c.Writer.Header()["Connection"] = closing
	}
	x.budget = cmp.Or(a.StoreBudget, defaultStoreBudget)
	if to.waits {
		return to.handler(c.Writer, c.Request.WithContext(x))
	}
	// Store work is not abandoned when the caller hangs up: a revocation that was begun is finished, and
	// the budget bounds it anyway.
	x.startBudget()
	defer func() { x.cancel() }()
	return to.handler(c.Writer, c.Request.WithContext(x))
}

// The header values that every answer shares. The slices must not be changed.
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

func (a *Adapter) headers(h http.Header, id string) {
	h["Cache-Control"] = noStore // RFC 6749 §5.1; what may be cached says so itself
	h["Pragma"] = noCache
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = noFraming
	h["X-Request-Id"] = []string{id}
	if a.HSTS {
		h["Strict-Transport-Security"] = strict
	}
	if a.draining.Load() {
		h["Connection"] = closing
	}
}

// record counts the request and writes its line.
func (a *Adapter) record(c *gin.Context, x *request, err error) {
	status, took := c.Writer.Status(), time.Since(x.start)
	x.endSpan(status, err)
	if a.Count != nil {
		a.Count(c.FullPath(), c.Request.Method, status, took)
	}
	level := x.level(status)
	if !a.Logger.Enabled(c, level) {
		return
	}
	dropped := 0
	if kind, ok := x.sampled(c.Request.Method, status); ok {
		if dropped, ok = a.noise.allow(kind, x.start.Add(took)); !ok {
			return
		}
	}
	attrs := []slog.Attr{
		slog.String("method", c.Request.Method),
		slog.String("route", c.FullPath()), // the pattern: a path may hold what should not be logged
		slog.Int("status", status),
		slog.Float64("took_ms", float64(took.Microseconds())/1000),
		slog.String("address", x.address.String()),
		slog.String("request_id", x.id),
	}
	if x.serverID != "" {
		attrs = append(attrs, slog.String("server_request_id", x.serverID))
	}
	if id := x.span.TraceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	attrs = append(attrs, x.notes...)
	if err != nil {
		attrs = append(attrs, slog.String("error", reason(err)))
	}
	if dropped > 0 {
		attrs = append(attrs, slog.Int("similar_lines_dropped", dropped))
	}
	a.Logger.LogAttrs(c, level, "request", attrs...)
}

func (x *request) level(status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
		return slog.LevelError
	case x.warns, status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	case x.routine && status < http.StatusBadRequest, status == statusGone:
		return slog.LevelDebug
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
