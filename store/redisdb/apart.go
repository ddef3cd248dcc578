package redisdb

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Apart is a client with one connection of its own, for a command that blocks. It sends nothing twice. onConnect is shown
// each new connection, of a real Redis only. The caller closes the client.
func (db *DB) Apart(onConnect func(context.Context, *redis.Conn) error) redis.UniversalClient {
	if db.memory != nil {
		return db.memory.client()
	}
	o := db.options
	o.OnConnect = onConnect
	c := newClient(db.target, o, &db.credentials, func(c *redis.UniversalOptions) {
		c.PoolSize, c.MaxRetries = 1, -1
	})
	if o.Hook != nil {
		c.AddHook(o.Hook)
	}
	c.AddHook(unanswered{})
	return c
}
