package processtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// AdminToken is the bearer token for /admin of every server on a Redis.
const AdminToken = "a-token-for-tests-that-is-long-enough"

// Issuer is that of every server on a Redis, wherever it listens.
const Issuer = "http://localhost:8080"

// MasterKey is that of every server on a Redis, and another in each run of the tests.
var MasterKey = func() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}()

// OnRedis is the environment of a server on a Redis. Servers that share one have the same master key.
func OnRedis(url string) []string {
	return []string{
		"MINTKEEP_REDIS_URL=" + url, "MINTKEEP_ISSUER=" + Issuer,
		"MINTKEEP_ADMIN_TOKEN=" + AdminToken, "MINTKEEP_MASTER_KEY=" + MasterKey,
	}
}

// Patience is how long a server may take to come, to become ready or to notice something, on a machine that is busy with
// much else.
const Patience = time.Minute

// Server is a running mintkeep.
type Server struct {
	Caller

	// Log is what it has written to stderr, one JSON object a line.
	Log *Output
	// Stdout is what it has written to stdout: the banner of a server without a Redis.
	Stdout *Output

	metrics string // the URL of its metrics; profiles are beside them

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has exited, and err is set
	err   error
}

// Start runs a server on a free port and waits until it listens. It is killed when the test is over.
func Start(tb testing.TB, environ ...string) *Server {
	tb.Helper()
	s := Launch(tb, environ...)
	s.AwaitListening(tb)
	return s
}

// StartReady is Start, and waits until the server is ready.
func StartReady(tb testing.TB, environ ...string) *Server {
	tb.Helper()
	s := Start(tb, environ...)
	s.AwaitReady(tb)
	return s
}

// Launch runs a server on a free port and waits for nothing.
func Launch(tb testing.TB, environ ...string) *Server {
	tb.Helper()
	return launch(tb, Program(tb), environ...)
}

func launch(tb testing.TB, program string, environ ...string) *Server {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), program, "serve") // it may outlive tb.Context by its cleanups
	s := &Server{Log: &Output{}, Stdout: &Output{}, cmd: cmd, ended: make(chan struct{})}
	s.cmd.Env = append([]string{
		"MINTKEEP_ADDR=127.0.0.1:0", "MINTKEEP_METRICS_ADDR=127.0.0.1:0", "MINTKEEP_LOG_FORMAT=json", "GORACE=halt_on_error=1",
	}, environ...)
	s.cmd.Stdout, s.cmd.Stderr = s.Stdout, s.Log
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	tb.Cleanup(func() { s.Kill() })
	return s
}

var (
	listening = regexp.MustCompile(`"msg":"listening","address":"([^"]+)"`)
	metering  = regexp.MustCompile(`"msg":"metrics","address":"([^"]+)"`)
)

// AwaitListening waits until it does, and notes where.
func (s *Server) AwaitListening(tb testing.TB) {
	tb.Helper()
	Eventually(tb, Patience, func() bool {
		if s.Gone() {
			tb.Fatalf("the server has ended: %v\n%s", s.err, s.Log)
		}
		match := listening.FindStringSubmatch(s.Log.String())
		if match == nil {
			return false
		}
		s.URL = "http://" + match[1]
		if match := metering.FindStringSubmatch(s.Log.String()); match != nil {
			s.metrics = "http://" + match[1]
		}
		return true
	}, s.Log.String)
}

// AwaitReady waits until /readyz says so.
func (s *Server) AwaitReady(tb testing.TB) {
	tb.Helper()
	Eventually(tb, Patience, s.Ready, s.Log.String)
}

// Kill kills it: kill -9. It returns when the process has exited.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// Signal sends it a signal.
func (s *Server) Signal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		tb.Fatal(err)
	}
}

// Gone is whether the process has exited.
func (s *Server) Gone() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// Wait waits until the process has exited, and returns what exec.Cmd.Wait did: nil for exit code 0.
func (s *Server) Wait() error {
	<-s.ended
	return s.err
}

// Eventually polls until ok, and fails the test after limit with what why says.
func Eventually(tb testing.TB, limit time.Duration, ok func() bool, why func() string) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", limit, why())
		}
	}
}

// Output collects what a process writes.
type Output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	gate sync.RWMutex
}

// Hold takes nothing more, like a pipe that is not read, until release is called.
func (o *Output) Hold() (release func()) {
	o.gate.Lock()
	return o.gate.Unlock
}

func (o *Output) Write(p []byte) (int, error) {
	o.gate.RLock()
	defer o.gate.RUnlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
