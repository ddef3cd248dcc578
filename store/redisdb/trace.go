package redisdb

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RoundTrip is what is sent to Redis at once for one request, as [Options.Trace] sees it: names of commands, and no key or
// argument.
type RoundTrip struct {
	// Server is the address; behind Sentinels the name of the primary.
	Server string
	// Shared: the commands travel with those of other requests, and the time includes the wait for that.
	Shared bool

	cmds []redis.Cmder
}

// The commands by which go-redis connects, which are traced as a part of what needs the connection, and those that frame others.
var (
	handshake = []string{"hello", "auth", "select", "client", "readonly", "cluster", "command"}
	framing   = []string{"multi", "exec", "asking"}
)

// Commands are the names of the commands in capitals, each once, in the order in which they are sent.
func (r RoundTrip) Commands() (names []string) {
	for _, cmd := range r.cmds {
		if name := strings.ToUpper(cmd.Name()); !slices.Contains(framing, cmd.Name()) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Count is how many commands are sent.
func (r RoundTrip) Count() (n int) {
	for _, cmd := range r.cmds {
		if !slices.Contains(framing, cmd.Name()) {
			n++
		}
	}
	return n
}

// traced is the go-redis hook behind [Options.Trace]. In a cluster it is on the client of each node, which knows its address.
type traced struct {
	trace  func(context.Context, RoundTrip) (end func(error))
	server string
}

func (traced) DialHook(next redis.DialHook) redis.DialHook { return next }

func (t traced) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		end := t.begin(ctx, cmd)
		err := next(ctx, cmd)
		if end != nil {
			end(Failure(err))
		}
		return err
	}
}

func (t traced) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		end := t.begin(ctx, cmds...)
		err := next(ctx, cmds)
		if end != nil {
			end(failureOf(err, cmds))
		}
		return err
	}
}

func (t traced) begin(ctx context.Context, cmds ...redis.Cmder) (end func(error)) {
	if len(cmds) == 0 || slices.Contains(handshake, cmds[0].Name()) {
		return nil
	}
	return t.trace(ctx, RoundTrip{Server: t.server, cmds: cmds})
}

// server is the address of the one server, for [RoundTrip].
func (db *DB) server() string {
	switch {
	case db.IsEmbedded():
		return "embedded"
	case db.target.kind == sentinel:
		return db.target.master
	}
	return db.target.where()
}

// beginShared begins the trace of a call whose commands wait to travel with those of other calls. What travels serves many
// requests, and is traced in each of them with its own commands alone: so no trace tells of another.
func (db *DB) beginShared(ctx context.Context, cmds []redis.Cmder) (end func(error)) {
	if db.options.Trace == nil {
		return func(error) {}
	}
	end = db.options.Trace(ctx, RoundTrip{Server: db.server(), Shared: true, cmds: cmds})
	if end == nil {
		return func(error) {}
	}
	return end
}
