package load

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// crowd is how many connections an overload may keep waiting.
const crowd = 6_000

// Twice the capacity of the server, from callers that do not wait for answers: it answers what it accepts in time, rejects
// the rest at once, and stays ready.
//
// The server and its Redis have one processor to themselves, where there are two and taskset, so that their work is not
// that of the clients.
func TestOverload(t *testing.T) {
	wanted(t, "overload")
	environ, apart := apart(t)
	s := newStand(t, storetest.Redis(t), environ...)
	apart(s)
	peak := closed(t, s.addr(), 256, *lasts, s.issue())
	peak.served(t)
	report := newTable("offered|of the peak|answered/s|of the peak|p50 ms|p99 ms|rejected/s|p50 ms|p99 ms|readyz, slowest ms")
	defer report.print()
	report.add("%.0f, closed|1|%.0f|1|%s|%s||||", peak.perSecond(), peak.perSecond(), ms(percentile(peak.good, 50)), ms(percentile(peak.good, 99)))
	for _, factor := range []float64{0.5, 1, 1.5, 2} {
		rate := factor * peak.perSecond()
		probed := probe(s, *lasts)
		o := open(t, s.addr(), crowd, rate, *lasts, s.issue())
		slowest := <-probed
		report.add("%.0f|%.1f|%.0f|%.2f|%s|%s|%.0f|%s|%s|%s", rate, factor, o.perSecond(), o.perSecond()/peak.perSecond(),
			ms(percentile(o.good, 50)), ms(percentile(o.good, 99)),
			float64(len(o.rejected))/o.took.Seconds(), ms(percentile(o.rejected, 50)), ms(percentile(o.rejected, 99)), ms(slowest))
		if o.wrong > 0 || slowest < 0 {
			t.Errorf("at %.1f of the peak: %d wrong answers, such as %v; readyz answered always: %v", factor, o.wrong, o.first, slowest >= 0)
		}
	}
}

// probe asks /readyz ten times a second and tells how long the slowest answer took; -1 if one said no.
func probe(s *stand, d time.Duration) <-chan time.Duration {
	slowest := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for began := time.Now(); time.Since(began) < d; time.Sleep(100 * time.Millisecond) {
			a := s.server.Get("/readyz")
			if a.Status != 200 {
				most = -1
				break
			}
			most = max(most, a.Took)
		}
		slowest <- most
	}()
	return slowest
}

// apart gives the server and its Redis one processor, and the clients another: what to start it with, and what to do then.
func apart(t *testing.T) (environ []string, then func(*stand)) {
	t.Helper()
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Log("no taskset: the clients share the server's processors")
		return nil, func(*stand) {}
	}
	return []string{"GOMAXPROCS=1"}, func(s *stand) {
		for pid, processor := range map[int]string{s.server.PID(): "0", s.pid: "0", os.Getpid(): "1"} {
			if out, err := exec.Command("taskset", "-a", "-c", "-p", processor, strconv.Itoa(pid)).CombinedOutput(); err != nil {
				t.Logf("taskset: %v: %s", err, out)
			}
		}
		t.Cleanup(func() {
			_ = exec.Command("taskset", "-a", "-c", "-p", "0-63", strconv.Itoa(os.Getpid())).Run()
		})
	}
}
