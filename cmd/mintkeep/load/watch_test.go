package load

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The gauges that a soak is watched by. Each may grow by a share, and by what does not matter.
var gauges = []struct {
	name  string
	share float64
	slack float64
}{
	{"memory MiB", 0.15, 5},
	{"heap MiB", 0.25, 5},
	{"goroutines", 0.20, 10},
	{"files", 0.20, 10},
	{"Redis keys", 0.10, 500},
	{"Redis MiB", 0.10, 3}, // the log of refusals is filling up to its bound
}

// watcher reads the gauges while something runs.
type watcher struct {
	stand   *stand
	samples [][]float64
	done    chan struct{}
}

// looks is how many samples a watcher takes.
const looks = 20

func watch(s *stand, d time.Duration) *watcher {
	w := &watcher{stand: s, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for range looks {
			time.Sleep(d/looks - 10*time.Millisecond)
			w.samples = append(w.samples, w.look())
		}
	}()
	return w
}

func (w *watcher) look() []float64 {
	s := w.stand
	u := s.server.Usage(s.tb)
	keys, _ := s.redis.Do("DBSIZE")
	info, _ := s.redis.Do("INFO", "memory")
	var used float64
	if text, ok := info.(string); ok {
		_, rest, _ := strings.Cut(text, "used_memory:")
		_, _ = fmt.Sscan(rest, &used)
	}
	n, _ := keys.(int64)
	return []float64{
		float64(u.Resident) / (1 << 20), s.server.Metric(s.tb, "go_memstats_heap_inuse_bytes") / (1 << 20),
		float64(s.server.Goroutines(s.tb)), float64(u.Files), float64(n), used / (1 << 20),
	}
}

// verdict prints the samples and fails the test if a gauge has grown more than it may from the second quarter to the second half: in
// the first quarter everything finds its level.
func (w *watcher) verdict(t *testing.T) {
	t.Helper()
	<-w.done
	var names []string
	for _, g := range gauges {
		names = append(names, g.name)
	}
	report := newTable("sample|" + strings.Join(names, "|"))
	for i, sample := range w.samples {
		cells := []string{fmt.Sprint(i + 1)}
		for _, v := range sample {
			cells = append(cells, fmt.Sprintf("%.1f", v))
		}
		report.row(cells)
	}
	report.print()
	for i, g := range gauges {
		early, late := w.mean(i, looks/4, looks/2), w.mean(i, looks/2, looks)
		if late > early*(1+g.share)+g.slack {
			t.Errorf("%s: %.1f in the second half, %.1f before", g.name, late, early)
		}
	}
}

func (w *watcher) mean(gauge, from, to int) (sum float64) {
	for _, sample := range w.samples[from:to] {
		sum += sample[gauge]
	}
	return sum / float64(to-from)
}
