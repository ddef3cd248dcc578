package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The links and the disks of the fault bench do what they say, and can be repaired.
func TestProxy(t *testing.T) {
	server := Redis(t)
	p := NewProxy(t, server.Addr())
	options := rawOptions(p.Addr())
	options.ReadTimeout, options.DialTimeout = 300*time.Millisecond, 300*time.Millisecond
	rdb := redis.NewClient(options)
	defer rdb.Close()
	ctx := context.Background()
	well := func(when string) {
		t.Helper()
		if err := rdb.Ping(ctx).Err(); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	well("in good order")
	for what, spoil := range map[string]func(){
		"cut": p.Cut, "blocked": p.Block, "reset": func() { p.Reset(3) }, "delayed": func() { p.Delay(time.Second, 0) },
	} {
		spoil()
		if err := rdb.Ping(ctx).Err(); err == nil {
			t.Errorf("%s: a ping is answered", what)
		}
		p.Restore()
		_ = rdb.Ping(ctx).Err() // on what is left of the old connection
		well("restored after it was " + what)
	}
}

func TestFillDisk(t *testing.T) {
	server := Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	server.FillDisk(10)
	if _, err := server.Do("SET", "a", "b"); err == nil {
		t.Error("what cannot be written to the disk is acknowledged")
	}
	server.AwaitDeath()
	server.Start()
	if got, err := server.Do("SET", "a", "b"); err != nil {
		t.Errorf("got %v %v, want a server that writes again", got, err)
	}
}

func TestReplica(t *testing.T) {
	primary := Redis(t)
	if _, err := primary.Do("SET", "a", "b"); err != nil {
		t.Fatal(err)
	}
	replica := Replica(t, primary.Addr())
	if got, err := replica.Do("GET", "a"); got != "b" {
		t.Errorf("the replica has %v %v, want what the primary has", got, err)
	}
	if _, err := replica.Do("SET", "a", "c"); err == nil || !strings.HasPrefix(err.Error(), "READONLY") {
		t.Errorf("a write to the replica is answered %v", err)
	}
}
