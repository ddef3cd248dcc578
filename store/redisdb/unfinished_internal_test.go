package redisdb

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// silentNodes are servers of a cluster that accept connections and never answer. Each has an unfinished connection.
func silentNodes(t *testing.T, n int) (*DB, []*redis.Client) {
	t.Helper()
	db := &DB{target: target{kind: cluster}}
	db.Client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	t.Cleanup(func() { _ = db.Client.Close() })
	nodes := make([]*redis.Client, n)
	for i := range nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		o := clientOptions().Simple()
		o.Addr = l.Addr().String()
		nodes[i] = redis.NewClient(o)
		t.Cleanup(func() { _ = nodes[i].Close() })
		db.addConnections(nodes[i])
		db.connections[i].addUnfinished(identity{"7", "127.0.0.1:1"})
	}
	return db, nodes
}

// Nodes whose addresses are silent leave a heartbeat time for the others, and the next heartbeat does not wait for them.
func TestSettleWithSilentNodes(t *testing.T) {
	db, _ := silentNodes(t, 5)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := db.Settle(ctx); err == nil {
		t.Error("silent nodes are settled")
	}
	if ctx.Err() != nil {
		t.Error("nothing is left of the time of a heartbeat")
	}
	if err := db.Settle(t.Context()); err != nil {
		t.Errorf("the second heartbeat waits for silent nodes: %v", err)
	}
	for i, l := range db.servers() {
		if len(l.unfinished()) != 1 {
			t.Errorf("the unfinished connection to node %d is forgotten", i)
		}
	}
}

// A node that has left the cluster, and is silent, is forgotten. So is one that has nothing unfinished, when another comes.
func TestNodesThatLeftAreForgotten(t *testing.T) {
	db, nodes := silentNodes(t, 3)
	db.connections[2].lost = nil
	_ = nodes[0].Close()
	_ = nodes[2].Close()
	_ = db.Settle(t.Context())
	if n := len(db.servers()); n != 1 || db.servers()[0].client != nodes[1] {
		t.Errorf("%d servers are known, want the one that stayed", n)
	}
	db.connections[0].lost = nil
	_ = nodes[1].Close()
	another := redis.NewClient(&redis.Options{})
	defer func() { _ = another.Close() }()
	db.addConnections(another)
	if n := len(db.servers()); n != 1 || db.servers()[0].client != another {
		t.Errorf("%d servers are known, want the new one", n)
	}
}

// A caller waits for another's CLIENT KILL no longer than for its own, and asks nothing if that was enough.
func TestSettleAtOnce(t *testing.T) {
	db, _ := silentNodes(t, 1)
	l := db.servers()[0]
	l.settling <- struct{}{} // another call is under way
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.settle(ctx); !errors.Is(err, context.Canceled) || l.failing(0) {
		t.Errorf("got %v, failing %v; want that the time is over", err, l.failing(0))
	}
	done := make(chan error)
	go func() { done <- l.settle(t.Context()) }()
	l.forget(l.unfinished())
	<-l.settling
	if err := <-done; err != nil {
		t.Errorf("what the other call has settled: %v", err)
	}
}

// Behind commands that Redis has answered there is nothing to settle, whatever it said.
func TestAnsweredIsSettled(t *testing.T) {
	db, _ := silentNodes(t, 1)
	answer := redisError("OOM command not allowed")
	db.SettleAfter(t.Context())
	db.SettleAfter(t.Context(), nil, redis.Nil, redis.TxFailedErr, answer, Unavailable("write", answer))
	if db.servers()[0].failing(0) {
		t.Error("the node was asked")
	}
	if db.SettleAfter(t.Context(), answer, context.DeadlineExceeded); !db.servers()[0].failing(0) {
		t.Error("the node was not asked behind a command without an answer")
	}
}

type redisError string

func (e redisError) Error() string { return string(e) }

func (redisError) RedisError() {}

func TestRejectedKill(t *testing.T) {
	for text, want := range map[string]bool{
		"NOPERM User mint has no permissions to run the 'client|kill' command": true,
		"ERR unknown command 'client', with args beginning with: 'kill'":       true,
		"ERR unknown subcommand 'kill'. Try CLIENT HELP.":                      true,
		"ERR syntax error":                                              true,
		"ERR command is not allowed":                                    true,
		"BUSY Redis is busy running a script":                           false,
		"LOADING Redis is loading the dataset in memory":                false,
		"WRONGPASS invalid username-password pair or user is disabled.": false,
		"NOAUTH Authentication required.":                               false,
		"ERR max number of clients reached":                             false,
	} {
		if got := isRejected(redisError(text)); got != want {
			t.Errorf("%s: rejected %v, want %v", text, got, want)
		}
	}
	if isRejected(context.DeadlineExceeded) {
		t.Error("no answer is taken for a rejection")
	}
}

// A connection that is closed here is unfinished, even if no reader has noticed yet.
func TestClosedIsUnfinished(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	l := &connections{open: map[*connection]struct{}{}}
	c := &connection{Conn: near, of: l}
	c.who.Store(&identity{"7", "127.0.0.1:1"})
	l.open[c] = struct{}{}
	l.closeAll()
	_ = c.Close()
	if len(l.unfinished()) != 1 {
		t.Error("it is not remembered")
	}
}
