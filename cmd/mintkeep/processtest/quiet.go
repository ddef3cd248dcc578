package processtest

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// StartQuiet runs a server that logs warnings only, as one under load would, and waits until it is ready.
// program is [Program] or [Shipped].
func StartQuiet(tb testing.TB, program string, environ ...string) *Server {
	tb.Helper()
	s := LaunchQuiet(tb, program, environ...)
	s.AwaitReady(tb)
	return s
}

// LaunchQuiet is StartQuiet and waits for nothing. The ports are chosen beforehand, since the log does not tell.
func LaunchQuiet(tb testing.TB, program string, environ ...string) *Server {
	tb.Helper()
	addr, metrics := storetest.FreeAddr(tb), storetest.FreeAddr(tb)
	s := launch(tb, program, append([]string{
		"MINTKEEP_LOG_LEVEL=warn", "MINTKEEP_ADDR=" + addr, "MINTKEEP_METRICS_ADDR=" + metrics,
	}, environ...)...)
	s.URL, s.metrics = "http://"+addr, "http://"+metrics
	return s
}

// Shipped builds the program as it is shipped and returns its path.
func Shipped(tb testing.TB) string {
	tb.Helper()
	program := filepath.Join(tb.TempDir(), "mintkeep")
	mod, err := exec.CommandContext(tb.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		tb.Fatal(err)
	}
	build := filepath.Join(filepath.Dir(string(mod)), ".ci", "build")
	if out, err := exec.CommandContext(tb.Context(), build, program).CombinedOutput(); err != nil { //nolint:gosec // our own script
		tb.Fatalf("%s: %v\n%s", build, err, out)
	}
	return program
}

// PID is that of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Metrics is the URL of the server's metrics, and of its profiles.
func (s *Server) Metrics() string { return s.metrics }
