package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// slotWatch is a go-redis hook that holds a Store to what a cluster of many nodes can do.
type slotWatch struct{ t testing.TB }

func (w slotWatch) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w slotWatch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "scan" || !byTool() {
			w.check(cmd)
		}
		return next(ctx, cmd)
	}
}

func (w slotWatch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && cmds[0].Name() == "multi" {
			w.check(cmds...)
		} else {
			for _, cmd := range cmds {
				w.check(cmd)
			}
		}
		return next(ctx, cmds)
	}
}

// byTool is whether the caller is the one walk of all keys, which is for operators' tools; cmd/mintkeep tests that no request
// does it.
func byTool() bool {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "store.(*Store).everyID") {
			return true
		}
		if !more {
			return false
		}
	}
}

// check takes cmds as one unit, whose keys must be in one slot.
func (w slotWatch) check(cmds ...redis.Cmder) {
	w.t.Helper()
	first := ""
	for _, cmd := range cmds {
		keys, err := keysOf(cmd.Args())
		if err != nil {
			w.t.Errorf("store: %v", err)
		}
		for _, key := range keys {
			if first == "" {
				first = key
			}
			if redisdb.SlotOf(key) != redisdb.SlotOf(first) {
				w.t.Errorf("store: %s: the keys %q and %q are in two slots of a cluster", cmd.Name(), first, key)
				return
			}
		}
	}
}

// keysOf returns the keys that a command names. A command that it does not know is an error, so that none
// goes unchecked, and so is one that visits all keys: no request path of the store has any.
func keysOf(args []any) ([]string, error) {
	name := strings.ToLower(fmt.Sprint(args[0]))
	switch kinds[name] {
	case keyless:
		return nil, nil
	case allKeys:
		return texts(args[1:]), nil
	case oneKey:
		if len(args) > 1 {
			return texts(args[1:2]), nil
		}
	case keyAfterVerb:
		if len(args) > 2 {
			return texts(args[2:3]), nil
		}
	case twoKeys:
		if len(args) > 2 {
			return texts(args[1:3]), nil
		}
	case countedKeys:
		if len(args) > 2 {
			n, err := strconv.Atoi(fmt.Sprint(args[2]))
			if err == nil && n >= 0 && 3+n <= len(args) {
				return texts(args[3 : 3+n]), nil
			}
		}
	case keysAndValues:
		var keys []string
		for i := 1; i < len(args); i += 2 {
			keys = append(keys, fmt.Sprint(args[i]))
		}
		return keys, nil
	case streams:
		words := texts(args)
		if i := slices.IndexFunc(words, func(s string) bool { return strings.EqualFold(s, "streams") }); i > 0 {
			return words[i+1 : i+1+(len(words)-i-1)/2], nil
		}
	case forbidden:
		return nil, fmt.Errorf("%s visits all keys", name)
	}
	return nil, fmt.Errorf("%s is not a command whose keys this test knows; see store/storetest", name)
}

func texts(args []any) []string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = fmt.Sprint(a)
	}
	return words
}

// kinds is where the commands have their keys.
var kinds = func() map[string]string {
	kinds := map[string]string{}
	for _, list := range []string{keyless, allKeys, oneKey, keyAfterVerb, twoKeys, countedKeys, keysAndValues, streams, forbidden} {
		for _, name := range strings.Fields(list) {
			kinds[name] = list
		}
	}
	return kinds
}()

const (
	forbidden = `keys scan randomkey flushall flushdb swapdb`
	keyless   = `ping dbsize echo hello auth select client command cluster readonly readwrite info config time wait waitaof role
		multi exec discard unwatch script publish subscribe psubscribe unsubscribe quit asking latency slowlog`
	allKeys = `del unlink exists touch watch mget sinter sunion sdiff pfcount sinterstore sunionstore sdiffstore
		pfmerge ssubscribe`
	oneKey = `get set setnx setex psetex getset getdel getex append strlen incr decr incrby decrby incrbyfloat getrange
		setrange setbit getbit bitcount expire pexpire expireat pexpireat expiretime pexpiretime ttl pttl persist type dump
		restore hset hsetnx hget hgetall hmset hmget hdel hlen hexists hkeys hvals hincrby hincrbyfloat hstrlen hrandfield
		hscan hsetex hgetex hgetdel hexpire hpexpire hexpireat hpexpireat hpersist httl hpttl hexpiretime hpexpiretime
		lpush rpush lpushx rpushx lpop rpop lrange llen lindex lset lrem ltrim linsert lpos
		sadd srem smembers sismember smismember scard spop srandmember sscan
		zadd zrem zrange zrangebyscore zrangebylex zrevrange zrevrangebyscore zrevrangebylex zcard zcount zlexcount zscore
		zmscore zrank zrevrank zincrby zpopmin zpopmax zremrangebyscore zremrangebyrank zremrangebylex zscan zrandmember
		xadd xdel xlen xrange xrevrange xtrim xack xpending xclaim xautoclaim pfadd geoadd spublish`
	keyAfterVerb  = `object xinfo xgroup memory`
	twoKeys       = `rename renamenx copy smove lmove rpoplpush zrangestore`
	countedKeys   = `eval evalsha eval_ro evalsha_ro fcall fcall_ro`
	keysAndValues = `mset msetnx`
	streams       = `xread xreadgroup`
)
