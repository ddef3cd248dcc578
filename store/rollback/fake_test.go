package rollback

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// fake is a Redis of hashes and strings that answers the monitor in this process, by a script: what it has may be put
// back to a copy, and it may answer commands with errors.
type fake struct {
	t       *testing.T
	hashes  map[string]map[string]string
	texts   map[string]string
	fails   func(cmd string) error // nil: none
	monitor *Monitor
	states  []State // in which commands were sent, without repetitions
}

// scripted makes a monitor whose DB is a fake.
func scripted(t *testing.T, change ...func(*Options)) (*fake, *Monitor) {
	t.Helper()
	f := &fake{t: t, hashes: map[string]map[string]string{}, texts: map[string]string{}}
	o := Options{Key: "epoch", FenceKey: "fence", ExistsField: "meta", Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(0, 0) }}
	for _, c := range change {
		c(&o)
	}
	m := New(o)
	db, err := redisdb.Open(redisdb.Options{
		URL: "redis://127.0.0.1:1", Hook: m.Hook(), Instrument: func(c redis.UniversalClient) { c.AddHook(f) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	m.Attach(db)
	f.monitor = m
	return f, m
}

// copy is what the fake has now; restore puts it back.
func (f *fake) copy() (restore func()) {
	hashes, texts := map[string]map[string]string{}, maps.Clone(f.texts)
	for key, fields := range f.hashes {
		hashes[key] = maps.Clone(fields)
	}
	return func() { f.hashes, f.texts = hashes, texts }
}

func (f *fake) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
}

func (f *fake) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		f.answer(cmd)
		return cmd.Err()
	}
}

func (f *fake) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) (first error) {
		for _, cmd := range cmds {
			f.answer(cmd)
			if first == nil {
				first = cmd.Err()
			}
		}
		return first
	}
}

// answer carries a command out, unless the script has an error for it.
func (f *fake) answer(cmd redis.Cmder) {
	if s := f.monitor.State(); len(f.states) == 0 || f.states[len(f.states)-1] != s {
		f.states = append(f.states, s)
	}
	if f.fails != nil {
		if err := f.fails(cmd.Name()); err != nil {
			cmd.SetErr(err)
			return
		}
	}
	args := make([]string, len(cmd.Args()))
	for i, a := range cmd.Args() {
		args[i] = fmt.Sprint(a)
	}
	switch c := cmd.(type) {
	case *redis.IntCmd:
		c.SetVal(f.write(args))
	case *redis.BoolCmd:
		if _, there := f.hash(args[1])[args[2]]; !there {
			f.hashes[args[1]][args[2]] = args[3]
		}
	case *redis.StringCmd:
		text, there := f.texts[args[1]]
		if !there {
			c.SetErr(redis.Nil)
		}
		c.SetVal(text)
	case *redis.SliceCmd:
		var values []any
		if args[0] == "hmget" {
			for _, field := range args[2:] {
				var value any
				if v, there := f.hashes[args[1]][field]; there {
					value = v
				}
				values = append(values, value)
			}
		}
		c.SetVal(values)
	case *redis.MapStringStringCmd:
		c.SetVal(maps.Clone(f.hashes[args[1]]))
	case *redis.StatusCmd: // WATCH, UNWATCH, MULTI
	default:
		f.t.Errorf("the fake does not know %v", cmd.Args())
	}
}

func (f *fake) hash(key string) map[string]string {
	if f.hashes[key] == nil {
		f.hashes[key] = map[string]string{}
	}
	return f.hashes[key]
}

// write carries out a command that answers a number.
func (f *fake) write(args []string) (n int64) {
	switch fields := f.hash(args[1]); args[0] {
	case "hincrby":
		n, _ = strconv.ParseInt(fields[args[2]], 10, 64)
		n++
		fields[args[2]] = strconv.FormatInt(n, 10)
	case "hset":
		fields[args[2]] = args[3]
	case "hdel":
		for _, field := range args[2:] {
			if _, there := fields[field]; there {
				n++
			}
			delete(fields, field)
		}
	case "exists":
	case "del":
		_, there := f.texts[args[1]]
		if there || len(fields) > 0 {
			n = 1
		}
		delete(f.texts, args[1])
		delete(f.hashes, args[1])
	default:
		f.t.Errorf("the fake does not know %v", args)
	}
	return n
}

// failing makes every command fail, but for those of these names.
func (f *fake) failing(err error, but ...string) {
	f.fails = func(cmd string) error {
		if slices.Contains(but, cmd) {
			return nil
		}
		return err
	}
}

// failingOnly makes commands of these names fail.
func (f *fake) failingOnly(err error, names ...string) {
	f.fails = func(cmd string) error {
		if slices.Contains(names, cmd) {
			return err
		}
		return nil
	}
}

func (f *fake) working() { f.fails = nil }
