package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxFlights is how many batches are under way at once. A call that finds fewer goes alone, at once.
	maxFlights = 2
	// maxWaiting bounds the calls that wait for the next flight. Beyond it the store is overloaded, and says so.
	maxWaiting = 10_000
	// maxBatch is how many calls one flight takes.
	maxBatch = 256
)

// errOverloaded: more calls wait for Redis than it can answer in time.
var errOverloaded = errors.New("too many calls wait for Redis")

// batcher sends the commands of concurrent requests in one pipeline. Nobody waits for company: a call goes at
// once while few are under way, and what comes meanwhile shares the next flight. That spares system calls here
// and in Redis, which is where most of the cost of a command is.
//
// Only commands that may be repeated go this way: go-redis sends a pipeline again whose answer was lost. Each
// call keeps its own deadline and its own errors; what they share is the fate of the connection.
//
// In a cluster every call goes alone: a batch would wait for the slowest of the nodes that it touches, and one that hangs
// would keep all requests from the others. What bounds the calls there is the pool of each node.
type batcher struct {
	rdb   redis.UniversalClient
	apart bool // calls never share a flight

	mu      sync.Mutex
	flights int
	waiting []*call
}

// call is what one request wants of Redis.
type call struct {
	ctx  context.Context
	cmds []redis.Cmder
	done chan struct{} // closed when the commands have their answers, or err is set
	err  error         // the commands were not sent, and their results are nothing
}

// do has the commands answered. With an error, their results must not be looked at: the flight may still be
// under way. Without, each has its own.
func (b *batcher) do(ctx context.Context, cmds ...redis.Cmder) error {
	if b.apart {
		b.alone(ctx, cmds)
		return nil
	}
	b.mu.Lock()
	if b.flights < maxFlights {
		b.flights++
		b.mu.Unlock()
		defer b.next() // a panic, from which the request recovers, must not keep the flight
		b.alone(ctx, cmds)
		return nil
	}
	if len(b.waiting) >= maxWaiting {
		b.mu.Unlock()
		return errOverloaded
	}
	c := &call{ctx: ctx, cmds: cmds, done: make(chan struct{})}
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// alone is the flight of one call, on its own goroutine and under its own context.
func (b *batcher) alone(ctx context.Context, cmds []redis.Cmder) {
	if len(cmds) == 1 {
		_ = b.rdb.Process(ctx, cmds[0]) // the command has the error
		return
	}
	b.send(ctx, cmds)
}

func (b *batcher) send(ctx context.Context, cmds []redis.Cmder) {
	p := b.rdb.Pipeline()
	for _, cmd := range cmds {
		_ = p.Process(ctx, cmd)
	}
	_, _ = p.Exec(ctx) // each command has its own error, see unanswered
}

// next hands the flight that has landed on to who waits, if anybody does.
func (b *batcher) next() {
	if batch := b.take(); batch != nil {
		go b.fly(batch)
	}
}

// take takes who waits, or gives the flight up.
func (b *batcher) take() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxBatch)
	if n == 0 {
		b.flights--
		return nil
	}
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return batch
}

// fly sends batches until nobody waits.
func (b *batcher) fly(batch []*call) {
	for ; batch != nil; batch = b.take() {
		b.together(batch)
	}
}

// together is the flight of many calls. It lasts as long as the most patient of them. A panic, from which a request that
// goes alone recovers, is an error of them all.
func (b *batcher) together(batch []*call) {
	defer func() {
		if p := recover(); p != nil {
			for _, c := range batch {
				c.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}
		for _, c := range batch {
			close(c.done)
		}
	}()
	var cmds []redis.Cmder
	latest := time.Time{}
	for _, c := range batch {
		if c.err = c.ctx.Err(); c.err != nil { // it has gone already, or is about to see that its time is over
			continue
		}
		cmds = append(cmds, c.cmds...)
		if deadline, ok := c.ctx.Deadline(); !ok {
			latest = time.Now().Add(flightTime)
		} else if deadline.After(latest) {
			latest = deadline
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), latest)
	defer cancel()
	b.send(ctx, cmds)
}

// flightTime is for calls that have no deadline of their own.
const flightTime = 5 * time.Second

// ask has commands answered that may be repeated, together with those of other requests. An absent key is an
// answer; any other error of a command is the store's.
func (s *Store) ask(ctx context.Context, op string, cmds ...redis.Cmder) error {
	if err := s.batch.do(ctx, cmds...); err != nil {
		return unavailable(op, err)
	}
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return unavailable(op, err)
		}
	}
	return nil
}
