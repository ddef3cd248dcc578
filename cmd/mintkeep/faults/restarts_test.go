package faults

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// restarts are faults that stop Redis, with the writes that it had not stored.
var restarts = []fault{
	{
		name: "redis-restarted", form: short, on: alone(durable...), unavailable: perhaps,
		inject: func(s *scene) { s.redis.Stop() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		name: "redis-killed-repeatedly", form: short, on: alone(durable...), unavailable: perhaps,
		inject: func(s *scene) {
			for range 10 * chosen.stretch() {
				time.Sleep(50 * time.Millisecond)
				s.redis.Kill()
				s.redis.Start()
			}
		},
		lift: func(*scene) {},
	},
	{
		name: "disk-full-everysec", form: short, on: alone("--appendonly", "yes"), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.FillDisk(10); s.awaitRejection("MISCONF") },
		lift:   func(s *scene) { s.redis.FreeDisk() },
	},
	{
		name: "disk-full-always", form: short, on: alone(durable...), unavailable: some, during: time.Second,
		inject: func(s *scene) { s.redis.FillDisk(10); s.redis.AwaitDeath() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		name: "fsync-fails", form: short, on: alone(durable...), unavailable: some, during: time.Second,
		inject: func(s *scene) { s.redis.FailSync(); s.redis.AwaitDeath() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		name: "redis-emptied", form: short, on: alone(), unavailable: some, forgets: true, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.do("FLUSHALL") },
		lift:   (*scene).startOver,
	},
	{
		name: "redis-restarted-empty", form: long, on: alone(), unavailable: some, forgets: true, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.Kill(); s.redis.Start() },
		lift:   (*scene).startOver,
	},
	{
		name: "redis-evicts", form: short, on: alone(), unavailable: perhaps, forgets: true, during: 1500 * time.Millisecond,
		inject: func(s *scene) {
			s.do("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
			s.do("CONFIG", "SET", "maxmemory", s.usedMemory()-100_000)
		},
		lift: func(s *scene) {
			s.do("CONFIG", "SET", "maxmemory", "0")
			s.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
			s.startOver()
		},
	},
	{
		name: "old-backup", form: short, on: alone(), unavailable: perhaps, forgets: true,
		inject: func(s *scene) {
			s.do("SAVE")
			time.Sleep(1500 * time.Millisecond)
			s.redis.Kill()
		},
		lift: func(s *scene) { s.redis.Start() },
	},
}

func (s *scene) usedMemory() int {
	s.t.Helper()
	reply, err := s.redis.Do("INFO", "memory")
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(fmt.Sprint(reply), "used_memory:")
	number, _, _ := strings.Cut(rest, "\r")
	used, err := strconv.Atoi(number)
	if err != nil {
		s.t.Fatal(err)
	}
	return used
}
