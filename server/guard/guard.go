package guard

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Guard checks credentials. It is safe for concurrent use. A process needs one for each set of audiences.
type Guard struct {
	config  Config
	realm   string
	clock   clock
	memory  *memory
	mint    *mintkeep
	keys    *keySet
	flights flights
	used    used

	confirming confirming
	streams    streams

	known         atomic.Pointer[instant] // up to then it has every void; nil: blind
	misconfigured atomic.Bool             // Mintkeep rejects this guard's own client
	closed        atomic.Bool
	hinted        minutely
	counts        counts

	life    context.Context // until Close
	stop    context.CancelFunc
	running sync.WaitGroup
}

// New makes a guard, and begins to poll. It waits for nothing: until the first answer the guard does what Config.WhenStale says; with
// [Grace] it asks at each call. The error joins one [ConfigError] for each wrong field of the Config.
func New(c Config) (*Guard, error) {
	return newGuard(c, newClock())
}

func newGuard(c Config, now clock) (*Guard, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	issuer, _ := url.Parse(c.Issuer) // complete has read it
	if c.ResourceMetadata == "" && c.PublicURL != "" {
		public, _ := url.Parse(c.PublicURL)
		c.ResourceMetadata = public.Scheme + "://" + public.Host + "/.well-known/oauth-protected-resource" + strings.TrimSuffix(public.Path, "/")
	}
	g := &Guard{config: c, realm: issuer.Host, clock: now, memory: newMemory(c.MaxEntries)}
	g.mint = newMintkeep(&g.config)
	g.life, g.stop = context.WithCancel(context.Background())
	g.keys = &keySet{fetch: func() ([]byte, error) { return g.mint.keys(g.life) }, clock: now, budget: unverifiedRate}
	g.flights.init()
	g.running.Add(1)
	go func() {
		defer g.running.Done()
		g.poll(g.life)
	}()
	return g, nil
}

// Close ends the polling. Later checks are 503. It always returns nil.
func (g *Guard) Close() error {
	g.closed.Store(true)
	g.stop()
	g.running.Wait()
	g.mint.close()
	return nil
}

// State is whether a guard answers from memory.
type State string

// The states.
const (
	Blind         State = "blind"         // no poll was answered yet; behaves as Stale
	Current       State = "current"       // answers from memory
	Stale         State = "stale"         // see Config.WhenStale
	Misconfigured State = "misconfigured" // Mintkeep rejects its client; behaves as Stale
	Shut          State = "closed"        // after Close: every check is 503
)

// state is the state, and how long ago it had every void: for ever, if no poll was answered yet.
func (g *Guard) state(now instant) (State, time.Duration) {
	if g.closed.Load() {
		return Shut, 0
	}
	known := g.known.Load()
	if known == nil {
		if g.misconfigured.Load() {
			return Misconfigured, math.MaxInt64
		}
		return Blind, math.MaxInt64
	}
	age, agree := known.age(now)
	switch {
	case agree && age <= g.config.MaxStale:
		return Current, age
	case g.misconfigured.Load():
		return Misconfigured, age
	}
	return Stale, age
}

// inGrace is whether a guard that is not current answers from memory still, as [Grace] says.
func (g *Guard) inGrace(age time.Duration) bool {
	return g.config.WhenStale.grace > 0 && age <= g.config.lease()
}

// Ready is nil while the guard is current, for a readiness probe that wants it.
func (g *Guard) Ready(context.Context) error {
	if s, _ := g.state(g.clock()); s != Current {
		return errors.New("guard: " + string(s))
	}
	return nil
}

// Check is whether a caller may go on. Its error is a [*Refusal]. The options say what the credential needs.
func (g *Guard) Check(ctx context.Context, p Presented, options ...Option) (*Credential, error) {
	c, refusal := g.checked(ctx, p, collect(options))
	if refusal != nil {
		return nil, refusal
	}
	return c, nil
}

func (g *Guard) checked(ctx context.Context, p Presented, need *requirements) (*Credential, *Refusal) {
	c, refusal := g.check(ctx, p, need)
	if refusal != nil {
		g.counts.refused.Add(1)
		g.hint(refusal.Reason)
		g.observe(Event{Kind: Refused, Reason: refusal.Reason})
		return nil, g.challenge(refusal, need.scopes)
	}
	g.counts.served.Add(1)
	return c, nil
}

// hint logs, at most once a minute, a refusal that a wrong Config causes for every caller.
func (g *Guard) hint(reason string) {
	if reason != "issuer" && reason != "audience" {
		return
	}
	if g.hinted.may(g.clock()) {
		g.config.Logger.Warn("guard: a credential of another issuer, or for another service, is rejected; if all are, compare the configuration with the credential",
			"reason", reason, "issuer", g.config.Issuer, "audiences", g.config.Audiences)
	}
}

