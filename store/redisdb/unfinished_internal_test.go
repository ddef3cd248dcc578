package redisdb

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Nodes that have left a cluster, and whose addresses are silent, leave a heartbeat time for the others.
func TestSettleWithSilentNodes(t *testing.T) {
	db := &DB{}
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		o := clientOptions().Simple()
		o.Addr = l.Addr().String()
		node := redis.NewClient(o)
		t.Cleanup(func() { _ = node.Close() })
		db.addConnections(node)
		db.connections[len(db.connections)-1].addUnfinished(identity{"7", "127.0.0.1:1"})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := db.Settle(ctx); err == nil {
		t.Error("silent nodes are settled")
	}
	if ctx.Err() != nil {
		t.Error("nothing is left of the time of a heartbeat")
	}
}
