package server_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestProperty does at random what can be done to users, clients and their credentials, at two replicas, and holds each
// credential to a model: an inactive one is accepted nowhere, an active one rejected nowhere.
//
//	go test ./server -run TestProperty -rapid.checks=1000 -rapid.steps=100   the long form
func TestProperty(t *testing.T) {
	if testing.Short() {
		t.Skip("it is left out of the step with the race detector, for its time; the other steps run it")
	}
	t.Parallel()
	for _, backend := range []struct {
		name      string
		open      func(t testing.TB) *storetest.Backend
		sequences string
	}{
		{"embedded", storetest.Embedded, "8"},
		{"redis", func(t testing.TB) *storetest.Backend { return storetest.Redis(t).Backend(t) }, "5"},
	} {
		t.Run(backend.name, func(t *testing.T) {
			unlessGiven(t, "rapid.checks", backend.sequences)
			unlessGiven(t, "rapid.steps", "50")
			var server *storetest.Backend // a real one is started once, and emptied for each sequence
			if backend.name == "redis" {
				server = backend.open(t)
			}
			rapid.Check(t, func(rt *rapid.T) {
				inner := sequence{t, rt}
				b := server
				if b == nil {
					b = backend.open(inner)
				}
				b.Do("FLUSHALL")
				m := newMachine(inner, b)
				m.populate(rt)
				actions := rapid.StateMachineActions(m)
				for _, more := range []string{"RotateKey", "RevokeKey", "ChangeRole", "AdvanceClock"} { // what is most easily wrong
					actions[more+"Again"], actions[more+"Still"] = actions[more], actions[more]
				}
				rt.Repeat(actions)
				m.holds(rt, m.credentials)
				b.Clock.Advance(time.Hour + time.Second) // longer than any overlap
				m.holds(rt, m.credentials)
			})
		})
	}
}

// unlessGiven sets a flag of rapid's for this test, unless the command line did.
func unlessGiven(t *testing.T, name, value string) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	f := flag.Lookup(name)
	was := f.Value.String()
	if err := f.Value.Set(value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(was) })
}

// sequence is a testing.TB that ends with one sequence, and tells rapid what failed.
type sequence struct {
	*testing.T
	rt *rapid.T
}

func (s sequence) Cleanup(f func())          { s.rt.Cleanup(f) }
func (s sequence) Error(a ...any)            { s.rt.Error(a...) }
func (s sequence) Errorf(f string, a ...any) { s.rt.Errorf(f, a...) }
func (s sequence) Fatal(a ...any)            { s.rt.Fatal(a...) }
func (s sequence) Fatalf(f string, a ...any) { s.rt.Fatalf(f, a...) }
func (s sequence) FailNow()                  { s.rt.FailNow() }
func (s sequence) Failed() bool              { return s.rt.Failed() }
func (s sequence) Log(a ...any)              { s.rt.Log(a...) }
func (s sequence) Logf(f string, a ...any)   { s.rt.Logf(f, a...) }

// machine does one thing after another; its exported methods are the things.
type machine struct {
	t        testing.TB
	b        *storetest.Backend
	replicas [2]*servertest.Server
	rs       servertest.Client

	users       []*modelUser
	clients     []*modelClient
	credentials []*modelCredential
	numbers     int // drawn so far, for names and addresses that are new
}

func newMachine(t testing.TB, b *storetest.Backend) *machine {
	m := &machine{t: t, b: b}
	for i := range m.replicas {
		m.replicas[i] = servertest.New(t, b, behindProxy)
	}
	m.rs = m.replicas[0].Register(t, servertest.M{"scope": "mintkeep:introspect", "grant_types": []string{}})
	return m
}

// populate begins with a few of each, so that a short sequence does not spend itself on creating them.
func (m *machine) populate(rt *rapid.T) {
	for range 2 {
		m.AddUser(rt)
		m.RegisterClient(rt)
		m.IssueToken(rt)
		u := m.users[len(m.users)-1]
		m.makeKey(rt, u, "read mintkeep:keys", time.Time{})
		m.makeKey(rt, u, m.scope(rt, u), m.expiry(rt))
	}
}

func (m *machine) number() int { m.numbers++; return m.numbers }

