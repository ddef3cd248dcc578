package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

// asCommand makes a process of the test binary mintkeep-guard.
const asCommand = "TEST_BINARY_IS_MINTKEEP_GUARD"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is mintkeep-guard as a process of its own, on a socket.
type process struct {
	t      *testing.T
	m      *guardtest.Server
	socket string
	cmd    *exec.Cmd
	client *http.Client
}

// newProcess starts a program; empty: this test binary.
func newProcess(t *testing.T, m *guardtest.Server, socket, program string) *process {
	t.Helper()
	p := &process{t: t, m: m, socket: socket, client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(guardtest.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if program == "" {
		program, _ = os.Executable()
	}
	p.cmd = exec.Command(program)
	p.cmd.Env = []string{
		asCommand + "=1", "MINTKEEP_ISSUER=" + m.URL, "MINTKEEP_CLIENT_ID=" + guardtest.ClientID, "MINTKEEP_CLIENT_SECRET_FILE=" + secret,
		"MINTKEEP_GUARD_AUDIENCES=" + orders, "MINTKEEP_GUARD_ADDR=unix:" + socket,
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	for began := time.Now(); p.verify("") != http.StatusUnauthorized; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("it does not answer")
		}
	}
	return p
}

// verify is the status of an answer; 0: there is none.
func (p *process) verify(token string) int {
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://guard/verify?scope=read", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		r.Header = bearer(token)
	}
	response, err := p.client.Do(r)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// A process that was killed leaves its socket behind. The next one replaces it, and ends with 0 when it is told to.
func TestProcess(t *testing.T) {
	m := guardtest.NewServer(t)
	token := m.Token("billing", orders, "read")
	socket := filepath.Join(t.TempDir(), "guard.sock")
	first := newProcess(t, m, socket, "")
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()
	if _, err := os.Stat(socket); err != nil {
		t.Fatal("the killed process left no socket: the test shows nothing")
	}
	second := newProcess(t, m, socket, "")
	if got := second.verify(token); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("the socket is %v %v", info.Mode(), err)
	}
	if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
