package faults

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// restarts are faults that end the Redis, and what it was about to write.
var restarts = []fault{
	{
		row: "F-05", name: "Redis restarts, data kept", form: short, on: alone(durable...), unavailable: perhaps,
		inject: func(s *scene) { s.redis.Stop() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		row: "F-30", name: "Redis is killed ten times", form: short, on: alone(durable...), unavailable: perhaps,
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
		row: "F-12", name: "disk full: MISCONF", form: short, on: alone("--appendonly", "yes"), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.FillDisk(10); s.awaitRefusal("MISCONF") },
		lift:   func(s *scene) { s.redis.FreeDisk() },
	},
	{
		row: "F-12", name: "disk full with appendfsync always: it exits", form: short, on: alone(durable...), unavailable: some, during: time.Second,
		inject: func(s *scene) { s.redis.FillDisk(10); s.redis.AwaitDeath() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		row: "F-13", name: "fsync fails: EIO", form: short, on: alone(durable...), unavailable: some, during: time.Second,
		inject: func(s *scene) { s.redis.FailSync(); s.redis.AwaitDeath() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		row: "F-06", name: "Redis is emptied: closed until mintkeep fence", form: short, on: alone(), unavailable: some, forgets: true, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.do("FLUSHALL") },
		lift:   (*scene).startOver,
	},
	{
		row: "F-06", name: "Redis restarts empty: closed until mintkeep fence", form: long, on: alone(), unavailable: some, forgets: true, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.Kill(); s.redis.Start() },
		lift:   (*scene).startOver,
	},
	{
		row: "F-10", name: "Redis evicts, then mintkeep fence", form: short, on: alone(), unavailable: perhaps, forgets: true, during: 1500 * time.Millisecond,
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
		row: "F-46", name: "an old snapshot comes back under live servers", form: short, on: alone(), unavailable: perhaps, forgets: true,
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
