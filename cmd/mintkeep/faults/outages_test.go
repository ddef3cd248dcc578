package faults

import "time"

// outages are faults in which Redis does not answer.
var outages = []fault{
	{
		name: "redis-down", form: short, on: alone(durable...), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.Kill() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		name: "redis-frozen", form: quick, on: alone(), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.Freeze() },
		lift:   func(s *scene) { s.redis.Thaw() },
	},
	{
		name: "redis-black-hole", form: short, on: byLine(), unavailable: some, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Block() },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		name: "link-cut", form: long, on: byLine(), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.line.Cut() },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		name: "answers-reset", form: short, on: byLine(), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.line.Reset(700) },
		lift:   func(s *scene) { s.line.Restore() },
	},
}

// slowness are faults in which Redis answers late.
var slowness = []fault{
	{
		name: "redis-slow-50ms", form: long, on: byLine(), during: 2 * time.Second,
		inject: func(s *scene) { s.line.Delay(50*time.Millisecond, 20*time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		name: "redis-slow-250ms", form: short, on: byLine(), unavailable: perhaps, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Delay(250*time.Millisecond, 50*time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		name: "redis-slow-1s", form: short, on: byLine(), unavailable: some, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Delay(time.Second, 200*time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		name: "redis-8kb-per-second", form: long, on: byLine(), unavailable: perhaps, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Throttle(8) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		name: "answers-in-pieces", form: long, on: byLine(), during: 2 * time.Second,
		inject: func(s *scene) { s.line.Slice(16, time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		name: "redis-stalls-450ms", form: long, on: alone(), during: 450 * time.Millisecond / 3,
		inject: func(s *scene) { s.redis.Freeze() },
		lift:   func(s *scene) { s.redis.Thaw() },
	},
	{
		name: "callers-400-redis-100ms", form: short, on: byLine(), unavailable: perhaps, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.line.Delay(100*time.Millisecond, 0); s.crowd(400) },
		lift:   func(s *scene) { s.disperse(); s.line.Restore() },
	},
}
