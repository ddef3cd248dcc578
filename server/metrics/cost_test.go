package metrics_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/metrics"
)

// TestCardinality throws hostile values at every label from many goroutines: the
// number of series stays small, and no call goes uncounted.
func TestCardinality(t *testing.T) {
	const calls, workers = 100_000, 4
	m := metrics.New(metrics.Sources{})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			for range calls / workers {
				junk := strconv.FormatUint(rnd.Uint64(), 36)
				m.Request("/"+junk, junk, rnd.IntN(1000), time.Duration(rnd.IntN(int(time.Second))))
				m.TokenIssued(junk)
				m.TokenRefused(junk)
				m.Redis(junk, time.Millisecond, errors.New(junk))
			}
		})
	}
	wg.Wait()

	got := scrape(t, m)
	for prefix, limit := range map[string]int{
		"mintkeep_http_requests_total":                 5001,
		"mintkeep_http_request_duration_seconds_count": 201,
		"mintkeep_tokens_issued_total":                 3,
		"mintkeep_tokens_refused_total":                11,
		"mintkeep_redis_command_duration_seconds_cou":  1,
		"mintkeep_redis_errors_total":                  1,
	} {
		lines := samples(got, prefix)
		if len(lines) > limit {
			t.Errorf("%s: got %d series, want at most %d", prefix, len(lines), limit)
		}
		if total := sum(t, lines); total != calls {
			t.Errorf("%s: got %d counted, want %d", prefix, total, calls)
		}
	}
	if limit := 1 << 20; len(got) > limit {
		t.Errorf("scrape: got %d bytes, want at most %d", len(got), limit)
	}
}

func sum(t *testing.T, lines []string) (total int) {
	t.Helper()
	for _, line := range lines {
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		total += int(v)
	}
	return total
}

func TestHotPathAllocatesNothing(t *testing.T) {
	m := metrics.New(metrics.Sources{})
	got := testing.AllocsPerRun(1000, func() {
		m.Request("/oauth/token", "POST", 200, 300*time.Microsecond)
		m.TokenIssued("jwt")
		m.TokenRefused("invalid_scope")
		m.Introspected(true)
		m.Redis("get", 80*time.Microsecond, nil)
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkRequest(b *testing.B) {
	m := metrics.New(metrics.Sources{})
	// The table as it stands after a while in production.
	for i := range 25 {
		for _, status := range []int{200, 400, 401, 404, 405, 413, 415, 429, 503} {
			m.Request(fmt.Sprintf("/admin/route/%d", i), "POST", status, time.Millisecond)
		}
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Request("/oauth/token", "POST", 200, 300*time.Microsecond)
		}
	})
}

func BenchmarkRedis(b *testing.B) {
	m := metrics.New(metrics.Sources{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Redis("get", 80*time.Microsecond, nil)
		}
	})
}

func BenchmarkTokenIssued(b *testing.B) {
	m := metrics.New(metrics.Sources{})
	for b.Loop() {
		m.TokenIssued("jwt")
	}
}
