package storetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server process. A test may do to it what it likes if it is its own, made by [Redis],
// [Cluster] or [Sentinel]. Methods fail the test when they cannot do as they say.
type Server struct {
	t testing.TB
	p *process
}

// Redis starts a redis-server for this test alone. It persists nothing, unless the args for its command
// line say so: "--appendonly", "yes".
func Redis(t testing.TB, args ...string) *Server { return private(t, standalone, args...) }

// Cluster is [Redis] with a cluster of one node, which has every slot.
func Cluster(t testing.TB, args ...string) *Server { return private(t, cluster, args...) }

// Sentinel starts a Sentinel that watches primary, under the name "mintkeep".
func Sentinel(t testing.TB, primary *Server) *Server {
	return private(t, sentinel, fmt.Sprintf("sentinel monitor mintkeep 127.0.0.1 %d 1", primary.p.port.number))
}

func private(t testing.TB, k kind, args ...string) *Server {
	t.Helper()
	needRedis(t)
	p, err := newProcess(k, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.remove)
	return &Server{t, p}
}

// needRedis skips the test where redis-server is not installed, or fails it where it has to be.
func needRedis(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return
	}
	if required("redis") {
		t.Fatal("redis-server is not installed, and MINTKEEP_TEST_REQUIRE asks for it")
	} else {
		t.Skip("redis-server is not installed")
	}
}

// URL is what MINTKEEP_REDIS_URL would be.
func (s *Server) URL() string {
	switch s.p.kind {
	case cluster:
		return "redis+cluster://" + s.p.addr()
	case sentinel:
		return "redis+sentinel://" + s.p.addr() + "/mintkeep"
	default:
		return "redis://" + s.p.addr()
	}
}

// Addr is the server's host:port.
func (s *Server) Addr() string { return s.p.addr() }

// Stop ends the server as an operator would, and waits until it has gone.
func (s *Server) Stop() { s.t.Helper(); s.must(s.p.end(syscall.SIGTERM)) }

// Kill ends the server without notice: kill -9.
func (s *Server) Kill() { s.t.Helper(); s.must(s.p.end(syscall.SIGKILL)) }

// Start runs a stopped or killed server again, on the same port and with what it had persisted.
func (s *Server) Start() { s.t.Helper(); s.must(s.p.start()) }

// Freeze holds the server: connections to it stay, and are made, but nothing is answered.
func (s *Server) Freeze() { s.t.Helper(); s.must(s.p.freeze(true)) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.t.Helper(); s.must(s.p.freeze(false)) }

// Config sets a parameter of the running server, until the test is over.
func (s *Server) Config(name, value string) {
	s.t.Helper()
	ctx := context.Background()
	was, err := s.p.rdb.ConfigGet(ctx, name).Result()
	s.must(err)
	s.must(s.p.rdb.ConfigSet(ctx, name, value).Err())
	s.t.Cleanup(func() {
		if s.p.running() && !s.p.frozen {
			s.must(s.p.rdb.ConfigSet(ctx, name, was[name]).Err())
		}
	})
}

// Do sends one command, as redis-cli would, and returns the reply.
func (s *Server) Do(args ...any) (any, error) {
	return s.p.rdb.Do(context.Background(), args...).Result()
}

// Client is a connection to the server that nothing watches.
func (s *Server) Client() *redis.Client { return s.p.rdb }

// Backend makes the server the backend of stores.
func (s *Server) Backend(t testing.TB) *Backend {
	b := newBackend(t, string(s.p.kind))
	b.Server = s
	b.Clock.OnAdvance(b.ageServer)
	return b
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// required is whether MINTKEEP_TEST_REQUIRE, a list, has what.
func required(what string) bool {
	list := strings.FieldsFunc(os.Getenv("MINTKEEP_TEST_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' })
	return slices.Contains(list, what)
}
