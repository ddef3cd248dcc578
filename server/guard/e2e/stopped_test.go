package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sidecar is mintkeep-guard as a process.
type sidecar struct {
	addr    string
	process *os.Process
}

func newSidecar(t *testing.T, b backend, environ ...string) *sidecar {
	t.Helper()
	program := build(t, "../", "./cmd/mintkeep-guard")
	secret := secretFile(t, b.GuardSecret())
	s := &sidecar{addr: freeAddr(t)}
	cmd := exec.Command(program)
	cmd.Env = append(append(os.Environ(), "MINTKEEP_ISSUER="+b.Address(), "MINTKEEP_CLIENT_ID=guard", "MINTKEEP_CLIENT_SECRET_FILE="+secret,
		"MINTKEEP_GUARD_AUDIENCES="+b.KeyAudience(), "MINTKEEP_GUARD_ADDR="+s.addr), environ...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = cmd.Process
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the sidecar is current", func() bool {
		response, err := http.Get("http://" + s.addr + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == 200
	})
	return s
}

// send sends a request and does not wait for its answer.
func (s *sidecar) send(t *testing.T, credential string) (status func() string) {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "GET /verify?scope=read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", credential)
	if err != nil {
		t.Fatal(err)
	}
	return func() string {
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(line)[1]
	}
}

// A guard whose process is stopped for longer than its lease answers rightly when it goes on: also the request that arrived while
// it was stopped.
func TestStoppedProcess(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		s := newSidecar(t, b, "MINTKEEP_GUARD_MAX_STALE=300ms")
		key, kept := b.Key("ada", "read"), b.Key("bob", "read")
		for range 2 {
			for _, k := range []string{key, kept} {
				if got := s.send(t, k)(); got != "200" {
					t.Fatalf("before: %s", got)
				}
			}
		}
		if err := s.process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		b.Revoke("", key)
		time.Sleep(400 * time.Millisecond) // longer than the lease
		revoked, good := s.send(t, key), s.send(t, kept)
		if err := s.process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if got := revoked(); got != "401" {
			t.Errorf("the revoked key: %s", got)
		}
		if got := good(); got != "200" {
			t.Errorf("the other key: %s", got)
		}
	})
}
