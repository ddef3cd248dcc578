package redisdb

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// repeatable are the commands that change nothing that is stored, so that go-redis may send them again on another
// connection when an answer does not come in time. Every other command is sent once: see [once].
var repeatable = map[string]bool{
	"get": true, "mget": true, "strlen": true, "exists": true, "pttl": true, "ttl": true, "scan": true, "type": true,
	"hget": true, "hmget": true, "hgetall": true, "hexists": true, "hstrlen": true, "hlen": true,
	"zcard": true, "zcount": true, "zrange": true, "zrangebyscore": true, "zscore": true, "zmscore": true,
	"xlen": true, "xrange": true, "xrevrange": true,
	"ping": true, "info": true, "config": true, "time": true, "wait": true, "memory": true, "acl": true, "role": true,
	"watch": true, "unwatch": true, "multi": true, "exec": true, // of a transaction its writes are what counts
	"hello": true, "auth": true, "select": true, "client": true, "cluster": true, "command": true, "asking": true, "readonly": true,
}

// once is a write. go-redis does not send it again, whatever becomes of the answer: alone, in a pipeline, in a
// transaction, and in a cluster, where it follows only a redirection, by which a server has rejected it. A pipeline with
// one such command is not sent again as a whole.
//
// Without it, a write whose answer is late is sent twice. The second is answered, what it wrote is revoked, and then the
// first arrives.
type once struct{ redis.Cmder }

// NoRetry tells go-redis so.
func (once) NoRetry() bool { return true }

// sendOnce is the go-redis hook through which every command passes. It makes writes [once], and after a write without
// an answer it settles what became of it.
type sendOnce struct{ db *DB }

func (sendOnce) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h sendOnce) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if repeatable[cmd.Name()] {
			return next(ctx, cmd)
		}
		err := next(ctx, once{cmd})
		h.db.SettleAfter(ctx, err)
		return err
	}
}

func (h sendOnce) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for i, cmd := range cmds {
			if repeatable[cmd.Name()] {
				continue
			}
			cmds[i] = once{cmd}
			err := next(ctx, cmds)
			cmds[i] = cmd // the caller's slice
			if i := slices.IndexFunc(cmds, hasNoAnswer); i >= 0 {
				h.db.SettleAfter(ctx, cmds[i].Err())
			}
			return err
		}
		return next(ctx, cmds)
	}
}

func hasNoAnswer(cmd redis.Cmder) bool { return isUnanswered(cmd.Err()) }
