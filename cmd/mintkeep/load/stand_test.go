package load

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// stand is a server on a Redis, with the principals that a load uses.
type stand struct {
	tb     testing.TB
	server *processtest.Server
	redis  *storetest.Server
	pid    int // of the redis-server

	client string // the Authorization header of a client that may issue and introspect
	user   string // the id of the owner of
	key    string // an API key
}

// newStand starts a server on a running Redis.
func newStand(tb testing.TB, redis *storetest.Server, environ ...string) *stand {
	tb.Helper()
	return newStandAt(tb, redis, redis.URL(), environ...)
}

// newStandAt is newStand for a server that sees the Redis at another address.
func newStandAt(tb testing.TB, redis *storetest.Server, url string, environ ...string) *stand {
	tb.Helper()
	return newStandOf(tb, processtest.Program(tb), redis, url, environ...)
}

// newStandOf is newStandAt for another program.
func newStandOf(tb testing.TB, program string, redis *storetest.Server, url string, environ ...string) *stand {
	tb.Helper()
	s := &stand{tb: tb, redis: redis, pid: pidOf(tb, redis)}
	s.server = processtest.StartQuiet(tb, program, append(processtest.OnRedis(url), environ...)...)
	s.client = s.server.Register(tb, `{"scope":"read mintkeep:introspect"}`)
	email := fmt.Sprintf("load-%d@example.com", time.Now().UnixNano())
	s.user = s.server.Admin(http.MethodPost, "/admin/users", `{"email":"`+email+`"}`).Member(tb, http.StatusCreated, "id")
	s.key = s.server.Admin(http.MethodPost, "/admin/users/"+s.user+"/keys", `{"name":"load","scope":"read"}`).
		Member(tb, http.StatusCreated, "key")
	return s
}

// addr is where the server listens.
func (s *stand) addr() string { return strings.TrimPrefix(s.server.URL, "http://") }

func pidOf(tb testing.TB, redis *storetest.Server) (pid int) {
	tb.Helper()
	info, err := redis.Do("INFO", "server")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(info.(string), "process_id:")
	if _, err := fmt.Sscan(rest, &pid); err != nil {
		tb.Fatalf("INFO names no process: %v", err)
	}
	return pid
}

// cost is the processor time that a load took, in milliseconds a request.
type cost struct{ server, redis float64 }

func (c cost) total() float64 { return c.server + c.redis }

// measure runs a load and says what it cost. The servers are those on the stand.
func (s *stand) measure(load func() *outcome) (*outcome, cost) {
	s.tb.Helper()
	server, redis := s.server.Usage(s.tb).CPU, s.redisUsage().CPU
	o := load()
	return o, perRequest(o, s.server.Usage(s.tb).CPU-server, s.redisUsage().CPU-redis)
}

// perRequest divides what was used by the number of answers.
func perRequest(o *outcome, server, redis time.Duration) cost {
	n := float64(len(o.good)+len(o.rejected)) * float64(time.Millisecond)
	return cost{float64(server) / n, float64(redis) / n}
}

func (s *stand) redisUsage() processtest.Usage {
	s.tb.Helper()
	u, err := processtest.UsageOf(s.pid)
	if err != nil {
		s.tb.Fatal(err)
	}
	return u
}
