package load

import (
	"fmt"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store/storetest"
)

// guardCount is how many guards poll, and changeRate how many revocations there are in a second.
const (
	guardCount = 1_000
	changeRate = 100
)

// A thousand guards on two servers: what they cost when nothing happens, what one revocation costs that all are told of, how
// fast a hundred a second reach them, and that no guard is stale when one server goes away.
func TestGuards(t *testing.T) {
	wanted(t, "guards")
	redis := storetest.Redis(t)
	a, b := newStand(t, redis, "MINTKEEP_PPROF=true"), newStand(t, redis)
	single := 20
	r := newRevoked(a.tokens(single + int(changeRate*lasts.Seconds())))
	cpu := func() time.Duration { return a.server.Usage(t).CPU + b.server.Usage(t).CPU }
	resident, live := a.server.Usage(t).Resident, a.server.Live(t)
	g := startGuards(t, guardCount, a.client, r, a.addr(), b.addr())
	report := newTable("what|value|wanted")
	defer report.print()

	g.forget()
	before := cpu()
	time.Sleep(*lasts)
	idle := (cpu() - before).Seconds() / lasts.Seconds()
	polls, _ := g.sum(func(it *guard) int { return it.polls })
	report.add("idle, cores of both servers|%.3f|0.2", idle)
	report.add("idle, polls a second|%.0f|", float64(polls)/lasts.Seconds())
	report.add("idle, µs a poll|%.0f|", idle*lasts.Seconds()/float64(polls)*1e6)
	perGuard := func(bytes int64) float64 { return float64(bytes) / 1024 / (guardCount / 2) }
	report.add("resident memory, KiB a waiting guard|%.1f|", perGuard(a.server.Usage(t).Resident-resident))
	report.add("without garbage|%.1f|64", perGuard(a.server.Live(t)-live))

	before, began := cpu(), time.Now()
	for i := range single {
		a.revoke(r, i)
		g.await("was not told", func(it *guard) bool { return it.learnt[i] })
		time.Sleep(250 * time.Millisecond)
	}
	each := ((cpu() - before).Seconds() - idle*time.Since(began).Seconds()) / float64(single)
	report.add("one revocation to all, ms of processor|%.0f|80", each*1000)

	g.forget()
	before, began = cpu(), time.Now()
	a.revokeAt(changeRate, r, single)
	busy := (cpu() - before).Seconds() / time.Since(began).Seconds()
	g.await("was not told of all", func(it *guard) bool { return !hasFalse(it.learnt) })
	p50, p99, most, told := g.propagation()
	late, _ := g.sum(func(it *guard) int { return it.late })
	_, oldest := g.sum(func(it *guard) int { return int(it.oldest.Milliseconds()) })
	report.add("%d revocations a second, cores of both servers|%.2f|", changeRate, busy)
	report.add("told, of %d|%d|", guardCount*len(r.tokens), told)
	report.add("until told, p50 ms|%d|120", p50)
	report.add("p99 ms|%d|400", p99)
	report.add("slowest ms|%d|", most)
	report.add("a guard that answered from memory too long|%d|0", late)
	report.add("oldest that a guard knew, ms|%d|1000", oldest)
	if late > 0 {
		t.Errorf("%d times a guard answered from memory too long", late)
	}

	g.forget()
	began = time.Now()
	b.server.Signal(t, syscall.SIGTERM)
	err := b.server.Wait()
	took := time.Since(began)
	time.Sleep(lease)
	_, oldest = g.sum(func(it *guard) int { return int(it.oldest.Milliseconds()) })
	report.add("SIGTERM to one server until its end, s|%.1f|15", took.Seconds())
	report.add("oldest that a guard knew meanwhile, ms|%d|1000", oldest)
	resets, _ := g.sum(func(it *guard) int { return it.resets })
	report.add("resets in all|%d|%d", resets, guardCount)
	if err != nil || took > 15*time.Second {
		t.Errorf("the server ended after %v: %v", took, err)
	}
	for _, it := range g.all {
		if it.first != nil {
			report.add("such as|%v|", it.first)
			break
		}
	}
}

func hasFalse(all []bool) bool {
	for _, is := range all {
		if !is {
			return true
		}
	}
	return false
}

// tokens issues so many.
func (s *stand) tokens(n int) []string {
	s.tb.Helper()
	w, err := dial(s.addr())
	if err != nil {
		s.tb.Fatal(err)
	}
	defer w.close()
	all := make([]string, n)
	for i := range all {
		a, err := w.ask(s.issue()(uint64(i)).request)
		if err != nil {
			s.tb.Fatal(err)
		}
		token, err := issued(a)
		if err != nil {
			s.tb.Fatal(err)
		}
		all[i] = string(token)
	}
	return all
}

// revoke revokes the token with a number.
func (s *stand) revoke(r *revoked, i int) {
	s.tb.Helper()
	if err := s.revokeOn(nil, r, i); err != nil {
		s.tb.Error(err)
	}
}

func (s *stand) revokeOn(w *wire, r *revoked, i int) (err error) {
	if w == nil {
		if w, err = dial(s.addr()); err != nil {
			return err
		}
		defer w.close()
	}
	a, err := w.ask(post("/oauth/revoke", s.client, "token="+url.QueryEscape(r.tokens[i])))
	if err == nil && a.status != 200 {
		err = fmt.Errorf("revoke: %s", a)
	}
	r.at[i].Store(int64(r.since()))
	return err
}

// revokeAt revokes the tokens from a number on, so many a second.
func (s *stand) revokeAt(rate float64, r *revoked, from int) {
	s.tb.Helper()
	n := len(r.tokens) - from
	due := make(chan int, n)
	go func() {
		defer close(due)
		for i, begun := 0, time.Now(); i < n; time.Sleep(time.Millisecond) {
			for ; i < n && float64(i)/rate <= time.Since(begun).Seconds(); i++ {
				due <- from + i
			}
		}
	}()
	crew(s.tb, s.addr(), 16, func(_ time.Time, w *wire, _ *outcome) {
		for i := range due {
			if err := s.revokeOn(w, r, i); err != nil {
				s.tb.Error(err)
			}
		}
	})
}
