package processtest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Usage is what a process uses of the machine, from /proc.
type Usage struct {
	CPU      time.Duration // since its start
	Resident int64         // bytes
	Files    int           // open descriptors, sockets included
}

// Usage reads what the server uses at this moment.
func (s *Server) Usage(tb testing.TB) Usage {
	tb.Helper()
	u, err := UsageOf(s.cmd.Process.Pid)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// Metric is the value of a series of the server's metrics, by its name and labels as they are written there.
func (s *Server) Metric(tb testing.TB, series string) float64 {
	tb.Helper()
	a := Caller{URL: s.metrics}.Get("/metrics")
	for line := range strings.Lines(a.Body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				return v
			}
		}
	}
	tb.Fatalf("the metrics have no %s: %v", series, a.Err)
	return 0
}

// Goroutines is how many there are in the server.
func (s *Server) Goroutines(tb testing.TB) int {
	tb.Helper()
	return int(s.Metric(tb, "go_goroutines"))
}

// UsageOf is the same of any process.
func UsageOf(pid int) (u Usage, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	// The name of the program, in parentheses, may have spaces.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const rss = 21 // counted from the field behind the name
	pages, err1 := strconv.ParseInt(fields[rss], 10, 64)
	files, err2 := os.ReadDir(dir + "fd")
	cpu, err3 := processorTime(pid)
	return Usage{CPU: cpu, Resident: pages * int64(os.Getpagesize()), Files: len(files)}, errors.Join(err1, err2, err3)
}

// Live collects garbage in the server, and is how many bytes its live objects and its stacks take. The server runs with
// MINTKEEP_PPROF=true.
func (s *Server) Live(tb testing.TB) int64 {
	tb.Helper()
	if a := (Caller{URL: s.metrics}).Get("/debug/pprof/heap?gc=1"); !a.Is(http.StatusOK) {
		tb.Fatalf("collect garbage: %d %v", a.Status, a.Err)
	}
	return int64(s.Metric(tb, "go_memstats_heap_alloc_bytes") + s.Metric(tb, "go_memstats_stack_inuse_bytes"))
}
