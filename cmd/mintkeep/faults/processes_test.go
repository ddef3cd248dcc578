package faults

import (
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// processes are faults of the servers themselves.
var processes = []fault{
	{
		name: "server-killed-repeatedly", form: quick, on: alone(durable...), unavailable: perhaps, loses: true,
		inject: func(s *scene) {
			for i := range []int{6, 60, 1000}[chosen] {
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				s.servers[i%2].Kill()
				s.replace(i % 2)
			}
		},
		lift: func(*scene) {},
	},
	{
		name: "redis-and-servers-killed", form: short, on: alone(durable...), unavailable: perhaps, loses: true,
		inject: func(s *scene) {
			for range 3 * chosen.stretch() {
				time.Sleep(300 * time.Millisecond)
				s.redis.Kill()
				s.servers[0].Kill()
				s.servers[1].Kill()
				s.redis.Start()
				s.replace(0)
				s.replace(1)
			}
		},
		lift: func(*scene) {},
	},
	{
		name: "sigterm-under-load", form: short, on: alone(),
		inject: func(s *scene) {
			for i := range 1 + chosen.stretch()/3 {
				began := time.Now()
				s.servers[i].Signal(s.t, syscall.SIGTERM)
				if err := s.servers[i].Wait(); err != nil || time.Since(began) > 15*time.Second {
					s.t.Errorf("after SIGTERM, the server exited after %v with %v, want 0 within 15 s", time.Since(began), err)
				}
				s.replace(i)
			}
		},
		lift: func(*scene) {},
	},
	{
		name: "signing-keys-rotated-on-both", form: short, on: alone(), during: 200 * time.Millisecond,
		inject: func(s *scene) {
			for range 5 * chosen.stretch() {
				done := make(chan processtest.Answer)
				for _, server := range s.servers {
					go func() { done <- server.Admin(http.MethodPost, "/admin/signing-keys/rotate", `{"compromised":true}`) }()
				}
				for range s.servers {
					if a := <-done; a.Status != http.StatusCreated && a.Status != http.StatusConflict {
						s.t.Errorf("rotate: %d %v %s", a.Status, a.Err, a.Body)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
		},
		lift: func(*scene) {},
	},
	{
		name: "server-stopped-900ms", form: long, on: alone(), during: 300 * time.Millisecond,
		inject: func(s *scene) { s.servers[0].Signal(s.t, syscall.SIGSTOP) },
		lift:   func(s *scene) { s.servers[0].Signal(s.t, syscall.SIGCONT) },
	},
	{
		name: "log-not-read", form: short, on: alone(), during: 2 * time.Second,
		inject: func(s *scene) {
			for _, server := range s.servers {
				s.later = append(s.later, server.Log.Hold())
			}
		},
		lift: func(s *scene) {
			for _, release := range s.later {
				release()
			}
		},
	},
	{
		name: "out-of-file-descriptors", form: long, on: alone(), unavailable: some, during: 500 * time.Millisecond,
		inject: func(s *scene) {
			s.limitFiles(s.servers[0].Usage(s.t).Files + 3)
			s.crowd(100)
		},
		lift: func(s *scene) { s.disperse(); s.limitFiles(1024) },
	},
}

// limitFiles lets the first server have so many files open, by prlimit.
func (s *scene) limitFiles(n int) {
	s.t.Helper()
	out, err := exec.Command("prlimit", "--pid", strconv.Itoa(s.servers[0].PID()), "--nofile="+strconv.Itoa(n)+":").CombinedOutput()
	if err != nil {
		s.t.Fatalf("prlimit: %v: %s", err, out)
	}
}
