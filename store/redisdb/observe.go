package redisdb

import (
	"context"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// observer is the go-redis hook behind [Options.Observe]. The names that it reports are those of the commands that are
// sent, and so are few.
type observer func(cmd string, d time.Duration, err error)

func (o observer) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		start := time.Now()
		conn, err := next(ctx, network, addr)
		o("dial", time.Since(start), err)
		return conn, err
	}
}

func (o observer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmd)
		o(cmd.Name(), time.Since(start), Failure(err))
		return err
	}
}

func (o observer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmds)
		d := time.Since(start)
		name := "pipeline"
		if len(cmds) > 0 && cmds[0].Name() == "multi" {
			name = "multi"
		}
		o(name, d, failureOf(err, cmds))
		return err
	}
}

// failureOf is what went wrong in a pipeline. Its error is that of its first command that has one, which may be an absent key
// in front of something worse.
func failureOf(err error, cmds []redis.Cmder) error {
	failed := Failure(err)
	for _, cmd := range cmds {
		if failed == nil {
			failed = Failure(cmd.Err())
		}
	}
	return failed
}
