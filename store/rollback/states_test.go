package rollback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// replyError is an error that Redis answers.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

const (
	readOnly   = replyError("READONLY You can't write against a read only replica.")
	noReplicas = replyError("NOREPLICAS Not enough good replicas to write.")
	loading    = replyError("LOADING Redis is loading the dataset in memory")
	outOfMem   = replyError("OOM command not allowed when used memory > 'maxmemory'.")
)

// play is a monitor on a fake, with what a row of the table does to it.
type play struct {
	t *testing.T
	f *fake
	m *Monitor
}

// revoke deletes a key, and has the redo log remember it.
func (p *play) revoke(key string) {
	delete(p.f.texts, key)
	if !p.m.Note(Entry{Deletion: OfKey(key)}) {
		p.t.Error("the redo log is full")
	}
}

func (p *play) heartbeat() { p.m.Heartbeat(p.t.Context()) }

// connect opens a new connection, as a request does.
func (p *play) connect() error {
	return p.m.Connected(p.t.Context(), p.m.client.(*redis.Client).Conn())
}

// The state table of docs/consistency.md: what happens to a monitor whose breaker is closed, the states in which its
// next heartbeats sent commands, and the state in the end.
func TestBreakerStates(t *testing.T) {
	for _, tt := range []struct {
		name    string
		happens func(p *play)
		passes  []State
		then    State
	}{
		{"nothing", func(p *play) { p.heartbeat() }, []State{Closed}, Closed},
		{"no answer, nothing pending", func(p *play) {
			p.f.failing(io.EOF)
			p.heartbeat()
		}, []State{Closed}, Closed},
		{"no answer, an acknowledged deletion is pending", func(p *play) {
			p.revoke("a")
			p.f.failing(io.EOF)
			p.heartbeat()
		}, []State{Closed}, Uncovered},
		{"loading, an acknowledged deletion is pending", func(p *play) {
			p.revoke("a")
			p.f.failing(loading)
			p.heartbeat()
		}, []State{Closed}, Uncovered},
		{"no answer, an unacknowledged deletion is pending", func(p *play) {
			p.m.NoteUnacknowledged(Entry{Deletion: OfKey("a")})
			p.f.failing(io.EOF)
			p.heartbeat()
		}, []State{Closed}, Closed},
		{"uncovered, and an answer", func(p *play) {
			p.revoke("a")
			p.f.failing(io.EOF)
			p.heartbeat()
			p.f.working()
			p.heartbeat()
		}, []State{Closed, Uncovered}, Closed},
		{"uncovered, and the successor lacks the deletion", func(p *play) {
			before := p.f.copy()
			p.revoke("a")
			p.f.failing(io.EOF)
			p.heartbeat()
			before()
			p.f.working()
			p.heartbeat()
		}, []State{Closed, Uncovered}, Closed},
		{"a replica answers", func(p *play) {
			p.f.failingOnly(readOnly, "hsetnx", "hincrby", "hset")
			p.heartbeat()
		}, []State{Closed}, Checking},
		{"a primary without its replicas answers, and has them again", func(p *play) {
			p.f.failingOnly(noReplicas, "hsetnx", "hincrby", "hset")
			p.heartbeat()
			p.f.working()
			p.heartbeat()
		}, []State{Closed, Checking}, Closed},
		{"out of memory", func(p *play) {
			p.revoke("a")
			p.f.failingOnly(outOfMem, "hsetnx", "hincrby", "hset")
			p.heartbeat()
		}, []State{Closed}, Closed},
		{"a connection shows a lower watermark", func(p *play) {
			before := p.f.copy()
			p.heartbeat()
			before()
			if err := p.connect(); !errors.Is(err, redisdb.ErrUnavailable) {
				p.t.Errorf("the connection: %v", err)
			}
		}, []State{Closed}, Checking},
		{"a connection shows what was seen", func(p *play) {
			if err := p.connect(); err != nil {
				p.t.Errorf("the connection: %v", err)
			}
		}, []State{Closed}, Closed},
		{"rolled back, and replayed", func(p *play) {
			p.f.texts["a"] = "x"
			before := p.f.copy()
			p.revoke("a")
			p.heartbeat()
			before()
			p.heartbeat()
		}, []State{Closed, Replaying}, Closed},
		{"rolled back, and the replay fails", func(p *play) {
			before := p.f.copy()
			p.revoke("a")
			p.heartbeat()
			before()
			p.f.failingOnly(io.EOF, "del")
			p.heartbeat()
		}, []State{Closed, Replaying}, Replaying},
		{"emptied", func(p *play) {
			p.f.hashes = map[string]map[string]string{}
			p.heartbeat()
			p.heartbeat()
		}, []State{Closed, Quarantined}, Quarantined},
		{"quarantined by a Redis that takes no writes either", func(p *play) {
			p.f.hashes = map[string]map[string]string{}
			p.heartbeat()
			p.f.failing(readOnly)
			p.heartbeat()
		}, []State{Closed, Quarantined}, Quarantined},
		{"rolled back by more than the redo log remembers", func(p *play) {
			before := p.f.copy()
			now := time.Unix(0, 0)
			p.m.now = func() time.Time { return now }
			for range 3 {
				now = now.Add(EntryLife + time.Second)
				p.heartbeat()
			}
			before()
			p.heartbeat()
		}, []State{Closed}, Quarantined},
		{"what was lost is back", func(p *play) {
			p.revoke("a")
			p.heartbeat()
			before := p.f.copy()
			p.f.hashes = map[string]map[string]string{}
			p.heartbeat()
			before()
			p.heartbeat()
		}, []State{Closed, Quarantined, Replaying}, Closed},
		{"fenced", func(p *play) {
			p.f.texts["a"] = "x"
			p.revoke("a")
			p.heartbeat()
			p.f.hashes = map[string]map[string]string{}
			p.heartbeat()
			p.f.texts["a"] = "x" // the operator's backup has it
			p.f.texts["fence"] = "1700000000000"
			p.heartbeat()
		}, []State{Closed, Quarantined, Checking}, Closed},
		{"an old fence does not count", func(p *play) {
			p.f.hashes = map[string]map[string]string{}
			p.f.texts["fence"] = "1"
			p.heartbeat()
			p.heartbeat()
		}, []State{Closed, Quarantined}, Quarantined},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, m := scripted(t)
			p := &play{t, f, m}
			f.texts["fence"] = "1"
			p.heartbeat()
			p.heartbeat()
			if m.State() != Closed {
				t.Fatalf("the breaker is %s before anything happened", m.State())
			}
			f.states = nil
			tt.happens(p)
			if diff := cmp.Diff(tt.passes, f.states); diff != "" {
				t.Errorf("states (-want +got)\n%s", diff)
			}
			if m.State() != tt.then {
				t.Errorf("in the end the breaker is %s, want %s", m.State(), tt.then)
			}
			if _, there := f.texts["a"]; there && tt.then == Closed {
				t.Error("what was revoked is there, and the breaker is closed")
			}
			err := m.client.Exists(t.Context(), "x").Err()
			if rejected := errors.Is(err, redisdb.ErrUnavailable) && redisdb.IsUnsent(err); rejected != (tt.then != Closed) {
				t.Errorf("a command of a request: %v", err)
			}
			if quarantined := errors.Is(err, ErrQuarantined); quarantined != (tt.then == Quarantined) {
				t.Errorf("a command of a request: %v", err)
			}
		})
	}
}

