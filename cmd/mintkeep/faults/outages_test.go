package faults

import "time"

// outages are faults in which Redis does not answer.
var outages = []fault{
	{
		row: "F-01", name: "Redis is down", form: short, on: alone(durable...), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.Kill() },
		lift:   func(s *scene) { s.redis.Start() },
	},
	{
		row: "F-02", name: "Redis is frozen", form: quick, on: alone(), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.redis.Freeze() },
		lift:   func(s *scene) { s.redis.Thaw() },
	},
	{
		row: "F-02", name: "Redis is a black hole", form: short, on: byLine(), unavailable: some, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Block() },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		row: "F-02", name: "the line to Redis is cut", form: long, on: byLine(), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.line.Cut() },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		row: "F-02", name: "answers are reset in the middle", form: short, on: byLine(), unavailable: some, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.line.Reset(700) },
		lift:   func(s *scene) { s.line.Restore() },
	},
}

// slowness are faults in which Redis answers late.
var slowness = []fault{
	{
		row: "F-03", name: "Redis answers after 50 ms", form: long, on: byLine(), during: 2 * time.Second,
		inject: func(s *scene) { s.line.Delay(50*time.Millisecond, 20*time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		row: "F-03", name: "Redis answers after 250 ms", form: short, on: byLine(), unavailable: perhaps, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Delay(250*time.Millisecond, 50*time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		row: "F-03", name: "Redis answers after 1 s", form: short, on: byLine(), unavailable: some, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Delay(time.Second, 200*time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		row: "F-03", name: "8 KB/s to and from Redis", form: long, on: byLine(), unavailable: perhaps, during: 2 * time.Second,
		inject: func(s *scene) { s.line.Throttle(8) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		row: "F-03", name: "answers come in pieces", form: long, on: byLine(), during: 2 * time.Second,
		inject: func(s *scene) { s.line.Slice(3, time.Millisecond) },
		lift:   func(s *scene) { s.line.Restore() },
	},
	{
		row: "F-48", name: "Redis stalls for 450 ms", form: long, on: alone(), during: 450 * time.Millisecond / 3,
		inject: func(s *scene) { s.redis.Freeze() },
		lift:   func(s *scene) { s.redis.Thaw() },
	},
	{
		row: "F-20", name: "400 callers at once, 100 ms to Redis", form: short, on: byLine(), unavailable: perhaps, during: 1500 * time.Millisecond,
		inject: func(s *scene) { s.line.Delay(100*time.Millisecond, 0); s.crowd(400) },
		lift:   func(s *scene) { s.disperse(); s.line.Restore() },
	},
}
