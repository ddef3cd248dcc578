package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// openTerminal is a pseudo-terminal: what a person types into, and what a program has as its standard input.
func openTerminal(t *testing.T) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { outside.Close() })
	var number, locked int32
	for request, value := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &locked} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, outside.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no pseudo-terminal: %v", err)
	}
	return outside, inside
}

// A server whose terminal is closed drains and exits: it must not hold its port for a developer who has gone.
func TestHangupOfTerminal(t *testing.T) {
	outside, inside := openTerminal(t)
	log := &processtest.Output{}
	cmd := exec.CommandContext(t.Context(), processtest.Program(t), "serve", "--addr", "127.0.0.1:0", "--metrics-addr", "", "--log-format", "json")
	cmd.Env = []string{"HOME=" + t.TempDir()}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inside, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	inside.Close()
	logs := func(what string) {
		t.Helper()
		processtest.Eventually(t, 20*time.Second, func() bool { return strings.Contains(log.String(), what) }, log.String)
	}
	logs(`"msg":"listening"`)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logs("reloaded the certificate and the settings") // the terminal is still there
	outside.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v, want exit code 0\n%s", err, log)
	}
	logs(`"msg":"stopped"`)
}
