package redisdb

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// credentials are the user and the password by which new connections authenticate.
type credentials struct{ current atomic.Pointer[login] }

type login struct{ user, password string }

// provide is the CredentialsProviderContext of go-redis.
func (c *credentials) provide(context.Context) (user, password string, err error) {
	l := c.current.Load()
	return l.user, l.password, nil
}

// Errors of ReplaceCredentials.
var (
	errOtherRedis    = errors.New("names another Redis than at start: only user and password can change while the server runs; restart the server")
	errOtherSentinel = errors.New("has other Sentinel credentials than at start: these cannot change while the server runs; restart the server")
)

// ReplaceCredentials has new connections authenticate by the user and the password of url, which leads to the same Redis, and
// tells whether they are others. Connections that are open stay. If Redis rejects the credentials, the old stay; if it
// does not answer, the new are taken.
func (db *DB) ReplaceCredentials(ctx context.Context, url string) (changed bool, err error) {
	if db.IsEmbedded() {
		return false, nil
	}
	t, err := parseURL(url)
	if err != nil {
		return false, err
	}
	fresh := &login{t.user, t.password}
	switch {
	case !db.target.sameRedis(t):
		return false, errOtherRedis
	case t.sentinelUser != db.target.sentinelUser || t.sentinelPassword != db.target.sentinelPassword:
		return false, errOtherSentinel
	case *fresh == *db.credentials.current.Load():
		return false, nil
	}
	switch err := db.try(ctx, t, fresh); ErrorPrefix(err) {
	case "WRONGPASS", "NOAUTH":
		return false, err
	}
	db.credentials.current.Store(fresh)
	return true, nil
}

// sameRedis is whether both lead to the same data in the same manner; credentials and certificates are not compared.
func (t target) sameRedis(other target) bool {
	return t.kind == other.kind && slices.Equal(t.addrs, other.addrs) && t.master == other.master && t.db == other.db &&
		(t.tls == nil) == (other.tls == nil)
}

// try connects to each primary with the credentials.
func (db *DB) try(ctx context.Context, t target, l *login) error {
	trial := &credentials{}
	trial.current.Store(l)
	c := newClient(t, Options{Dial: db.options.Dial}, trial)
	defer c.Close()
	return eachPrimary(ctx, c, func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() })
}
