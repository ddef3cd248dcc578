package guard

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	mathrand "math/rand/v2"
	"time"
)

const (
	hedgeTime  = 150 * time.Millisecond // how much longer than asked an answer may take, and how long a second poll waits
	retryLeast = 50 * time.Millisecond
	retryMost  = time.Second
	minWait    = 100 * time.Millisecond
	maxWait    = 2 * time.Second
	// resetsApart is the time between two resets after which verdicts are confirmed.
	resetsApart = 10 * time.Second
)

// changes is an answer of POST /oauth/changes.
type changes struct {
	Nonce  string   `json:"nonce"`
	Cursor string   `json:"cursor"`
	Reset  bool     `json:"reset"`
	More   bool     `json:"more"`
	Void   []string `json:"void"`
	Fresh  *int64   `json:"fresh"` // milliseconds
	Keys   string   `json:"keys"`
}

// pollRequest is its request.
type pollRequest struct {
	After    string    `json:"after,omitempty"`
	Wait     int64     `json:"wait"`
	Nonce    string    `json:"nonce"`
	Instance string    `json:"instance"`
	Lease    int64     `json:"lease"`
	Used     []usedKey `json:"used,omitempty"`
	Served   uint64    `json:"served"`
	Refused  uint64    `json:"refused"`
	Entries  int       `json:"entries"`
	Version  string    `json:"version"`
}

// polled is one poll that is over.
type polled struct {
	sent    instant
	changes changes
	err     error
}

// poller is what only the polling goroutine uses.
type poller struct {
	g        *Guard
	instance string
	version  string
	cursor   string
	retry    time.Duration // until the next poll after an error
	nulls    int           // answers without fresh in a row
	keys     string
	failures minutely
	resetAt  time.Duration
	failing  bool          // the last poll was not answered
	state    State         // that Config.Observe was told of
	oldAt    time.Duration // when old verdicts were looked for
}

// poll polls until ctx is done.
func (g *Guard) poll(ctx context.Context) {
	p := &poller{g: g, instance: instanceName(), version: ownVersion(), resetAt: -time.Hour, state: Blind}
	defer p.noteState()
	for ctx.Err() == nil {
		answer := p.hedged(ctx)
		if ctx.Err() != nil {
			return
		}
		p.process(ctx, answer)
		p.noteState()
		p.confirmOld(ctx)
		if p.retry > 0 {
			p.pause(ctx)
		}
	}
}

