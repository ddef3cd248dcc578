package storetest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLeaveBehind is what TestJanitor runs in a process of its own: it starts a server and exits without stopping it.
func TestLeaveBehind(t *testing.T) {
	way := os.Getenv("STORETEST_LEAVE_BY")
	if way == "" {
		return
	}
	srv := Redis(t)
	fmt.Printf("\nserver %s %s\n", srv.Addr(), filepath.Dir(srv.p.dir))
	switch way {
	case "exit":
		os.Exit(3)
	case "panic":
		done := make(chan struct{})
		go func() { panic("as meant") }()
		<-done
	default:
		select {}
	}
}

func TestJanitor(t *testing.T) {
	needRedis(t)
	t.Parallel()
	for _, way := range []string{"exit", "panic", "kill"} {
		t.Run(way, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestLeaveBehind$")
			cmd.Env = append(os.Environ(), "STORETEST_LEAVE_BY="+way)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var addr, dir string
			for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
				if rest, ok := strings.CutPrefix(lines.Text(), "server "); ok {
					addr, dir, _ = strings.Cut(rest, " ")
				}
			}
			if dir == "" {
				t.Fatal("no server")
			}
			if way == "kill" {
				_ = cmd.Process.Kill()
			}
			_ = cmd.Wait()

			for deadline := time.Now().Add(patience); !gone(addr, dir); <-time.After(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("the server at %s or its files in %s are still there", addr, dir)
				}
			}
		})
	}
}

func gone(addr, dir string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		_ = conn.Close()
		return false
	}
	_, err = os.Stat(dir)
	return os.IsNotExist(err)
}

// verdict is a testing.TB that notes how the test is ended.
type verdict struct {
	testing.TB
	how string
}

func (v *verdict) Helper()      {}
func (v *verdict) Skip(...any)  { v.how += "skipped" }
func (v *verdict) Fatal(...any) { v.how += "failed" }

func TestWithoutRedisServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for require, want := range map[string]string{
		"": "skipped", "browser": "skipped", "redis": "failed", "browser, redis": "failed",
	} {
		t.Setenv("MINTKEEP_TEST_REQUIRE", require)
		v := &verdict{TB: t}
		needRedis(v)
		if v.how != want {
			t.Errorf("MINTKEEP_TEST_REQUIRE=%q: %s, want %s", require, v.how, want)
		}
	}
}
