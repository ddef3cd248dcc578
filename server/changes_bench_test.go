package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// BenchmarkChanges is what many guards cost over real connections, in processor time, with what the guards of the benchmark
// cost themselves: a poll that waits, and one change that wakes all of them.
func BenchmarkChanges(b *testing.B) {
	const guards = 1_000
	h, s := wholeServer(b)
	basic, _ := principals(b, s)
	pollsOf(b, h, s, basic)
	hs := httptest.NewServer(h)
	b.Cleanup(hs.Close)
	all := make([]*benchGuard, guards)
	for i := range all {
		c, err := net.Dial("tcp", hs.Listener.Addr().String())
		wellDone(b, err)
		b.Cleanup(func() { _ = c.Close() })
		all[i] = &benchGuard{c: c, r: bufio.NewReader(c), basic: basic}
	}
	round := func(wait int, meanwhile func()) {
		for _, g := range all {
			wellDone(b, g.ask(wait))
		}
		meanwhile()
		for _, g := range all {
			wellDone(b, g.read())
		}
	}
	round(0, func() {})
	b.Run("idle", func(b *testing.B) {
		began := processorTime(b)
		for b.Loop() {
			round(450, func() {})
		}
		b.ReportMetric(float64(processorTime(b)-began)/float64(b.N*guards)/1000, "cpu-µs/poll")
	})
	b.Run("one change", func(b *testing.B) {
		spent := time.Duration(0)
		for b.Loop() {
			round(2000, func() {
				for deadline := time.Now().Add(time.Minute); s.Feed().Status().Waiting < guards; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						b.Fatal("not all wait")
					}
				}
				spent -= processorTime(b)
				wellDone(b, s.DisableClient(context.Background(), "another", store.Cause{}))
			})
			spent += processorTime(b)
		}
		b.ReportMetric(float64(spent)/float64(b.N)/1e6, "cpu-ms/change")
	})
}

// benchGuard is a connection of a guard that costs little itself.
type benchGuard struct {
	c             net.Conn
	r             *bufio.Reader
	basic, cursor string
}

func (g *benchGuard) ask(wait int) error {
	body := fmt.Sprintf(`{"after":%q,"wait":%d,"nonce":%q,"instance":"orders-1","lease":1000,"served":1523,"refused":12,"entries":812,"version":"0.3.0"}`,
		g.cursor, wait, nonce)
	_, err := fmt.Fprintf(g.c, "POST /oauth/changes HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		g.basic, len(body), body)
	return err
}

func (g *benchGuard) read() error {
	length, status := 0, 0
	for {
		line, err := g.r.ReadString('\n')
		if err != nil {
			return err
		}
		_, _ = fmt.Sscanf(line, "HTTP/1.1 %d", &status)
		if text, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			_, _ = fmt.Sscan(text, &length)
		}
		if line == "\r\n" {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(g.r, body); err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%d: %s", status, body)
	}
	_, rest, _ := strings.Cut(string(body), `"cursor":"`)
	g.cursor, _, _ = strings.Cut(rest, `"`)
	return nil
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	wellDone(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
