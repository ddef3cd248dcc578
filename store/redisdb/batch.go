package redisdb

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
	// maxInFlight is how many batches are under way at once. A call that finds fewer is sent alone, at once.
	maxInFlight = 2
	// maxWaiting bounds the calls that wait for the next batch. One more is errOverloaded.
	maxWaiting = 10_000
	// maxBatch is how many calls one batch takes.
	maxBatch = 256
)

// errOverloaded: more calls wait for Redis than it can answer in time.
var errOverloaded = errors.New("too many calls are waiting for Redis")

// errGaveUp: the context of a call was over before its batch was sent.
var errGaveUp = errors.New("given up")

// batcher sends the commands of concurrent requests in one pipeline. No call waits for others: it is sent at once while
// few batches are under way, and the calls that come meanwhile share the next batch. That saves system calls here and in
// Redis, which are most of the cost of a command.
//
// A batch with a write in it is sent once, and one of reads alone perhaps again, when its answer was lost. Each
// call keeps its own deadline and its own errors; what they share is the connection.
//
// In a cluster every call goes alone: a batch would wait for the slowest of the nodes that it touches, and one node that
// hangs would keep all requests from the others. There the pool of each node bounds the calls.
type batcher struct {
	client redis.UniversalClient
	apart  bool // calls never share a batch
	// trace begins the trace of a call that waits for a batch.
	trace func(ctx context.Context, cmds []redis.Cmder) (end func(error))

	mu       sync.Mutex
	inFlight int
	waiting  []*call
}

// call is the commands of one request. Of the context it has what never changes: once do has returned, the context is its
// caller's own again, who may change it while the batch is still to be sent.
type call struct {
	gaveUp   <-chan struct{} // closed when the context is over
	deadline time.Time       // of the context; zero: it has none
	cmds     []redis.Cmder
	done     chan struct{} // closed when the commands have their answers, or err is set
	err      error         // the commands were not sent, and their results are nothing
}

// do sends the commands and waits for the answers. With an error, their results must not be read: the batch may still
// be under way. Without, each command has its own.
func (b *batcher) do(ctx context.Context, cmds ...redis.Cmder) error {
	if b.apart {
		b.alone(ctx, cmds)
		return nil
	}
	b.mu.Lock()
	if b.inFlight < maxInFlight {
		b.inFlight++
		b.mu.Unlock()
		defer b.next() // a panic, from which the request recovers, must not keep the place
		b.alone(ctx, cmds)
		return nil
	}
	if len(b.waiting) >= maxWaiting {
		b.mu.Unlock()
		return errOverloaded
	}
	c := &call{gaveUp: ctx.Done(), cmds: cmds, done: make(chan struct{})}
	c.deadline, _ = ctx.Deadline()
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()
	end := b.trace(ctx, cmds)
	select {
	case <-c.done:
		if errors.Is(c.err, errGaveUp) {
			c.err = ctx.Err()
		}
		if c.err != nil {
			end(c.err)
		} else {
			end(failureOf(nil, cmds))
		}
		return c.err
	case <-c.gaveUp:
		end(ctx.Err())
		return ctx.Err()
	}
}

// alone sends one call, on its own goroutine and under its own context.
func (b *batcher) alone(ctx context.Context, cmds []redis.Cmder) {
	if len(cmds) == 1 {
		_ = b.client.Process(ctx, cmds[0]) // the command has the error
		return
	}
	b.send(ctx, cmds)
}

func (b *batcher) send(ctx context.Context, cmds []redis.Cmder) {
	p := b.client.Pipeline()
	_ = p.BatchProcess(ctx, cmds...)
	_, _ = p.Exec(ctx) // each command has its own error, see unanswered
}

// next gives the place that has become free to the calls that wait, if there are any.
func (b *batcher) next() {
	if batch := b.take(); batch != nil {
		go b.flush(batch)
	}
}

// take takes the calls that wait, or gives the place up.
func (b *batcher) take() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxBatch)
	if n == 0 {
		b.inFlight--
		return nil
	}
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return batch
}

// flush sends batches until no call waits.
func (b *batcher) flush(batch []*call) {
	for ; batch != nil; batch = b.take() {
		b.together(batch)
	}
}

// together sends many calls as one pipeline, under the latest of their deadlines. A panic, from which a request that
// goes alone recovers, is an error of all of them.
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
	cmds := make([]redis.Cmder, 0, len(batch))
	latest := time.Time{}
	for _, c := range batch {
		select {
		case <-c.gaveUp:
			c.err = errGaveUp
			continue
		default:
		}
		cmds = append(cmds, c.cmds...)
		if c.deadline.IsZero() {
			latest = time.Now().Add(batchTime)
		} else if c.deadline.After(latest) {
			latest = c.deadline
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), latest)
	defer cancel()
	b.send(ctx, cmds)
}

// batchTime is the deadline of calls that have none of their own.
const batchTime = 5 * time.Second

// Do sends commands in one pipeline with those of concurrent callers. An absent key is an
// answer; any other error of a command makes the result [ErrUnavailable].
func (db *DB) Do(ctx context.Context, op string, cmds ...redis.Cmder) error {
	if err := db.Send(ctx, op, cmds...); err != nil {
		return err
	}
	return Answered(op, cmds...)
}

// Send is the first half of Do. With an error the commands may still be under way, and their results must not be read.
// Without, each has an answer or an error of its own.
func (db *DB) Send(ctx context.Context, op string, cmds ...redis.Cmder) error {
	return Unavailable(op, db.batch.do(ctx, cmds...))
}

// Answered is the second half of Do: ErrUnavailable unless Redis has answered all of the commands.
func Answered(op string, cmds ...redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return Unavailable(op, err)
		}
	}
	return nil
}