// from is an address without failures: here no caller is to reach the limit of failures.
func (m *machine) from() servertest.Edit {
	n := m.number()
	return address("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
}

// either is one of the replicas.
func (m *machine) either(rt *rapid.T) *servertest.Server {
	return m.replicas[rapid.IntRange(0, 1).Draw(rt, "replica")]
}

// one of them; without any, another action is drawn.
func one[T any](rt *rapid.T, what string, all []*T) *T {
	if len(all) == 0 {
		rt.Skip("no " + what)
	}
	return all[rapid.IntRange(0, len(all)-1).Draw(rt, what)]
}

func (m *machine) keys(want func(*modelCredential) bool) []*modelCredential {
	return filter(m.credentials, func(c *modelCredential) bool { return c.user != nil && want(c) })
}

func (m *machine) tokens(want func(*modelCredential) bool) []*modelCredential {
	return filter(m.credentials, func(c *modelCredential) bool { return c.client != nil && want(c) })
}

func (m *machine) live(c *modelCredential) bool { return c.at(m.b.Clock.Now()) == mustBeLive }

func (m *machine) add(c *modelCredential) {
	for _, s := range m.replicas {
		s.Secret(c.plain)
	}
	m.credentials = append(m.credentials, c)
}

// Check asks, after each step, about a few credentials: those of late, and others at random.
func (m *machine) Check(rt *rapid.T) {
	sample := m.credentials
	if n := len(sample); n > 4 {
		from := rapid.IntRange(0, n-3).Draw(rt, "sample")
		sample = append(append([]*modelCredential{}, sample[from:from+2]...), sample[n-1])
	}
	m.holds(rt, sample)
}

// holds compares the servers with the model.
func (m *machine) holds(rt *rapid.T, credentials []*modelCredential) {
	for _, c := range credentials {
		want := c.at(m.b.Clock.Now())
		if want == unsure {
			continue
		}
		for i, s := range m.replicas {
			me := s.Get(m.t, mePath, servertest.Bearer(c.plain), m.from()).Status
			active := s.Active(m.t, m.rs, c.plain)
			if live := want == mustBeLive; me != map[bool]int{true: 200, false: 401}[live] || active != live {
				rt.Errorf("replica %d at %s: users/me answers %d and introspection active: %v, of %v",
					i, m.b.Clock.Now().Format(time.TimeOnly), me, active, c)
			}
			if c.user == nil {
				continue
			}
			door := map[bool]int{true: 200, false: 403}[c.opensAdmin()]
			if want == mustBeDead {
				door = 401
			}
			if got := s.Get(m.t, "/admin/signing-keys", servertest.Bearer(c.plain), m.from()).Status; got != door {
				rt.Errorf("replica %d: /admin answers %d, want %d, to %v (term %d of %d)", i, got, door, c, c.term, c.user.term)
			}
		}
	}
}

// AdvanceClock lets time pass.
func (m *machine) AdvanceClock(rt *rapid.T) {
	m.b.Clock.Advance(rapid.SampledFrom([]time.Duration{
		time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour, 25 * time.Hour,
	}).Draw(rt, "by"))
}

// RestartReplica replaces one by a new process on the same store.
func (m *machine) RestartReplica(rt *rapid.T) {
	m.replicas[rapid.IntRange(0, 1).Draw(rt, "replica")] = servertest.New(m.t, m.b, behindProxy)
}

// WriteBehind does what a replica does every few seconds, and once a minute.
func (m *machine) WriteBehind(rt *rapid.T) {
	if err := m.either(rt).Store.Flush(m.t.Context()); err != nil {
		rt.Error(err)
	}
}

// Report reports a few credentials of any kind and state.
func (m *machine) Report(rt *rapid.T) {
	found := []*modelCredential{one(rt, "credential", m.credentials), one(rt, "credential", m.credentials)}
	list := []string{"junk", found[0].plain, found[1].plain}
	m.either(rt).Admin(m.t, "POST", "/admin/keys/report", servertest.M{"credentials": list}).Want(m.t, 200, "")
	for _, c := range found {
		c.end("reported", m.b.Clock.Now())
	}
}

func (m *machine) name(kind string) string { return fmt.Sprint(kind, m.number()) }

func has(scope, token string) bool { return strings.Contains(" "+scope+" ", " "+token+" ") }
