package faults

import (
	"context"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// asUser is one Redis, at which the servers are a user of their own.
func asUser(s *scene) string {
	s.redis = storetest.Redis(s.t)
	s.do("ACL", "SETUSER", "servers", "on", ">pass", "~mk:*", "&*", "+@all")
	return "redis://servers:pass@" + s.redis.Addr()
}

// do sends a command to the Redis that is alone.
func (s *scene) do(args ...any) {
	s.t.Helper()
	if _, err := s.redis.Do(args...); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
}

// awaitRejection waits until Redis rejects a write with an error that begins so.
func (s *scene) awaitRejection(beginning string) {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := s.redis.Do("SET", "not-of-mintkeep", "x")
		if err != nil && strings.HasPrefix(err.Error(), beginning) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("a write is answered %v, want %s", err, beginning)
		}
	}
}

// rejections are faults in which Redis answers with an error.
var rejections = []fault{
	{
		name: "redis-loading", form: short, unavailable: some, during: 100 * time.Millisecond,
		on: alone("--appendonly", "yes", "--appendfsync", "always", "--key-load-delay", "800", "--loading-process-events-interval-bytes", "1024"),
		prepare: func(s *scene) {
			for i := range 2000 {
				s.do("SET", i, "not of Mintkeep")
			}
			s.do("BGREWRITEAOF")
			s.redis.Await("a rewritten AOF", func(ctx context.Context, rdb storetest.Conn) bool {
				info := rdb.Info(ctx, "persistence").Val()
				return strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0")
			})
		},
		inject: func(s *scene) { s.redis.Kill() },
		lift:   func(s *scene) { s.redis.Start() }, // which returns when it has loaded
	},
	{
		name: "redis-readonly", form: short, on: alone(), unavailable: some, during: time.Second,
		inject: func(s *scene) { s.do("REPLICAOF", "127.0.0.1", "1") },
		lift:   func(s *scene) { s.do("REPLICAOF", "NO", "ONE") },
	},
	{
		name: "redis-masterdown", form: long, on: alone("--replica-serve-stale-data", "no"), unavailable: some, during: time.Second,
		inject: func(s *scene) { s.do("REPLICAOF", "127.0.0.1", "1") },
		lift:   func(s *scene) { s.do("REPLICAOF", "NO", "ONE") },
	},
	{
		name: "redis-out-of-memory", form: short, on: alone(), unavailable: some, revokes: true, during: time.Second,
		inject: func(s *scene) { s.do("CONFIG", "SET", "maxmemory", "1") },
		lift:   func(s *scene) { s.do("CONFIG", "SET", "maxmemory", "0") },
	},
	{
		name: "redis-misconf", form: short, on: alone("--save", "3600 1"), unavailable: some, during: time.Second,
		inject: func(s *scene) {
			s.redis.FillDisk(10)
			s.do("BGSAVE")
			s.awaitRejection("MISCONF")
		},
		lift: func(s *scene) {
			s.redis.FreeDisk()
			s.do("CONFIG", "SET", "save", "")
		},
	},
	{
		name: "redis-maxclients", form: short, on: alone(), unavailable: some, during: time.Second,
		inject: func(s *scene) {
			s.do("CONFIG", "SET", "maxclients", "2")
			s.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		},
		lift: func(s *scene) { s.do("CONFIG", "SET", "maxclients", "10000") },
	},
	{
		name: "redis-busy", form: short, on: alone("--lua-time-limit", "50"), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { go func() { _, _ = s.redis.Do("EVAL", "while true do end", "0") }() },
		lift: func(s *scene) {
			s.redis.Await("the end of the script", func(ctx context.Context, rdb storetest.Conn) bool {
				return rdb.ScriptKill(ctx).Err() == nil
			})
		},
	},
	{
		name: "redis-noperm", form: short, on: asUser, unavailable: some, during: time.Second,
		inject: func(s *scene) { s.do("ACL", "SETUSER", "servers", "-@all") },
		lift:   func(s *scene) { s.do("ACL", "SETUSER", "servers", "+@all") },
	},
	{
		name: "redis-wrongpass", form: long, on: asUser, unavailable: some, during: time.Second,
		inject: func(s *scene) {
			s.do("ACL", "SETUSER", "servers", "resetpass", ">another")
			s.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		},
		lift: func(s *scene) { s.do("ACL", "SETUSER", "servers", ">pass") },
	},
}
