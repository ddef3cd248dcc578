//go:build go1.25

package guard

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var modelChecks = flag.Int("model", 20_000, "how many checks the model test makes")

const (
	modelClients     = 5
	modelCredentials = 40
	modelLease       = time.Second
)

// model is a Mintkeep whose answers are late, lost, repeated and reordered, and that resets its feed. Its time is virtual. The
// machine of the guard is suspended at times, while the world goes on, and its wall clock is set.
type model struct {
	t     *testing.T
	dice  *rand.Rand
	began time.Time
	slept atomic.Int64 // for how long the machine was suspended
	set   atomic.Int64 // by how much its wall clock was set
	sets  atomic.Int64 // how often
	away  atomic.Bool  // the feed, and not introspection

	mu      sync.Mutex
	owner   [modelCredentials]int
	revoked map[string]time.Time // credential or client → when that was acknowledged
	applied map[string]bool      // it takes effect before
	life    map[string]life      // of those that expire
	flushed chan struct{}        // closed when all polls are answered
	next    int                  // the name of the next credential
	names   [modelCredentials]string
	feed    []string
	epoch   int
	changed chan struct{}
	repeats int
	gone    string // one that was revoked lately
	old     []byte // an older answer of the feed
	down    bool
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		t: t, dice: rand.New(rand.NewPCG(seed, 1)), began: time.Now(), revoked: map[string]time.Time{}, applied: map[string]bool{},
		changed: make(chan struct{}), flushed: make(chan struct{}), life: map[string]life{},
	}
	for i := range m.names {
		m.renew(i)
		m.owner[i] = i % modelClients
	}
	return m
}

// renew issues a new credential in a place.
func (m *model) renew(i int) {
	m.next++
	m.names[i] = checksummed(fmt.Sprintf("%040d", m.next))
	if m.dice.IntN(4) == 0 {
		m.life[m.names[i]] = life{m.now().Add(time.Duration(m.dice.IntN(30_000)) * time.Millisecond), m.slept.Load(), m.sets.Load()}
	}
}

// life is when a credential expires, and what had happened to the guard's clocks when it was issued.
type life struct {
	expires     time.Time
	slept, sets int64
}

// now is the time of the world, which goes on while the guard's machine is suspended.
func (m *model) now() time.Time { return time.Now().Add(time.Duration(m.slept.Load())) }

// clock is that of the guard's machine.
func (m *model) clock() instant {
	mono := time.Since(m.began)
	return instant{mono, mono + time.Duration(m.slept.Load()+m.set.Load())}
}

func (m *model) roll(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dice.IntN(n)
}

// delay is how long something takes: mostly little, at times long.
func (m *model) delay() time.Duration {
	switch n := m.roll(100); {
	case n < 80:
		return time.Duration(m.roll(10)) * time.Millisecond
	case n < 97:
		return time.Duration(m.roll(200)) * time.Millisecond
	}
	return time.Duration(m.roll(2_000)) * time.Millisecond
}

var errLost = errors.New("lost")

// RoundTrip is the network and the server.
func (m *model) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	if err := pause(r.Context(), m.delay()); err != nil {
		return nil, err
	}
	var answer any
	switch r.URL.Path {
	case "/oauth/introspect":
		answer = m.introspect(string(body))
	case "/oauth/changes":
		answer = m.changes(r.Context(), body)
	case "/oauth/confirm":
		answer = map[string]any{"active": []string{}}
	}
	down := m.isDown() || m.away.Load() && r.URL.Path == "/oauth/changes"
	if err := pause(r.Context(), m.delay()); err != nil {
		return nil, err
	}
	if m.roll(50) == 0 {
		return nil, errLost
	}
	status, text := http.StatusOK, []byte(nil)
	if answer == nil || down {
		status = http.StatusServiceUnavailable
	} else {
		text, _ = json.Marshal(answer)
	}
	if r.URL.Path == "/oauth/changes" && status == http.StatusOK {
		m.mu.Lock()
		if m.repeats == 0 && m.dice.IntN(60) == 0 && m.old != nil {
			m.repeats = m.dice.IntN(8)
		}
		if m.repeats > 0 {
			text = m.old // a proxy repeats an answer
			m.repeats--
		} else if m.dice.IntN(4) == 0 {
			m.old = text
		}
		m.mu.Unlock()
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *model) introspect(form string) any {
	values, _ := url.ParseQuery(form)
	m.mu.Lock()
	defer m.mu.Unlock()
	name := values.Get("token")
	for i, n := range m.names {
		if n != name {
			continue
		}
		client := clientName(m.owner[i])
		l, expires := m.life[name]
		left := l.expires.Sub(m.now())
		if m.applied[name] || m.applied[client] || expires && left <= 0 {
			break
		}
		answer := map[string]any{
			"active": true, "scope": "read", "aud": "orders", "sub": client, "client_id": client, "token_type": "bearer",
			"ties": []string{modelHandle(name), modelHandle(client)},
		}
		if expires {
			answer["exp"], answer["left"] = l.expires.Unix(), left.Milliseconds()
		}
		return answer
	}
	return map[string]any{"active": false}
}

