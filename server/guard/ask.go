package guard

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"
)

const (
	// maxQuestions are under way at once, and maxWaiting wait for their turn. What is more is 503. Credentials that are known
	// do not wait.
	maxQuestions = 64
	maxWaiting   = 512
)

// question asks Mintkeep about one credential. All callers who may share the answer wait for it.
type question struct {
	started bool // its callers came before it was sent
	done    chan struct{}

	// When done is closed:
	sent    instant
	stamp   uint64
	verdict *verdict
	refusal *Refusal
}

// flights are the questions that are under way or wait for their turn.
type flights struct {
	mu    sync.Mutex
	by    map[digest][]*question // at most two: one that was sent, and the next one
	open  int                    // questions that were not answered yet, also those whose callers went away
	turns chan struct{}
}

func (f *flights) init() {
	f.by, f.turns = map[digest][]*question{}, make(chan struct{}, maxQuestions)
}

// join is the question that a caller waits for, whether the caller has to start it, and whether it was sent before the caller
// came. nil: too many wait.
func (f *flights) join(d digest, maySent bool) (q *question, lead, sent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.by[d] {
		if !q.started || maySent {
			return q, false, q.started
		}
	}
	if f.open >= maxQuestions+maxWaiting {
		return nil, false, false
	}
	f.open++
	q = &question{done: make(chan struct{})}
	f.by[d] = append(f.by[d], q)
	return q, true, false
}

// start notes that the question is sent now.
func (f *flights) start(q *question) {
	f.mu.Lock()
	q.started = true
	f.mu.Unlock()
}

func (f *flights) end(d digest, q *question) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rest []*question
	for _, other := range f.by[d] {
		if other != q {
			rest = append(rest, other)
		}
	}
	if len(rest) == 0 {
		delete(f.by, d)
	} else {
		f.by[d] = rest
	}
	f.open--
	close(q.done)
}

// ask asks Mintkeep, or waits for the answer to a question that another caller asks. own is whether the answer is to a question of
// this caller's own.
func (g *Guard) ask(ctx context.Context, text string, d digest, strict bool) (v *verdict, own bool, refusal *Refusal) {
	if !g.memory.has(d) { // a known credential has passed the check before
		if refusal := g.precheck(ctx, text); refusal != nil {
			return nil, false, refusal
		}
	}
	for {
		state, _ := g.state(g.clock())
		if state == Shut {
			return nil, false, unavailable("closed")
		}
		q, lead, sent := g.flights.join(d, !strict && state == Current)
		if q == nil {
			return nil, false, unavailable("too_many")
		}
		if lead {
			if !strict && state == Current {
				if v := g.memory.find(d, g.clock()); v != nil { // another question has just ended
					g.flights.end(d, q) // unanswered: who has joined it may be strict
					return v, false, nil
				}
			}
			go g.carry(text, d, q)
		}
		select {
		case <-q.done:
		case <-ctx.Done():
			return nil, false, unavailable("cancelled")
		}
		if sent && !g.sharable(q) || q.verdict == nil && q.refusal == nil {
			continue
		}
		return q.verdict, lead, q.refusal
	}
}

// sharable is whether the answer serves a caller who came after the question was sent.
func (g *Guard) sharable(q *question) bool {
	if q.verdict == nil {
		return false
	}
	age, agree := q.sent.age(g.clock())
	return agree && age <= g.config.MaxStale && g.memory.stillHolds(q.verdict)
}

// carry asks the question when it has a turn. No caller's context ends it, since others wait too; [Guard.Close] does.
func (g *Guard) carry(text string, d digest, q *question) {
	g.flights.turns <- struct{}{}
	defer func() { <-g.flights.turns }()
	g.flights.start(q)
	q.stamp, q.sent = g.memory.now(), g.clock()
	g.counts.asks.Add(1)
	g.observe(Event{Kind: Asked})
	i, err := g.mint.introspect(g.life, text)
	g.answer(q, d, i, err)
	g.flights.end(d, q)
}

// answer reads the answer, and keeps it if it may be kept.
func (g *Guard) answer(q *question, d digest, i introspection, err error) {
	switch {
	case errors.Is(err, errRejected):
		g.misconfigure(err)
		q.refusal = unavailable("misconfigured")
		return
	case err != nil:
		q.refusal = unavailable("unreachable")
		var status *statusError
		if errors.As(err, &status) && status.retryAfter > 0 {
			q.refusal.RetryAfter = status.retryAfter
		}
		return
	case !i.Active:
		q.refusal = invalid("revoked_or_unknown")
		g.memory.keepInactive(d, q.stamp, g.clock())
		g.memory.forgetAbout(d)
		return
	}
	handles, err := parseHandles(i.Ties)
	if err != nil {
		q.refusal = unavailable("no_ties") // an older Mintkeep, which does not say what the answer depends on
		return
	}
	q.verdict = newVerdict(d, i, q)
	q.verdict.depends(handles)
	if q.verdict.expired(g.clock()) {
		q.verdict, q.refusal = nil, invalid("expired")
		return
	}
	g.memory.keep(q.verdict)
}

func newVerdict(d digest, i introspection, q *question) *verdict {
	c := Credential{
		ID: i.ID, Type: "bearer", Subject: i.Subject, ClientID: i.ClientID,
		Scopes: strings.Fields(i.Scope), Audiences: i.Audience,
	}
	if strings.EqualFold(i.TokenType, "api_key") {
		c.Type = "api_key"
		c.Key = &Key{Name: i.Name, Metadata: i.Metadata, RateLimit: i.RateLimit, Owner: i.Username}
	}
	if i.IssuedAt > 0 {
		c.IssuedAt = time.Unix(i.IssuedAt, 0)
	}
	if i.Expires > 0 {
		c.Expires = time.Unix(i.Expires, 0)
	}
	v := &verdict{digest: d, credential: c, bound: len(i.Binding) > 0, sent: q.sent.mono, expires: never, stamp: q.stamp}
	v.credential.verdict = v
	if b, err := base64.RawURLEncoding.DecodeString(i.State); err == nil && len(b) == len(v.state) {
		v.state = state(b)
	}
	if i.Left != nil {
		v.expires = q.sent.add(time.Duration(*i.Left) * time.Millisecond)
		v.expires.wall += clockSkew
	} else if i.Expires > 0 {
		v.expires = q.sent // it expires, and nothing says when by our clock
	}
	return v
}

// depends notes the ties, of which the credential's own is no other.
func (v *verdict) depends(handles []handle) {
	for _, h := range handles {
		if h != v.digest.handle() {
			v.ties = append(v.ties, &tie{handle: h})
		}
	}
}

var errNoTies = errors.New("the answer has no ties")

func parseHandles(texts []string) ([]handle, error) {
	if len(texts) == 0 {
		return nil, errNoTies
	}
	handles := make([]handle, len(texts))
	for i, text := range texts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || len(b) != handleSize {
			return nil, errNoTies
		}
		handles[i] = handle(b)
	}
	return handles, nil
}
