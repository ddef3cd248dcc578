package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

func (w *world) happen(e modelEvent) {
	// A replica that starts just after the data went back takes the feed for continuous until the others have noticed.
	if starts := e.What == "restart" || e.What == "kill"; starts && time.Since(w.wentBack) < beatsTime+500*time.Millisecond {
		return
	}
	switch e.What {
	case "revoke":
		if r := w.anyReplica(); r != nil {
			w.wg.Go(func() { w.revoke(r, e.Arg%modelHandles) })
		}
	case "enable":
		w.enable(e.Arg % modelHandles)
	case "failover":
		w.failover(e.Arg%4*3, e.Arg%3)
	case "lose": // what was appended just now, which some guards have read
		if r := w.anyReplica(); r != nil {
			w.wg.Go(func() { w.revoke(r, e.Arg%modelHandles) })
			time.Sleep(w.until(10 * time.Millisecond))
			w.failover(1+e.Arg%2, e.Arg%3)
		}
	case "isolate":
		w.isolate(e.Arg % 4 * 3)
	case "go back":
		w.goBack(e.Arg % 3)
	case "restart":
		if living := w.living(); len(living) > 1 || e.Arg%4 == 0 {
			w.wg.Go(living[e.Arg%len(living)].leave)
		}
		w.start()
	case "kill":
		living := w.living()
		living[e.Arg%len(living)].kill()
		w.start()
	case "stop":
		living := w.living()
		living[e.Arg%len(living)].stopped.Store(int64(time.Since(w.begun)) + int64(w.until(7*time.Second)))
	case "drop":
		living := w.living()
		living[e.Arg%len(living)].own.drop()
	case "stranger":
		w.wg.Go(func() {
			w.stranger(fmt.Sprint("old", e.Arg), blindTime+500*time.Millisecond+w.until(2*time.Second), e.Arg%2 == 0)
		})
	case "break":
		w.anyReplica().f.Break()
	default:
		w.toRedis(e)
	}
}

// toRedis is what happens to Redis alone.
func (w *world) toRedis(e modelEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.primary
	switch e.What {
	case "trim":
		p.write(func(d *data) { d.stream = d.stream[max(0, len(d.stream)-e.Arg%6):] })
	case "delete":
		p.write(func(d *data) { d.stream, d.last = nil, entryID{} })
	case "memory":
		if w.strangers > 0 { // it would show no watermark
			return
		}
		p.oom = true
		w.wg.Go(func() {
			time.Sleep(w.until(3 * time.Second))
			w.mu.Lock()
			defer w.mu.Unlock()
			p.oom = false
		})
	case "clock":
		p.lag = time.Duration(e.Arg-800) * 10 * time.Millisecond
	}
}

// revoke is a revocation by a replica: the deletion, the voids behind it, the acknowledgement.
func (w *world) revoke(r *replicaModel, h int) {
	r.stand()
	w.mu.Lock()
	if r.isDead() || w.deleted()[h] != 0 {
		w.mu.Unlock()
		return
	}
	w.number++
	number := w.number
	w.mu.Unlock()
	w.setDeleted(h, number)
	if w.records != nil {
		time.Sleep(w.latency())
	}
	pool := link{r: r, pool: true}
	for _, cmd := range r.f.Void(context.Background(), []Handle{modelHandle(h)}, false) {
		pool.send(context.Background(), cmd)
		if redis.IsOOMError(cmd.Err()) {
			cmd = r.f.Delete(context.Background())
			pool.send(context.Background(), cmd)
		}
		if cmd.Err() != nil {
			w.note("revocation %d of %d is not acknowledged", number, h)
			return
		}
	}
	w.acknowledge(h, number, 0)
}

// acknowledge notes a revocation.
func (w *world) acknowledge(h, number int, excess time.Duration) {
	w.note("revocation %d of %d is acknowledged", number, h)
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Now().Before(w.moved) { // the feed's connection may lead to the former primary until the next beat
		excess = max(excess, 2500*time.Millisecond)
	}
	w.revoked[h] = revocation{number, time.Now(), excess}
}

func (w *world) enable(h int) {
	w.mu.Lock()
	delete(w.revoked, h)
	w.mu.Unlock()
	w.setDeleted(h, 0)
}

// failover makes a replica of Redis the primary, which lacks the last writes. The former one is down, or is demoted after a
// while.
func (w *world) failover(lost, how int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	former := w.primary
	w.lost = time.Now()
	w.primary = w.newRedis(former.before(lost))
	w.primary.lag = former.lag + time.Duration(how-2)*time.Second
	former.up, former.primary = how != 0, false
	former.wake()
}

// isolate is a failover of which the feeds' own connections learn later: they still lead to the former primary, which
// answers.
func (w *world) isolate(lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	former := w.primary
	w.lost = time.Now()
	w.primary = w.newRedis(former.before(lost))
	linger := time.Duration(w.rand.Int64N(int64(6 * time.Second)))
	w.moved = time.Now().Add(linger)
	for h, r := range w.revoked { // what is being acknowledged, and voids that were lost
		r.excess = max(r.excess, 2500*time.Millisecond)
		w.revoked[h] = r
	}
	w.wg.Go(func() {
		time.Sleep(linger)
		w.mu.Lock()
		defer w.mu.Unlock()
		former.up, former.primary = false, false
		former.wake()
	})
}

// goBack gives the primary older data, and its replication id stays. What was lost is older than the last beat of each
// replica: less is not noticed before the next beat.
func (w *world) goBack(more int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.primary
	for i := len(p.past) - 1; i >= 0; i-- {
		d := p.past[i].d
		if w.lostBeats(d) {
			i = max(0, i-more*3)
			d = p.past[i].d
			p.past = p.past[:i]
			p.d, w.lost, w.wentBack = d, time.Now(), time.Now()
			p.wake()
			w.log = append(w.log, w.ago(time.Now())+" went back\n")
			return
		}
	}
}

func (w *world) lostBeats(d *data) bool {
	for _, r := range w.replicas {
		if acknowledged := r.f.beats.acknowledged.Load(); !r.isDead() && (acknowledged < 2 || beatOf(d.beats[r.id]) >= acknowledged) {
			return false
		}
	}
	return true
}

// stranger is a replica that does not append. Until it is noticed, what it revokes is known late.
func (w *world) stranger(id string, lives time.Duration, leaves bool) {
	w.mu.Lock()
	if w.primary.oom {
		w.mu.Unlock()
		return
	}
	w.strangers++
	w.mu.Unlock()
	begun := time.Now()
	for beat := begun; time.Since(begun) < lives && !w.isOver(); {
		if time.Since(beat) >= 0 {
			w.writeWatermark(id)
			beat = beat.Add(time.Second)
		}
		time.Sleep(w.until(300 * time.Millisecond))
		h := w.intn(modelHandles)
		w.mu.Lock()
		if w.deleted()[h] != 0 {
			w.mu.Unlock()
			continue
		}
		w.number++
		number, shown := w.number, begun
		if w.lost.After(begun) { // its watermark with the rest
			shown = w.lost.Add(time.Second)
		}
		w.mu.Unlock()
		w.setDeleted(h, number)
		w.acknowledge(h, number, max(0, 2500*time.Millisecond-time.Since(shown)))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strangers--
	if leaves {
		w.primary.write(func(d *data) { delete(d.marks, id) })
	}
}