// A deletion with a condition is replayed only while the field has the value.
func TestReplayComparesTheCondition(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		wantThere   bool
	}{
		{"what was revoked is back", "old", false},
		{"something newer is there", "new", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, m := scripted(t)
			p := &play{t, f, m}
			p.heartbeat()
			m.Note(Entry{Deletion: OfFields("u", "on", "gen").While("on", "old")})
			f.hashes["u"] = map[string]string{"meta": "1", "on": tt.value, "gen": "g"}
			p.heartbeat()
			if _, there := f.hashes["u"]["on"]; there != tt.wantThere {
				t.Errorf("the field is there: %v", there)
			}
			if m.Pending() != 0 {
				t.Errorf("%d deletions are pending", m.Pending())
			}
		})
	}
}

// announcing is a monitor that announces to a list, unless fails has an error.
type announcing struct {
	*play
	all   [][]any
	fails error
}

func newAnnouncing(t *testing.T) *announcing {
	t.Helper()
	a := &announcing{}
	f, m := scripted(t, func(o *Options) {
		o.Announce = func(ctx context.Context, payloads []any, repeats bool) []redis.Cmder {
			if repeats {
				payloads = append([]any{"again"}, payloads...)
			}
			a.all = append(a.all, payloads)
			return []redis.Cmder{redis.NewStatusCmd(ctx, "announce")}
		}
		o.Announced = func(context.Context, []redis.Cmder) error { return a.fails }
	})
	a.play = &play{t, f, m}
	a.heartbeat()
	a.heartbeat()
	return a
}