// pause waits for the next poll after an error.
func (p *poller) pause(ctx context.Context) {
	jitter := 0.8 + 0.4*mathrand.Float64() //nolint:gosec // it spreads the polls
	over, lease := time.After(time.Duration(float64(p.retry)*jitter)), p.leaseEnd()
	for {
		select {
		case <-lease:
			lease = nil
			p.noteState()
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// noteState tells Config.Observe of another state.
func (p *poller) noteState() {
	if state, _ := p.g.state(p.g.clock()); state != p.state {
		p.state = state
		p.g.observe(Event{Kind: StateChanged, State: state})
	}
}

// leaseEnd is when a guard that is current becomes stale, if no answer comes before. Of any other guard it is nil, which never fires.
func (p *poller) leaseEnd() <-chan time.Time {
	state, age := p.g.state(p.g.clock())
	if state != Current || p.state != Current {
		return nil
	}
	return time.After(p.g.config.MaxStale - age + time.Millisecond)
}

// wait is how long a poll may wait: so that the lease is extended twice in its time.
func (p *poller) wait() time.Duration {
	return min(max(p.g.config.MaxStale*45/100, minWait), maxWait)
}

// hedged polls, and if no answer comes in time, polls once more on another connection. The first answer wins. The other one is
// cancelled and never read: it is about a cursor that the guard does not have any more.
func (p *poller) hedged(ctx context.Context) polled {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // and with it the other one
	answers := make(chan polled, 2)
	wait := p.wait()
	cursor := p.cursor // which this goroutine may have moved before the second poll begins
	go func() { answers <- p.once(ctx, cursor, wait) }()
	hedge := time.NewTimer(wait + hedgeTime)
	defer hedge.Stop()
	pending, lease := 1, p.leaseEnd()
	for {
		select {
		case <-lease:
			lease = nil
			p.noteState()
		case a := <-answers:
			pending--
			if a.err == nil || pending == 0 {
				return a
			}
		case <-hedge.C:
			pending++
			go func() { answers <- p.once(ctx, cursor, hedgeTime) }()
		}
	}
}

// once sends one poll.
func (p *poller) once(ctx context.Context, cursor string, wait time.Duration) polled {
	g := p.g
	nonce := rand.Text()
	a := polled{}
	request := pollRequest{
		After: cursor, Wait: wait.Milliseconds(), Nonce: nonce, Instance: p.instance, Lease: g.config.lease().Milliseconds(),
		Used: g.used.take(), Served: g.counts.served.Load(), Refused: g.counts.refused.Load(),
		Entries: g.memory.len(), Version: p.version,
	}
	body, err := json.Marshal(request)
	if err != nil {
		a.err = err
		return a
	}
	timed, cancel := context.WithTimeout(ctx, wait+questionTime)
	defer cancel()
	a.sent = g.clock()
	a.err = g.mint.post(timed, changesPath, "application/json", body, &a.changes)
	if a.err != nil && ctx.Err() == nil { // one that was cancelled has arrived, as a rule
		g.used.again(request.Used)
	}
	if a.err == nil && a.changes.Nonce != nonce {
		a.err = errors.New("the answer to a poll is an older one: a proxy repeats answers")
	}
	return a
}

// process applies an answer: first what it voids, then how fresh it is.
func (p *poller) process(ctx context.Context, a polled) {
	g := p.g
	if a.err != nil {
		p.failed(a.err)
		return
	}
	handles, err := voidHandles(a.changes.Void)
	if err != nil {
		a.changes.Reset = true // nothing that is known can be relied on
	}
	now := g.clock()
	if a.changes.Reset {
		used := g.memory.reset(confirmAfterReset)
		if now.mono-p.resetAt > resetsApart { // not in a storm of resets
			g.startConfirming(ctx, used)
		}
		p.resetAt = now.mono
		g.counts.resets.Add(1)
		g.observe(Event{Kind: WasReset})
	} else if len(handles) > 0 {
		g.memory.void(handles, now)
		g.counts.voids.Add(uint64(len(handles)))
		g.observe(Event{Kind: Voided, Count: len(handles)})
	}
	p.cursor, p.retry = a.changes.Cursor, 0
	if p.failing {
		p.failing = false
		g.config.Logger.Info("guard: the feed of revocations answers again")
	}
	g.misconfigured.Store(false)
	if a.changes.Keys != p.keys {
		p.keys = a.changes.Keys
		g.keys.expire()
	}
	if a.changes.More {
		return
	}
	if a.changes.Fresh == nil || *a.changes.Fresh < 0 {
		if p.nulls++; p.nulls >= 2 {
			g.mint.leaveReplica()
		}
		return
	}
	p.nulls = 0
	g.mint.leave.Store(false)
	known := a.sent.add(time.Duration(*a.changes.Fresh) * time.Millisecond)
	if before := g.known.Load(); before == nil || known.mono > before.mono {
		g.known.Store(&known)
	}
}

// confirmOld confirms the verdicts that are older than confirmAge, a part of them each second.
func (p *poller) confirmOld(ctx context.Context) {
	now := p.g.clock().mono
	if now-p.oldAt < time.Second {
		return
	}
	p.oldAt = now
	p.g.startConfirming(ctx, p.g.memory.olderThan(now-confirmAge, confirmAtOnce))
}

func voidHandles(texts []string) ([]handle, error) {
	handles := make([]handle, 0, len(texts))
	for _, text := range texts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || len(b) != handleSize {
			return nil, errors.New("a void is no handle")
		}
		handles = append(handles, handle(b))
	}
	return handles, nil
}

// failed waits longer after each failure, and has the next poll open a new connection.
func (p *poller) failed(err error) {
	p.retry = min(max(2*p.retry, retryLeast), retryMost)
	var status *statusError
	if errors.As(err, &status) && status.retryAfter > 0 {
		p.retry = min(max(p.retry, status.retryAfter), retryMost)
	}
	if errors.Is(err, errRejected) {
		p.g.misconfigure(err)
	}
	p.g.mint.leaveReplica()
	p.failing = true
	if p.failures.may(p.g.clock()) {
		p.g.config.Logger.Warn("guard: the feed of revocations does not answer", "error", err.Error())
	}
}

// misconfigure notes that Mintkeep rejects this guard's own client.
func (g *Guard) misconfigure(err error) {
	if !g.misconfigured.Swap(true) {
		g.config.Logger.Error("guard: Mintkeep rejects this guard", "client_id", g.config.ClientID, "error", err.Error())
	}
}
