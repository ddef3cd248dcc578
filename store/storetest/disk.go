package storetest

import (
	"os/exec"
	"strconv"
	"time"
)

// launcher runs redis-server so that a file that may not grow is an error to it, as on a full disk, and not its end.
const launcher = `trap '' XFSZ; exec redis-server "$@"`

// FillDisk lets no file of the running server grow beyond so many bytes: what it writes further fails with EFBIG.
// The test is skipped where prlimit is not installed.
func (s *Server) FillDisk(bytes int) {
	s.t.Helper()
	s.limitFiles(strconv.Itoa(bytes))
}

// FreeDisk takes back [Server.FillDisk].
func (s *Server) FreeDisk() { s.t.Helper(); s.limitFiles("unlimited") }

func (s *Server) limitFiles(soft string) {
	s.t.Helper()
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		s.t.Skip("prlimit is not installed")
	}
	out, err := exec.Command(prlimit, "--pid", strconv.Itoa(s.pid()), "--fsize="+soft+":").CombinedOutput()
	if err != nil {
		s.t.Fatalf("prlimit: %v: %s", err, out)
	}
}

// FailSync has every fsync of the running server fail, by strace. The test is skipped where that is not installed or
// may not trace. The server is on its own again when it is killed.
func (s *Server) FailSync() {
	s.t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		s.t.Skip("strace is not installed")
	}
	cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(s.pid()),
		"-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO")
	if err := cmd.Start(); err != nil {
		s.t.Skipf("strace: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	select {
	case err := <-ended:
		if err != nil {
			s.t.Skipf("strace may not trace here: %v", err)
		} // else it ended with the server
	case <-time.After(300 * time.Millisecond): // it says nothing when it has attached
	}
}

// Dead is whether the process has ended by itself. After that, [Server.Start] runs it again.
func (s *Server) Dead() bool {
	select {
	case <-s.p.exited:
		return true
	default:
		return false
	}
}

// AwaitDeath waits until the server has ended by itself.
func (s *Server) AwaitDeath() {
	s.t.Helper()
	select {
	case <-s.p.exited:
		s.p.gone()
	case <-time.After(patience):
		s.t.Fatalf("redis-server has not ended by itself within %v", patience)
	}
}

func (s *Server) pid() int { return s.p.cmd.Process.Pid }
