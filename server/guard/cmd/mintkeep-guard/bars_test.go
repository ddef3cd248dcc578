package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard/guardtest"
)

var bars = flag.Bool("bars", false, "measure, on a machine that has nothing else to do")

// What mintkeep-guard needs at rest with 10,000 credentials in memory: 15 MiB, and 0.3 % of a processor.
func TestBarsOfTheProcess(t *testing.T) {
	if !*bars {
		t.Skip("it measures: see -bars")
	}
	program := filepath.Join(t.TempDir(), "mintkeep-guard")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	m := guardtest.NewServer(t)
	p := newProcess(t, m, filepath.Join(t.TempDir(), "guard.sock"), program)
	const entries, callers, rest = 10_000, 8, time.Minute
	tokens := make([]string, entries)
	for i := range tokens {
		tokens[i] = m.Token(fmt.Sprintf("client-%d", i%100), orders, "read")
	}
	var all sync.WaitGroup
	for caller := range callers {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := caller; i < entries; i += callers {
				if got := p.verify(tokens[i]); got != http.StatusOK {
					t.Errorf("token %d: %d", i, got)
				}
			}
		}()
	}
	all.Wait()
	busy := p.rss()
	before := p.processor()
	time.Sleep(rest)
	share, rss := float64(p.processor()-before)/float64(rest), p.rss()
	t.Logf("binary %.1f MB; %d credentials: %.1f MiB resident, %.1f at rest; at rest %.2f %% of a processor",
		float64(info.Size())/1e6, entries, float64(busy)/(1<<20), float64(rss)/(1<<20), 100*share)
	if info.Size() > 10e6 || rss > 15<<20 || share > 0.003 {
		t.Error("more than 10 MB, 15 MiB or 0.3 %")
	}
}

// rss is the resident memory of the process, in bytes.
func (p *process) rss() int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return kib << 10
}

// processor is the processor time of the process.
func (p *process) processor() time.Duration {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from the third one on, proc(5)
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// What nginx with the sidecar adds to a request, of one caller: the same service behind the same nginx, with a check and
// without, by turns.
func TestBarsOfNginx(t *testing.T) {
	if !*bars {
		t.Skip("it measures: see -bars")
	}
	gw := newGateway(t, "nginx")
	path := filepath.Join(gw.folder, gw.file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const place = "        location /orders/ {"
	open := "        location /open/ {\n            proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n            proxy_pass http://orders;\n        }\n"
	if err := os.WriteFile(path, bytes.Replace(text, []byte(place), []byte(open+place), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := gw.reload(gw); err != nil {
		t.Fatal(err)
	}
	token := gw.m.Token("billing", orders, "read")
	gw.eventually("the reload", func() bool {
		a, err := gw.ask(http.DefaultClient, "GET", "/open/", token)
		return err == nil && a.StatusCode == 200
	})
	const requests = 5_000
	took := map[string][]time.Duration{}
	for i := range requests + 500 {
		for _, path := range []string{"/open/", "/orders/"} {
			began := time.Now()
			gw.want(200, "GET", path, token)
			if i >= 500 {
				took[path] = append(took[path], time.Since(began))
			}
		}
	}
	median := func(path string) time.Duration {
		slices.Sort(took[path])
		return took[path][requests/2]
	}
	without, with := median("/open/"), median("/orders/")
	t.Logf("p50 without a check %v, with one %v: %v more", without, with, with-without)
	if with-without > 400*time.Microsecond {
		t.Error("more than 0.4 ms")
	}
}
