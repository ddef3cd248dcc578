package redisdb

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestOpenBadURL(t *testing.T) {
	_, err := Open(Options{URL: "redis://:hunter2/x@h"})
	if err == nil || !strings.HasPrefix(err.Error(), "MINTKEEP_REDIS_URL must ") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// What a hung Redis can take is decided here, so every kind of client must have got it.
func TestClientOptions(t *testing.T) {
	for _, u := range []string{"redis://h", "redis+sentinel://h/m"} {
		db, err := Open(Options{URL: u})
		if err != nil {
			t.Fatal(err)
		}
		o := db.Client.(*redis.Client).Options()
		if !o.ContextTimeoutEnabled || o.DialTimeout != dialTimeout || o.ReadTimeout != replyTimeout || o.WriteTimeout != replyTimeout ||
			o.PoolTimeout != poolTimeout || o.MaxRetries != 1 || o.DialerRetries != 1 || o.ClientName != "mintkeep" {
			t.Errorf("%s: options are %+v", u, o)
		}
		_ = db.Close()
	}
	db, err := Open(Options{URL: "redis+cluster://one-seed"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, ok := db.Client.(*redis.ClusterClient)
	if !ok {
		t.Fatalf("one seed gave a %T", db.Client)
	}
	o := c.Options()
	if !o.ContextTimeoutEnabled || o.DialTimeout != dialTimeout || o.ReadTimeout != replyTimeout || o.PoolTimeout != poolTimeout ||
		o.DialerRetries != 1 || o.MaxRedirects != 2 || o.ClientName != "mintkeep" {
		t.Errorf("options are %+v", o)
	}
}