func (a *announcing) want(what string, want ...[]any) {
	a.t.Helper()
	if !slices.EqualFunc(a.all, want, func(x, y []any) bool { return slices.Equal(x, y) }) {
		a.t.Errorf("%s: announced %d times, want %d, or others: %v", what, len(a.all), len(want), a.all)
	}
	a.all = nil
}

// What was revoked is announced again behind its deletion, and after a rollback. An announcement alone is made once.
func TestAnnouncements(t *testing.T) {
	a := newAnnouncing(t)
	before := a.f.copy()
	one, two, alone := "one", "two", "alone"
	a.m.Note(Entry{Deletion: OfKey("a"), Payload: &one}, Entry{Deletion: OfKey("b"), Payload: &one}, Entry{Deletion: OfKey("c"), Payload: &two})
	a.m.NoteAnnouncement(&alone)
	a.heartbeat()
	a.want("at once", []any{&alone, &one, &two})
	a.heartbeat()
	a.want("covered")
	before()
	a.heartbeat()
	a.want("rolled back", []any{&one, &two})
}

// What was announced behind its deletion is announced as a repetition, until a rollback: then it counts as not announced.
func TestAnnouncementsAreRepeated(t *testing.T) {
	a := newAnnouncing(t)
	before := a.f.copy()
	one, two := "one", "two"
	announced := Entry{Deletion: OfKey("a"), Payload: &one, Announced: true}
	a.m.Note(announced)
	a.heartbeat()
	a.want("announced before", []any{"again", &one})
	a.m.Note(announced, Entry{Deletion: OfKey("b"), Payload: &two})
	a.heartbeat()
	a.want("one of two was announced before", []any{&one, &two})
	before()
	a.heartbeat()
	a.want("rolled back", []any{&one, &two})
	a.heartbeat()
	a.want("covered")
}

// While nothing can be announced, deletions are covered and the breaker closes all the same: what stays is announced
// later.
func TestAnnouncementsThatFail(t *testing.T) {
	a := newAnnouncing(t)
	one, alone := "one", "alone"
	a.fails = errors.New("the feed is away")
	a.m.Note(Entry{Deletion: OfKey("a"), Payload: &one})
	a.m.NoteAnnouncement(&alone)
	a.f.failing(io.EOF)
	a.heartbeat()
	if a.m.State() != Uncovered {
		t.Errorf("the breaker is %s, want uncovered", a.m.State())
	}
	a.f.working()
	for range 3 {
		a.heartbeat()
	}
	if a.m.State() != Closed || a.m.Pending() != 0 || a.m.Unannounced() != 2 {
		t.Errorf("the breaker is %s, %d are pending, %d not announced; want closed, 0, 2", a.m.State(), a.m.Pending(), a.m.Unannounced())
	}
	a.all, a.fails = nil, nil
	a.heartbeat()
	a.want("the feed is back", []any{&alone, &one})
	if a.m.Unannounced() != 0 {
		t.Errorf("%d are not announced", a.m.Unannounced())
	}
}