func clientName(n int) string { return fmt.Sprintf("client-%d", n) }

func modelHandle(name string) string {
	d := digestOf(name)
	return base64.RawURLEncoding.EncodeToString(d[:handleSize])
}

// changes waits for a change, and says up to when it has looked. Some answers have no fresh, and none has more than one void.
func (m *model) changes(ctx context.Context, body []byte) any {
	arrived := m.now()
	var q pollRequest
	if json.Unmarshal(body, &q) != nil {
		m.t.Error("a poll that cannot be read")
		return nil
	}
	end := time.After(time.Duration(q.Wait) * time.Millisecond)
	for over := false; ; {
		m.mu.Lock()
		changed, flushed, epoch, from := m.changed, m.flushed, -1, 0
		_, _ = fmt.Sscanf(q.After, "%d.%d", &epoch, &from)
		reset, void := epoch != m.epoch, []string{}
		more := false
		to := len(m.feed)
		if !reset {
			if to > from+1 {
				to, more = from+1, true
			}
			void = append(void, m.feed[from:to]...)
		}
		answer := map[string]any{"nonce": q.Nonce, "cursor": fmt.Sprintf("%d.%d", m.epoch, to), "reset": reset, "more": more, "void": void, "keys": ""}
		if m.dice.IntN(5) > 0 {
			answer["fresh"] = min(m.now().Sub(arrived).Milliseconds(), q.Wait) // it was answered while the guard was suspended
		}
		m.mu.Unlock()
		if reset || len(void) > 0 || over {
			return answer
		}
		select {
		case <-changed:
		case <-end:
			over = true
		case <-flushed:
			over = true
		case <-ctx.Done():
			return nil
		}
	}
}

// suspend suspends the guard's machine for a while, in which a credential is revoked. What was answered before arrives afterwards.
func (m *model) suspend(ctx context.Context) {
	d := time.Duration(m.roll(10_000)) * time.Millisecond
	switch m.roll(10) {
	case 0:
		d *= 20
	case 1, 2:
		d /= 40
	}
	m.mu.Lock()
	close(m.flushed)
	m.flushed = make(chan struct{})
	m.mu.Unlock()
	if pause(ctx, time.Duration(m.roll(3))*time.Millisecond) != nil {
		return
	}
	i := m.roll(modelCredentials)
	m.mu.Lock()
	name := m.names[i]
	m.applied[name] = true
	m.feed = append(m.feed, modelHandle(name))
	if _, before := m.revoked[name]; !before {
		m.revoked[name] = m.now()
	}
	m.slept.Add(int64(d))
	m.wake()
	m.mu.Unlock()
	_ = pause(ctx, 2*modelLease) // in which it is still presented
	m.mu.Lock()
	m.gone = name
	if m.names[i] == name {
		m.renew(i)
	}
	m.mu.Unlock()
}

// setClock sets the wall clock of the guard's machine.
func (m *model) setClock() {
	step := time.Duration(60+m.roll(7200)) * time.Second
	if m.roll(2) == 0 {
		step = -step
	}
	m.sets.Add(1)
	m.set.Add(int64(step))
}

// operate revokes, resets, and takes Mintkeep away, until ctx is done.
func (m *model) operate(ctx context.Context) {
	for pause(ctx, time.Duration(m.roll(300))*time.Millisecond) == nil {
		if m.isDown() && m.roll(3) > 0 {
			m.setDown(false)
		}
		switch n := m.roll(100); {
		case n < 10:
			m.burst(ctx)
		case n < 70:
			i := m.roll(modelCredentials)
			m.mu.Lock()
			name := m.names[i]
			m.mu.Unlock()
			m.revoke(ctx, name)
			_ = pause(ctx, 2*modelLease) // in which it is still presented
			m.mu.Lock()
			m.gone = name
			m.renew(i)
			m.mu.Unlock()
		case n < 85:
			m.mu.Lock()
			client := m.owner[m.dice.IntN(modelCredentials)]
			m.mu.Unlock()
			m.revoke(ctx, clientName(client))
			_ = pause(ctx, 2*modelLease)
			m.mu.Lock()
			m.next++
			for i, owner := range m.owner {
				if owner == client { // they have another client from now on
					m.renew(i)
					m.owner[i] = m.next + modelClients
				}
			}
			m.mu.Unlock()
		case n < 88:
			m.suspend(ctx)
		case n < 89:
			m.setClock()
		case n < 90:
			m.away.Store(true)
			_ = pause(ctx, 3*modelLease)
			m.away.Store(false)
		case n < 94:
			m.mu.Lock()
			m.epoch++ // a failover that loses the feed
			m.feed = nil
			m.wake()
			m.mu.Unlock()
		default:
			m.setDown(true)
		}
	}
}

