package processtest

import (
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

// ticksPerSecond is the unit of /proc/PID/stat, on every Linux that Go runs on.
const ticksPerSecond = 100

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
	const utime, stime, rss = 11, 12, 21 // counted from the field behind the name
	user, err1 := strconv.ParseInt(fields[utime], 10, 64)
	system, err2 := strconv.ParseInt(fields[stime], 10, 64)
	pages, err3 := strconv.ParseInt(fields[rss], 10, 64)
	files, err4 := os.ReadDir(dir + "fd")
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return u, err
		}
	}
	return Usage{
		CPU:      time.Duration(user+system) * time.Second / ticksPerSecond,
		Resident: pages * int64(os.Getpagesize()),
		Files:    len(files),
	}, nil
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
