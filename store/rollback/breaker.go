package rollback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// State is a state of the circuit breaker in front of the store.
type State string

// The states of the breaker. In all but Closed, every command fails with [redisdb.ErrUnavailable], but for the monitor's
// own and those by which the client manages its connections.
const (
	Closed      State = "closed"      // commands pass
	Checking    State = "checking"    // this Redis may have lost writes, was fenced, or takes no writes; the next heartbeat finds out
	Replaying   State = "replaying"   // it has lost writes; the redo log is being replayed
	Uncovered   State = "uncovered"   // it did not answer while acknowledged deletions were pending
	Quarantined State = "quarantined" // it has lost more than the redo log remembers; only a fence, or the lost data, helps
)

// ErrQuarantined: the store holds less than this process has seen in it: it was emptied, or an old backup was restored.
// It matches ErrUnavailable. Requests read and write nothing until an operator has run mintkeep fence, or the lost data
// is back. Heartbeats go on.
var ErrQuarantined = errors.New("data that this replica has seen is missing in Redis: it was emptied, or an old backup was restored; restore the newest backup, then run mintkeep fence")

// tripped is a state other than Closed, and the reason. As an error it matches ErrUnavailable.
type tripped struct {
	state State
	cause error
}

func (t *tripped) Error() string        { return t.cause.Error() }
func (t *tripped) Unwrap() error        { return t.cause }
func (t *tripped) Is(target error) bool { return target == redisdb.ErrUnavailable }

var (
	// checking is also the reason after a fence, when there may be no loss.
	checking    = &tripped{Checking, errors.New("writes that this replica has seen are missing in Redis; checking")}
	replaying   = &tripped{Replaying, errors.New("writes that this replica has seen are missing in Redis; replaying the revocations among them")}
	uncovered   = &tripped{Uncovered, errors.New("no answer from Redis, which may have lost revocations of this replica; sending them again")}
	quarantined = &tripped{Quarantined, ErrQuarantined}
)

// notPrimary is the state of a Redis that takes no writes.
func notPrimary(cause error) *tripped {
	return &tripped{Checking, fmt.Errorf("no writes are accepted by Redis, so its data may be old: %w", cause)}
}

// breaker is the go-redis hook that keeps commands from a Redis that must not be trusted. It costs a command one atomic
// load before it is sent and one after: an answer that arrives once the breaker has tripped is not trusted either.
type breaker struct{ current atomic.Pointer[tripped] }

func (b *breaker) state() State {
	if t := b.current.Load(); t != nil {
		return t.state
	}
	return Closed
}

// trip changes any state to the given one.
func (b *breaker) trip(to *tripped) { b.current.Store(to) }

// tripIfClosed changes the state only if it is Closed.
func (b *breaker) tripIfClosed(to *tripped) { b.current.CompareAndSwap(nil, to) }

// close closes the breaker. If it was tripped, log gets the reason.
func (b *breaker) close(log func(was error)) {
	if was := b.current.Load(); was != nil && b.current.CompareAndSwap(was, nil) {
		log(was)
	}
}

type bypassKey struct{}

// bypass is the context of the monitor's own commands, which find out whether the breaker may close.
func bypass(ctx context.Context) context.Context { return context.WithValue(ctx, bypassKey{}, true) }

func bypasses(ctx context.Context) bool { return ctx.Value(bypassKey{}) != nil }

// clientCommands are those of go-redis itself, whose answers tell nothing of what is stored: by them it connects, learns
// where the slots of a cluster are, and gives a connection back.
var clientCommands = []string{"hello", "auth", "select", "client", "cluster", "command", "readonly", "unwatch"}

// rejects is why commands do not pass, or nil.
func (b *breaker) rejects(ctx context.Context, cmds ...redis.Cmder) error {
	t := b.current.Load()
	if t == nil || bypasses(ctx) {
		return nil
	}
	for _, cmd := range cmds {
		if !slices.Contains(clientCommands, cmd.Name()) {
			return t
		}
	}
	return nil
}

func (b *breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := b.rejects(ctx, cmd)
		if err != nil {
			err = redisdb.Unsent(err)
		} else {
			err = next(ctx, cmd)
			if rejected := b.rejects(ctx, cmd); rejected != nil {
				err = rejected
			}
		}
		cmd.SetErr(err)
		return err
	}
}

func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		rejected := b.rejects(ctx, cmds...)
		if rejected != nil {
			rejected = redisdb.Unsent(rejected)
		} else {
			err := next(ctx, cmds)
			if rejected = b.rejects(ctx, cmds...); rejected == nil {
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(rejected)
		}
		return rejected
	}
}