// Before the first heartbeat no deletion is remembered, and what is not acknowledged is announced by it.
func TestAnnouncementBeforeTheFirstHeartbeat(t *testing.T) {
	a := newAnnouncing(t)
	a.f, a.m = scripted(t, func(o *Options) { o.Announce, o.Announced = a.m.Announce, a.m.Announced })
	one, alone := "one", "alone"
	a.m.NoteUnacknowledged(Entry{Deletion: OfKey("a"), Payload: &one})
	a.m.NoteAnnouncement(&alone)
	a.heartbeat()
	a.want("the first heartbeat", []any{&one, &alone})
	a.f, a.m = scripted(t, func(o *Options) { o.Announce, o.Announced = a.m.Announce, a.m.Announced })
	a.m.Note(Entry{Deletion: OfKey("a"), Payload: &one, Announced: true})
	a.heartbeat()
	a.want("the first heartbeat after what was announced")
}

// A rollback between two rounds of one heartbeat has it begin with the first entry again: the breaker does not close
// while something is undone.
func TestRollbackBetweenTwoRounds(t *testing.T) {
	f, m := scripted(t)
	p := &play{t, f, m}
	p.heartbeat()
	p.heartbeat()
	const many = sentAtOnce + 500
	for i := range many {
		f.texts[fmt.Sprint("k", i)] = "x"
	}
	before := f.copy()
	for i := range many {
		p.revoke(fmt.Sprint("k", i))
	}
	p.heartbeat() // all are covered
	m.log.replayAll()
	looks := 0
	f.fails = func(cmd string) error {
		switch cmd {
		case "hsetnx", "hincrby", "hset":
			return outOfMem
		case "get": // a round begins with the fence
			if looks++; looks == 2 {
				before()
			}
		}
		return nil
	}
	p.heartbeat()
	for i := range many {
		if _, there := f.texts[fmt.Sprint("k", i)]; there && m.State() == Closed {
			t.Fatalf("k%d is there, and the breaker is closed", i)
		}
	}
}

// A transaction whose answer was lost is resolved by what is there.
func TestInDoubtTransactionIsResolved(t *testing.T) {
	f, m := scripted(t)
	p := &play{t, f, m}
	p.heartbeat()
	f.hashes["made"] = map[string]string{"meta": "1", "gen": "new"}
	f.hashes["lost"] = map[string]string{"meta": "1", "gen": "old"}
	for _, key := range []string{"made", "lost"} {
		m.NoteInDoubt(Entry{Deletion: OfFields(key, "gen").While("gen", "old")})
	}
	if room, err := m.Resolve(t.Context()); !room || err != nil || m.Pending() != 1 {
		t.Errorf("room %v, %v, %d pending; want the deletion of the one that was made", room, err, m.Pending())
	}
	for range maxRounds + 2 {
		p.heartbeat()
	}
	if n := len(m.log.allInDoubt()); n != 0 {
		t.Errorf("%d are in doubt after %d heartbeats", n, maxRounds+2)
	}
	if f.hashes["lost"]["gen"] != "old" || f.hashes["made"]["gen"] != "new" {
		t.Errorf("a field was deleted: %v", f.hashes)
	}
}

// A process that does not run announces, when it is asked, what was not announced yet.
func TestAnnouncementWithoutHeartbeats(t *testing.T) {
	a := newAnnouncing(t)
	one := "one"
	a.m.NoteAnnouncement(&one)
	a.fails = errors.New("the feed is away")
	if a.m.AnnouncedAll(t.Context()) {
		t.Error("all is announced, and the feed is away")
	}
	a.want("asked", []any{&one})
	a.fails = nil
	if !a.m.AnnouncedAll(t.Context()) || a.m.Unannounced() != 0 {
		t.Errorf("%d are not announced", a.m.Unannounced())
	}
	a.want("asked again", []any{&one})
}
