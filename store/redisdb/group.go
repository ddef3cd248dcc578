package redisdb

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxRounds is how many rounds of a group are under way at once. Each holds a connection.
	maxRounds = 4
	// maxUnauthenticatedRounds is the same of callers who are not authenticated.
	maxUnauthenticatedRounds = 2
	// maxRound: a round that has so many commands takes no further call.
	maxRound = 512
	// roundTime is what a call must have left when the round that takes it begins: the calls of a round share one
	// barrier, which must not be cut short for one of them.
	roundTime = replicasTimeout + answerTime
)

// group confirms together what concurrent calls send to one server. A round is one pipeline on one connection: the
// commands of several calls, and one barrier behind them. A call is sent at once while few rounds are under way; those
// that come meanwhile share the next round. So a barrier that takes long bounds how long a call takes, and never how many
// are confirmed.
//
// It is sound because a barrier covers all commands before it on its connection, whichever call they are of. A call whose
// commands went over another connection cannot share it: after a failover that connection may have led to another server.
type group struct {
	db     *DB
	rounds int // at most, at once

	mu       sync.Mutex
	inFlight int
	waiting  []*confirmation
}

// confirmation is one call of a group.
type confirmation struct {
	ctx     context.Context
	node    *redis.Client
	cmds    []redis.Cmder
	done    chan struct{} // closed after its round
	barrier *barrier
	err     error // of the pipeline
}

// groups are the groups of each server, by its address.
type groups struct {
	mu  sync.Mutex
	all map[groupKey]*group
}

type groupKey struct {
	addr            string
	unauthenticated bool
}

// groupOf is the group for a call of ctx to a server.
func (db *DB) groupOf(ctx context.Context, node *redis.Client) *group {
	key := groupKey{node.Options().Addr, IsUnauthenticated(ctx)}
	db.groups.mu.Lock()
	defer db.groups.mu.Unlock()
	g := db.groups.all[key]
	if g == nil {
		g = &group{db: db, rounds: maxRounds}
		if key.unauthenticated {
			g.rounds = maxUnauthenticatedRounds
		}
		if db.groups.all == nil {
			db.groups.all = map[groupKey]*group{}
		}
		db.groups.all[key] = g
	}
	return g
}

type unauthenticatedKey struct{}

// Unauthenticated is the context of what is confirmed for a caller who is not authenticated: in rounds of their own, so
// that they delay no other caller.
func Unauthenticated(ctx context.Context) context.Context {
	return context.WithValue(ctx, unauthenticatedKey{}, true)
}

// IsUnauthenticated is whether ctx is of [Unauthenticated].
func IsUnauthenticated(ctx context.Context) bool { return ctx.Value(unauthenticatedKey{}) != nil }

// errTooLate: a call waited so long for its round that there is no time left for the barrier.
var errTooLate = errors.New("too many revocations are waiting for confirmation")

// confirm sends commands with a barrier behind them, and returns the barrier with its answer. Each command has its own
// error; err is that no answer came. What Redis has answered to another caller's command is no error here.
func (g *group) confirm(ctx context.Context, node *redis.Client, cmds ...redis.Cmder) (b *barrier, err error) {
	g.mu.Lock()
	if g.inFlight < g.rounds {
		g.inFlight++
		g.mu.Unlock()
		defer g.next() // a panic, from which the request recovers, must not keep the place
		b = g.db.newBarrier(ctx)
		return b, noAnswer(send(ctx, node, append(cmds[:len(cmds):len(cmds)], b.cmd)...))
	}
	if len(g.waiting) >= maxWaiting {
		g.mu.Unlock()
		return unsent(ctx, errOverloaded)
	}
	c := &confirmation{ctx: ctx, node: node, cmds: cmds, done: make(chan struct{})}
	g.waiting = append(g.waiting, c)
	g.mu.Unlock()
	end := g.db.beginShared(ctx, cmds)
	select {
	case <-c.done:
	case <-ctx.Done():
		if g.withdraw(c) {
			end(errTooLate)
			return unsent(ctx, errTooLate)
		}
		<-c.done // which it is soon: its commands have been sent, and the round writes to them
	}
	end(c.err)
	return c.barrier, c.err
}

// unsent is the result for commands that were not sent.
func unsent(ctx context.Context, why error) (*barrier, error) {
	return &barrier{cmd: redis.NewStatusCmd(ctx)}, Unsent(why)
}

// withdraw takes a call out of those that wait, and says whether it was among them.
func (g *group) withdraw(c *confirmation) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, c)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

// next gives the place that has become free to the calls that wait, if there are any.
func (g *group) next() {
	if round := g.take(); round != nil {
		go func() {
			for ; round != nil; round = g.take() {
				g.send(round)
			}
		}()
	}
}

// take takes calls that wait, or gives the place up.
func (g *group) take() []*confirmation {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for cmds := 0; n < len(g.waiting) && cmds < maxRound; n++ {
		cmds += len(g.waiting[n].cmds)
	}
	if n == 0 {
		g.inFlight--
		return nil
	}
	round := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return round
}

// send sends a round, under the earliest deadline of its calls. A panic is an error of all of them.
func (g *group) send(round []*confirmation) {
	defer func() {
		if p := recover(); p != nil {
			for _, c := range round {
				c.barrier, c.err = &barrier{cmd: redis.NewStatusCmd(c.ctx)}, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}
		for _, c := range round {
			close(c.done)
		}
	}()
	earliest := time.Now().Add(batchTime)
	var calls []*confirmation
	var cmds []redis.Cmder
	for _, c := range round {
		deadline, ok := c.ctx.Deadline()
		if ok && time.Until(deadline) < roundTime || c.ctx.Err() != nil {
			c.barrier, c.err = unsent(c.ctx, errTooLate)
			continue
		}
		if ok && deadline.Before(earliest) {
			earliest = deadline
		}
		calls, cmds = append(calls, c), append(cmds, c.cmds...)
	}
	if len(calls) == 0 {
		return
	}
	ctx, cancel := context.WithDeadline(context.Background(), earliest)
	defer cancel()
	b := g.db.newBarrier(ctx)
	err := noAnswer(send(ctx, calls[0].node, append(cmds, b.cmd)...))
	for _, c := range calls {
		c.barrier, c.err = b, err
	}
}

// noAnswer is the error of a pipeline, unless Redis has answered so: then a command has it.
func noAnswer(err error) error {
	if ErrorPrefix(err) != "" {
		return nil
	}
	return err
}
