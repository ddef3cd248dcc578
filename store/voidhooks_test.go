package store_test

import (
	"context"
	"io"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// refusal is what Redis answers.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}

// rejecting is a hook that has Redis reject some commands of the feed, while it is armed.
type rejecting struct {
	commands atomic.Pointer[[]string]
	rejected atomic.Int64
}

func (h *rejecting) arm(commands ...string) { h.commands.Store(&commands) }
func (h *rejecting) disarm()                { h.commands.Store(nil) }

func (h *rejecting) rejects(cmd redis.Cmder) bool {
	commands := h.commands.Load()
	if commands == nil || !slices.Contains(*commands, cmd.Name()) || cmd.Args()[1] != feedKey {
		return false
	}
	h.rejected.Add(1)
	return true
}

func (h *rejecting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *rejecting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.rejects(cmd) {
			cmd.SetErr(refusal("NOPERM it is rejected"))
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

func (h *rejecting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		var sent, rejected []redis.Cmder
		for _, cmd := range cmds {
			if h.rejects(cmd) {
				rejected = append(rejected, cmd)
			} else {
				sent = append(sent, cmd)
			}
		}
		var err error
		if len(sent) > 0 {
			err = next(ctx, sent)
		}
		for _, cmd := range rejected {
			cmd.SetErr(refusal("NOPERM it is rejected"))
		}
		for _, cmd := range cmds { // as a pipeline does
			if err == nil {
				err = cmd.Err()
			}
		}
		return err
	}
}

// loss is a hook that loses the answer to one pipeline that begins with a command, once some of them have passed.
type loss struct {
	begins string
	after  int
	armed  atomic.Bool
}

func (l *loss) arm(begins string, after int) {
	l.begins, l.after = begins, after
	l.armed.Store(true)
}

func (l *loss) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (l *loss) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (l *loss) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		marks := len(cmds) > 1 && cmds[1].Name() == "hsetnx" // a record that is about to be changed
		if !l.armed.Load() || cmds[0].Name() != l.begins || marks {
			return err
		}
		if l.after--; l.after >= 0 {
			return err
		}
		l.armed.Store(false)
		for _, cmd := range cmds {
			cmd.SetErr(io.EOF)
		}
		return io.EOF
	}
}
