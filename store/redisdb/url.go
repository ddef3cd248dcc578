package redisdb

import (
	"crypto/tls"
	"fmt"

	"github.com/mintkeep/mintkeep/config"
)

// target is what a URL says: where Redis is, and the credentials.
type target struct {
	kind   config.RedisKind
	addrs  []string // host:port
	master string   // of Sentinels
	db     int

	user, password                 string
	sentinelUser, sentinelPassword string

	tls *tls.Config // nil: plain
}

const (
	sentinel = config.Sentinel
	cluster  = config.Cluster
)

// parseURL reads MINTKEEP_REDIS_URL, which package config has checked if it comes from there.
func parseURL(raw string) (target, error) {
	r, err := config.ParseRedisURL(raw)
	if err != nil {
		return target{}, fmt.Errorf("MINTKEEP_REDIS_URL %w", err)
	}
	return target{r.Kind, r.Addrs, r.Master, r.DB, r.User, r.Password, r.SentinelUser, r.SentinelPassword, r.TLS}, nil
}
