package processtest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var (
	place      string // where the program is built; created by Main
	build      = sync.OnceValues(buildProgram)
	buildGuard = sync.OnceValues(buildGuardProgram)
)

// Main runs the tests and removes what was built for them.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mintkeep-processtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	place = dir
	return m.Run()
}

func buildProgram() (string, error) {
	if err := rememberSources(); err != nil {
		return "", err
	}
	program := filepath.Join(place, "mintkeep")
	args := []string{"build", "-o", program} // by the same flags as go build ./..., and so from its cache
	if raceDetector {
		args = append(args, "-race")
	}
	args = append(args, "github.com/mintkeep/mintkeep/cmd/mintkeep")
	out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput() //nolint:gosec // our own words
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
}

// buildGuardProgram builds mintkeep-guard, which is in a module of its own.
func buildGuardProgram() (string, error) {
	if err := rememberSources(); err != nil {
		return "", err
	}
	mod, err := exec.CommandContext(context.Background(), "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	program := filepath.Join(place, "mintkeep-guard")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", program, "./cmd/mintkeep-guard") //nolint:gosec // our own words
	cmd.Dir = filepath.Join(filepath.Dir(string(mod)), "server", "guard")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
}

// rememberSources opens every source file of the module. The cache of test results knows which files a test has opened,
// and not which ones the compiler has; without this, a test of a changed server would be answered from the cache.
func rememberSources() error {
	mod, err := exec.CommandContext(context.Background(), "go", "env", "GOMOD").Output()
	if err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Dir(string(mod)), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}

// UseCommand makes the program the command of this name on the PATH, and builds none. There testscript.Main puts the
// test binary itself. It is for TestMain, in place of [Main].
func UseCommand(name string) {
	build = func() (string, error) { return exec.LookPath(name) }
}

// Program is the path of the program: the one that was built, or the command.
func Program(tb testing.TB) string {
	tb.Helper()
	path, err := build()
	if err != nil {
		tb.Fatalf("no mintkeep to run: %v", err)
	}
	return path
}

// Guard is the path of mintkeep-guard, which is built once.
func Guard(tb testing.TB) string {
	tb.Helper()
	path, err := buildGuard()
	if err != nil {
		tb.Fatalf("no mintkeep-guard to run: %v", err)
	}
	return path
}