func (g *Guard) check(ctx context.Context, p Presented, need *requirements) (*Credential, *Refusal) {
	if p.InQuery {
		return nil, badRequest("in_query", "Send the credential in the Authorization header, not in the query.")
	}
	text, refusal := p.credential()
	if refusal != nil {
		return nil, refusal
	}
	d := digestOf(text)
	now := g.clock() // first the clock, then what is known, then the verdict: a pause in between makes it older, not newer
	v, refusal := g.fromMemory(d, now, need.strict)
	counted := false // by Mintkeep, when it was asked
	if v == nil && refusal == nil {
		v, counted, refusal = g.ask(ctx, text, d, need.strict)
	}
	if refusal != nil {
		return nil, refusal
	}
	if refusal := g.allows(v, need); refusal != nil {
		return nil, refusal
	}
	if !counted {
		g.used.note(v)
	}
	return &v.credential, nil
}

// fromMemory is the verdict, if one may be used, or a refusal if nothing may be asked either. Neither: ask.
func (g *Guard) fromMemory(d digest, now instant, strict bool) (*verdict, *Refusal) {
	state, age := g.state(now)
	mode := g.config.WhenStale
	may := !strict && state == Current
	switch {
	case state == Shut:
		return nil, unavailable("closed")
	case state == Current:
	case mode.closed:
		return nil, unavailable("stale")
	case g.inGrace(age):
		may = !strict
	}
	if !may {
		return nil, nil
	}
	if v := g.memory.find(d, now); v != nil {
		g.counts.hits.Add(1)
		return v, nil
	}
	if state == Current && g.memory.isInactive(d, now) {
		return nil, invalid("revoked_or_unknown")
	}
	return nil, nil
}

// allows is whether the credential is for this service and has what the route needs. It is asked at every use.
func (g *Guard) allows(v *verdict, need *requirements) *Refusal {
	if v.bound {
		return invalid("binding_unsupported")
	}
	audiences := need.audiences
	if len(audiences) == 0 {
		audiences = g.config.Audiences
	}
	if !haveCommon(v.credential.Audiences, audiences) {
		return invalid("audience")
	}
	for _, scope := range need.scopes {
		if !v.credential.Has(scope) {
			return lacksScope(need.scopes)
		}
	}
	return nil
}

func haveCommon(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

// Option is what a route needs.
type Option func(*requirements)

type requirements struct {
	scopes, audiences []string
	strict            bool
}

func collect(options []Option) *requirements {
	need := &requirements{}
	for _, o := range options {
		o(need)
	}
	return need
}

// Scope needs all of these scopes.
func Scope(scopes ...string) Option {
	return func(r *requirements) { r.scopes = append(r.scopes, scopes...) }
}

// Audience needs one of these audiences, in place of Config.Audiences.
func Audience(audiences ...string) Option {
	return func(r *requirements) { r.audiences = append(r.audiences, audiences...) }
}

// Strict asks Mintkeep at each call.
func Strict(r *requirements) { r.strict = true }

type contextKey struct{}

// With is a context with a credential, for [From].
func With(ctx context.Context, c *Credential) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From is the credential of a request that [Guard.Require] let through; false: there is none.
func From(ctx context.Context) (*Credential, bool) {
	c, _ := ctx.Value(contextKey{}).(*Credential)
	return c, c != nil
}

// Require protects a handler: its callers need a credential with these scopes, which are separated by spaces; none: any
// credential. Behind it, [From] has the credential.
func (g *Guard) Require(scope string, options ...Option) func(http.Handler) http.Handler {
	need := collect(append([]Option{Scope(strings.Fields(scope)...)}, options...))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, refusal := g.checked(r.Context(), PresentedIn(r), need)
			if refusal != nil {
				g.refuse(w, r, refusal)
				return
			}
			next.ServeHTTP(w, r.WithContext(With(r.Context(), c)))
		})
	}
}

// PresentedIn is what a request presents.
func PresentedIn(r *http.Request) Presented {
	return Presented{
		Authorization: r.Header["Authorization"],
		InQuery:       strings.Contains(r.URL.RawQuery, "access_token") && r.URL.Query().Has("access_token"),
	}
}

func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, refusal *Refusal) {
	if g.config.Refuse != nil {
		g.config.Refuse(w, r, refusal)
		return
	}
	refusal.write(w)
}

// KnownAt is the moment up to which the guard has every void, and whether the guard is current. The moment means nothing if the
// guard has had no answer yet, or is closed.
func (g *Guard) KnownAt() (at time.Time, current bool) {
	now := g.clock()
	state, age := g.state(now)
	return time.Now().Add(-age), state == Current
}
