package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// proof is a command whose answer tells whether what was sent before it, on its connection, lasts as
// [Options.Durability] asks.
//
//	replicas:N   WAIT N ms           how many replicas have it; they are counted here
//	fsync        CONFIG GET *append* with appendfsync always, Redis writes to the disk before it answers anybody
//	fsync        WAITAOF 1 0 ms      where it does not, and knows this command: from 7.2 on
//
// WAITAOF is tested against a server that only speaks its protocol, never against a Redis: Debian's is 7.0.
type proof struct {
	cmd     redis.Cmder
	lacks   func() string // what the answer says that is missing; empty: nothing
	timeout time.Duration // of the connection, where it is not the usual one
}

func (s *Store) newProof(ctx context.Context) *proof {
	switch {
	case !s.durability.Fsync:
		return replicasProof(ctx, s.durability.Replicas, within(ctx, replicasPatience))
	case s.waitsForDisk.Load():
		return diskProof(ctx, within(ctx, diskPatience))
	}
	return settingsProof(ctx)
}

func replicasProof(ctx context.Context, n int, d time.Duration) *proof {
	cmd := redis.NewIntCmd(ctx, "wait", n, d.Milliseconds())
	return &proof{cmd: cmd, lacks: func() string {
		if got := cmd.Val(); got < int64(n) {
			return fmt.Sprintf("%d of %d replicas have it", got, n)
		}
		return ""
	}}
}

func settingsProof(ctx context.Context) *proof {
	cmd := redis.NewMapStringStringCmd(ctx, "config", "get", "*append*")
	return &proof{cmd: cmd, lacks: func() string { return notAlways(cmd.Val()) }}
}

func diskProof(ctx context.Context, d time.Duration) *proof {
	p := &proof{cmd: redis.NewIntSliceCmd(ctx, "waitaof", 1, 0, d.Milliseconds()), timeout: d + answerTime}
	p.lacks = func() string {
		counts, ok := p.cmd.(*redis.IntSliceCmd)
		if !ok || len(counts.Val()) == 0 || counts.Val()[0] < 1 {
			return "it is not on the disk"
		}
		return ""
	}
	return p
}

func (p *proof) byDisk() bool { return p.timeout > 0 }

// through is the node, with the patience that the proof needs.
func (p *proof) through(node *redis.Client) *redis.Client {
	if p.timeout > 0 {
		return node.WithTimeout(p.timeout)
	}
	return node
}

// within is how long Redis may take, so that its answer comes before ctx ends. Never 0, which would be for ever.
func within(ctx context.Context, most time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)-answerTime)
	}
	return max(most, time.Millisecond)
}

// alwaysNeeds are the settings with which Redis writes to its disk before it answers. With the last of them
// otherwise, it does not while it writes its log anew.
var alwaysNeeds = map[string]string{"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}

// notAlways says what is otherwise: "appendfsync everysec".
func notAlways(settings map[string]string) string {
	var lacks []string
	for _, name := range slices.Sorted(maps.Keys(alwaysNeeds)) {
		if got := settings[name]; got != alwaysNeeds[name] {
			lacks = append(lacks, name+" "+cmp.Or(got, "unknown"))
		}
	}
	return strings.Join(lacks, ", ")
}

// confirmBy asks for a proof by ask, which sends it behind what it is to prove, and tells what went wrong with
// that. Where the settings prove nothing, a wait for the disk may: Redis is asked once more.
func (s *Store) confirmBy(ctx context.Context, op string, ask func(*proof) error) error {
	p := s.newProof(ctx)
	err := s.judge(op, p, ask(p))
	if !errors.Is(err, ErrUnconfirmed) || !s.durability.Fsync {
		return err
	}
	if p.byDisk() {
		s.waitsForDisk.Store(false) // it may be set up otherwise by now: the next one looks
		return err
	}
	other := diskProof(ctx, within(ctx, diskPatience))
	if s.judge(op, other, ask(other)) != nil {
		return err
	}
	s.waitsForDisk.Store(true)
	return nil
}

// judge makes an error of the answer to a proof: ErrUnconfirmed if Redis says no, or will not be asked this.
func (s *Store) judge(op string, p *proof, sent error) error {
	var why string
	switch {
	case Refusal(p.cmd.Err()) != "":
		why = withoutArgs(p.cmd.Err().Error())
	case sent != nil:
		return unavailable(op, sent)
	default:
		why = p.lacks()
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("%s: %w as MINTKEEP_REVOKE_DURABILITY=%s asks: %s", op, ErrUnconfirmed, s.durability, why)
}
