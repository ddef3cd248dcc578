package redisdb

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
)

const (
	// replicasTimeout is how long replicas have to confirm. It leaves a request, which has 1.5 s, the time to say
	// that they did not.
	replicasTimeout = 400 * time.Millisecond
	// answerTime is what is left of a deadline for the answer to arrive.
	answerTime = 100 * time.Millisecond
	// maxBarriers is how many transactions with a barrier are under way at once. Each holds a connection while it waits:
	// replicas that do not answer must not leave introspection without one. The rounds of a [group] come beside them.
	maxBarriers = 10
)

// barrier is a command whose answer tells whether what was sent before it, on its connection, lasts as
// [Options.Durability] asks.
//
//	replicas:N   WAIT N ms             how many replicas have it
//	fsync        CONFIG GET *append*   with appendfsync always, Redis writes to the disk before it answers
type barrier struct {
	cmd   redis.Cmder
	lacks func() string // what the answer says that is missing; empty: nothing
}

func (db *DB) newBarrier(ctx context.Context) *barrier {
	if db.durability.Fsync {
		return settingsBarrier(ctx)
	}
	return replicasBarrier(ctx, db.durability.Replicas, within(ctx, replicasTimeout))
}

func replicasBarrier(ctx context.Context, n int, d time.Duration) *barrier {
	cmd := redis.NewIntCmd(ctx, "wait", n, d.Milliseconds())
	return &barrier{cmd: cmd, lacks: func() string {
		if got := cmd.Val(); got < int64(n) {
			return fmt.Sprintf("%d of %d replicas have it", got, n)
		}
		return ""
	}}
}

func settingsBarrier(ctx context.Context) *barrier {
	cmd := redis.NewMapStringStringCmd(ctx, "config", "get", "*append*")
	return &barrier{cmd: cmd, lacks: func() string { return notAlways(cmd.Val()) }}
}

// within is how long Redis may take, so that its answer comes before ctx ends. Never 0, which would be without a limit.
func within(ctx context.Context, most time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)-answerTime)
	}
	return max(most, time.Millisecond)
}

// alwaysNeeds are the settings with which Redis writes to its disk before it answers. With another value of the last
// one, it does not do so while it rewrites its log.
var alwaysNeeds = map[string]string{"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}

// notAlways says which settings have another value: "appendfsync everysec".
func notAlways(settings map[string]string) string {
	var lacks []string
	for _, name := range slices.Sorted(maps.Keys(alwaysNeeds)) {
		if got := settings[name]; got != alwaysNeeds[name] {
			lacks = append(lacks, name+" "+cmp.Or(got, "unknown"))
		}
	}
	return strings.Join(lacks, ", ")
}

// judge makes an error of the answer to a barrier: ErrUnconfirmed if something is missing, or Redis rejects the command. sent is the
// error of the pipeline that it was in.
func (db *DB) judge(op string, b *barrier, sent error) error {
	var why string
	switch {
	case ErrorPrefix(b.cmd.Err()) != "":
		why = withoutArgs(b.cmd.Err().Error())
	case sent != nil:
		return Unavailable(op, sent)
	default:
		why = b.lacks()
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("%s: %w as MINTKEEP_REVOKE_DURABILITY=%s asks: %s", op, ErrUnconfirmed, db.durability, why)
}

// NeedsBarrier is whether Redis's own answer is not enough for a write under ctx.
func (db *DB) NeedsBarrier(ctx context.Context) bool {
	return db.durability != config.Durability{} && !IsWithoutBarrier(ctx)
}

type noBarrierKey struct{}

// WithoutBarrier is the context of writes that need no durability: what comes after a revocation that holds already, and
// what is created. If such a write is lost, its object does not exist and is created again. With a barrier, an answer
// that is not a success would lose for certain a secret that is shown once.
func WithoutBarrier(ctx context.Context) context.Context {
	return context.WithValue(ctx, noBarrierKey{}, true)
}

// IsWithoutBarrier is whether ctx comes from WithoutBarrier.
func IsWithoutBarrier(ctx context.Context) bool { return ctx.Value(noBarrierKey{}) != nil }

// AcquireBarrier waits until one more transaction with a barrier may be under way, if ctx needs one. The caller calls
// release.
func (db *DB) AcquireBarrier(ctx context.Context, op string) (release func(), err error) {
	if !db.NeedsBarrier(ctx) {
		return func() {}, nil
	}
	select {
	case db.barriers <- struct{}{}:
		return func() { <-db.barriers }, nil
	case <-ctx.Done():
		return nil, Unavailable(op, Unsent(fmt.Errorf("too many wait to be confirmed: %w", ctx.Err())))
	}
}

// SendBehind sends commands, and the barrier if ctx needs one, behind a transaction of tx, on the same connection: a Tx
// never goes on with another. The caller has acquired the barrier. Each command has its own error.
func (db *DB) SendBehind(ctx context.Context, op string, tx *redis.Tx, cmds ...redis.Cmder) error {
	if !db.NeedsBarrier(ctx) {
		if len(cmds) > 0 {
			_ = send(ctx, tx, cmds...)
		}
		return nil
	}
	b := db.newBarrier(ctx)
	return db.judge(op, b, noAnswer(send(ctx, tx, append(cmds[:len(cmds):len(cmds)], b.cmd)...)))
}

// Barrier says that everything which Redis has applied until now lasts: for a caller that finds nothing to do, because an
// earlier attempt was applied and not confirmed. Where Redis's own answer is enough, it asks nothing.
func (db *DB) Barrier(ctx context.Context, op string) error {
	if !db.NeedsBarrier(ctx) {
		return nil
	}
	return Unavailable(op, db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		// WAIT covers what any client wrote before the previous command of its connection. If there was none, it
		// covers nothing.
		before := redis.NewStatusCmd(ctx, "ping")
		b, sent := db.groupOf(ctx, node).confirm(ctx, node, before)
		return db.judge(op, b, cmp.Or(before.Err(), sent))
	}))
}
