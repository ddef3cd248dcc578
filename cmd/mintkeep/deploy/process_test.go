package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// recipes is where the files are that are tested.
const recipes = "../../../docs/deploy"

func TestMain(m *testing.M) { processtest.Main(m) }

// find is the path of a program; the test is skipped where it is not installed, or fails where it has to be.
func find(t *testing.T, name string) string {
	t.Helper()
	for _, at := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(at); err == nil {
			return path
		}
	}
	tool, _, _ := strings.Cut(name, "-") // redis-cli is of redis
	if strings.Contains(os.Getenv("MINTKEEP_TEST_REQUIRE"), tool) {
		t.Fatalf("%s is not installed, and MINTKEEP_TEST_REQUIRE asks for it", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// process is a program that runs until the test is over.
type process struct {
	*exec.Cmd
	out   processtest.Output // stdout and stderr
	ended chan struct{}
}

func start(t *testing.T, environ, argv []string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	p.Env, p.Stdout, p.Stderr = environ, &p.out, &p.out
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill kills it and its children, and returns when it has exited.
func (p *process) kill() {
	_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
