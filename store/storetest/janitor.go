package storetest

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// workplace is the directory that this test binary's servers have their directories in.
var workplace = sync.OnceValues(openWorkplace)

type place struct {
	dir   string
	input *os.File // of the janitor: never written to, and kept from the garbage collector, who would close it
}

// workDir makes a directory for one server.
func workDir() (string, error) {
	w, err := workplace()
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(w.dir, "server-")
}

// janitor waits for the end of its standard input, which comes when this process ends, be it by a panic
// or by SIGKILL; then it kills the servers that were left behind and removes their files. It ignores the
// signals by which a terminal ends everybody at once.
const janitor = `trap '' HUP INT TERM
cat >/dev/null
for f in "$0"/*/` + pidFile + `; do
	[ -f "$f" ] && kill -9 "$(cat "$f")" 2>/dev/null
done
rm -rf -- "$0"`

// pidFile is where a server says what its process is.
const pidFile = "redis.pid"

func openWorkplace() (*place, error) {
	dir, err := os.MkdirTemp("", "mintkeep-storetest-")
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", janitor, dir)
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("janitor: %w", err)
	}
	return &place{dir, w}, cmd.Process.Release()
}