// revoke deletes, appends, and acknowledges, with time in between.
func (m *model) revoke(ctx context.Context, name string) {
	m.mu.Lock()
	m.applied[name] = true
	m.mu.Unlock()
	if pause(ctx, m.delay()/10) != nil {
		return
	}
	m.mu.Lock()
	m.feed = append(m.feed, modelHandle(name))
	m.wake()
	m.mu.Unlock()
	if pause(ctx, m.delay()/10) != nil {
		return
	}
	m.mu.Lock()
	m.revoked[name] = m.now()
	m.mu.Unlock()
}

// burst revokes half of the credentials at once.
func (m *model) burst(ctx context.Context) {
	m.mu.Lock()
	names := m.names
	m.mu.Unlock()
	var all sync.WaitGroup
	for _, name := range names[:modelCredentials/2] {
		all.Add(1)
		go func() { defer all.Done(); m.revoke(ctx, name) }()
	}
	all.Wait()
	_ = pause(ctx, 2*modelLease)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, name := range names[:modelCredentials/2] {
		if m.names[i] == name {
			m.renew(i)
		}
	}
}

func (m *model) isDown() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.down
}

func (m *model) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *model) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// call checks credentials, and looks for an answer that came too late after a revocation.
func (m *model) call(g *Guard, checks int) {
	for range checks {
		time.Sleep(time.Duration(m.roll(20)) * time.Millisecond)
		i := m.roll(modelCredentials)
		m.mu.Lock()
		name, client := m.names[i], clientName(m.owner[i])
		if old := m.dice.IntN(3); old == 0 && m.gone != "" {
			name, client = m.gone, ""
		}
		m.mu.Unlock()
		strict, lease := m.roll(10) == 0, modelLease
		var options []Option
		if strict {
			options, lease = append(options, Strict), 0
		}
		began, known := m.now(), g.known.Load()
		state, _ := g.state(g.clock())
		_, err := g.Check(context.Background(), Presented{Authorization: []string{"Bearer " + name}}, options...)
		if err != nil {
			continue
		}
		if state != Current && g.known.Load() == known { // it was stale all the time: it has asked
			lease = 0
		}
		m.mu.Lock()
		for _, what := range []string{name, client} {
			if at, revoked := m.revoked[what]; revoked && began.Sub(at) > lease {
				m.t.Errorf("active %v after its revocation was acknowledged, strict %v", began.Sub(at), strict)
			}
		}
		if l, expires := m.life[name]; expires && began.Sub(l.expires) > lease+m.lateness(l) {
			m.t.Errorf("active %v after it has expired, strict %v", began.Sub(l.expires), strict)
		}
		m.mu.Unlock()
	}
}

// lateness is by how much a credential may expire too late, because the guard's monotonic clock stood still in its life. The wall
// clock bounds that, unless it was set.
func (m *model) lateness(l life) time.Duration {
	slept := time.Duration(m.slept.Load() - l.slept)
	if m.sets.Load() == l.sets {
		return min(slept, clockSkew)
	}
	return slept
}

// Whatever happens to answers, no check that begins a lease after a revocation was acknowledged lets a caller through.
func TestModel(t *testing.T) {
	const callers = 20
	round := min(20_000, max(5_000, *modelChecks/20)) // a longer one has longer stories
	var hits, voids, resets uint64
	for n := 0; n*round < *modelChecks && !t.Failed(); n++ {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, uint64(n))
			g, err := newGuard(Config{
				Issuer: "https://auth.example.com", ClientID: "guard", ClientSecret: "secret", Audiences: []string{"orders"}, MaxStale: modelLease,
				HTTPClient: &http.Client{Transport: m}, Logger: slog.New(slog.DiscardHandler),
			}, m.clock)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			var all sync.WaitGroup
			for range 3 {
				all.Add(1)
				go func() { defer all.Done(); m.operate(ctx) }()
			}
			var calling sync.WaitGroup
			for range callers {
				calling.Add(1)
				go func() { defer calling.Done(); m.call(g, round/callers) }()
			}
			calling.Wait()
			stop()
			all.Wait()
			s := g.Stats()
			_ = g.Close()
			time.Sleep(10 * time.Second) // questions that are under way end
			hits, voids, resets = hits+s.Hits, voids+s.Voids, resets+s.Resets
		})
	}
	t.Logf("%d answers from memory, %d voids, %d resets", hits, voids, resets)
	if hits < uint64(*modelChecks)/5 || voids == 0 || resets == 0 {
		t.Error("the run proves nothing")
	}
}
