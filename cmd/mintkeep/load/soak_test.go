package load

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var (
	soakFor  = flag.Duration("soak", 10*time.Minute, "how long the soak lasts")
	soakRate = flag.Float64("rate", 2_000, "how many requests a second the soak makes")
)

// A mix of all requests, for long: each answer is right, and nothing grows.
func TestSoak(t *testing.T) {
	wanted(t, "soak")
	s := newStand(t, storetest.Redis(t))
	w := watch(s, *soakFor)
	o := s.soak(t, *soakFor, *soakRate)
	w.verdict(t)
	o.served(t)
	fmt.Printf("\n%s answers, all as they must be: %v; %.0f a second, p50 %s ms, p99 %s ms\n", thousands(len(o.good)),
		o.wrong == 0, o.perSecond(), ms(percentile(o.good, 50)), ms(percentile(o.good, 99)))
}

// soak puts the mixed load on, at a rate.
func (s *stand) soak(t *testing.T, d time.Duration, rate float64) *outcome {
	t.Helper()
	const workers = 16
	short := s.server.Register(t, `{"scope":"read","access_token_ttl":5}`)
	seen := newTokens()
	now := newNowAndThen(s)
	var asides sync.WaitGroup
	asides.Go(func() { now.run(d) })
	o := crew(t, s.addr(), workers, func(begun time.Time, w *wire, o *outcome) {
		m := &mix{stand: s, short: short, seen: seen, wire: w, outcome: o}
		for n := 0; time.Since(begun) < d; n++ {
			asked := m.asked
			m.walk(n)
			// Each worker keeps its share of the rate.
			due := time.Duration(float64(m.asked) / (rate / workers) * float64(time.Second))
			if ahead := due - time.Since(begun); ahead > 0 && m.asked > asked {
				time.Sleep(ahead)
			}
		}
	})
	asides.Wait()
	o.add(&now.outcome)
	return o
}

// mix is one worker of the load.
type mix struct {
	*stand
	short   string // a client whose tokens expire after five seconds
	seen    *tokens
	wire    *wire
	outcome *outcome
	asked   int
}

func (m *mix) ask(e exchange) {
	m.asked++
	m.outcome.one(m.wire, e, time.Now())
}

// walk is the life of a token, and an API key and junk beside it.
func (m *mix) walk(n int) {
	token := ""
	m.ask(exchange{post("/oauth/token", m.short, "grant_type=client_credentials"), func(a answer) error {
		got, err := issued(a)
		if err == nil && !m.seen.first(got) {
			err = errors.New("a token was issued twice")
		}
		token = string(got)
		return err
	}})
	if token == "" {
		return
	}
	m.ask(m.introspection(token, isActive))
	if n%2 == 0 {
		m.ask(exchange{post("/oauth/revoke", m.short, url.Values{"token": {token}}.Encode()), status(200)})
		m.ask(m.introspection(token, isInactive))
	}
	m.ask(m.me()(0))
	if n%4 == 0 {
		m.ask(m.introspection("junk"+token[:20], isInactive))
		m.ask(exchange{get("/api/v1/users/me", "Bearer mk_junk"), status(401)})
	}
}

// status is the check that an answer has this one.
func status(want int) func(answer) error {
	return func(a answer) error {
		if a.status != want {
			return fmt.Errorf("%v, want %d", a, want)
		}
		return nil
	}
}

// nowAndThen makes the rarer requests: pages, the admin API, and wrong secrets, too few for a 429.
type nowAndThen struct {
	stand   *stand
	outcome outcome
}

func newNowAndThen(s *stand) *nowAndThen { return &nowAndThen{stand: s} }

func (n *nowAndThen) run(d time.Duration) {
	c := n.stand.server.Caller
	began := time.Now()
	for i := 0; time.Since(began) < d; i++ {
		n.note(c.Issue("Basic bm9ib2R5Ondyb25n"), 401, "invalid_client")
		n.note(c.Get("/login"), 200, "<html")
		n.note(c.Get("/.well-known/jwks.json"), 200, `"keys"`)
		n.note(c.Admin("GET", "/admin/stats", ""), 200, "clients")
		n.note(c.Admin("GET", "/admin/clients?limit=5", ""), 200, "items")
		n.note(c.Admin("GET", "/admin/audit", ""), 200, "items")
		n.note(c.Get("/readyz"), 200, "ready")
		time.Sleep(7 * time.Second) // "nobody" may fail ten times a minute
	}
}

func (n *nowAndThen) note(a processtest.Answer, want int, holds string) {
	if a.Err == nil && a.Status == want && strings.Contains(a.Body, holds) {
		n.outcome.good = append(n.outcome.good, a.Took)
		return
	}
	n.outcome.wrong++
	n.outcome.first = fmt.Errorf("%d %v %.200s, want %d with %q", a.Status, a.Err, a.Body, want, holds)
}
