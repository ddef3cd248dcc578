package guard

import (
	"sync/atomic"
	"time"
)

// instant is a moment by two clocks. The monotonic one is not set, and may stand still while the machine is suspended. The
// wall clock goes on, and may be set.
type instant struct{ mono, wall time.Duration }

func (i instant) add(d time.Duration) instant { return instant{i.mono + d, i.wall + d} }

// clock tells the instant. Tests have their own.
type clock func() instant

// newClock begins at zero. One call of time.Now reads both clocks.
func newClock() clock {
	base := time.Now()
	wall := base.Round(0)
	return func() instant {
		now := time.Now()
		return instant{now.Sub(base), now.Round(0).Sub(wall)}
	}
}

// minutely is for what is logged at most once a minute.
type minutely struct{ last atomic.Int64 } // by the monotonic clock, plus one; zero: it was not logged yet

func (m *minutely) may(now instant) bool {
	next, last := int64(now.mono)+1, m.last.Load()
	return (last == 0 || next-last > int64(time.Minute)) && m.last.CompareAndSwap(last, next)
}

// suspension is by how much the clocks may differ before the machine counts as suspended, or its wall clock as set.
const suspension = 250 * time.Millisecond

// drift is by how much the clocks have moved apart since the guard began.
func (i instant) drift() time.Duration { return (i.wall - i.mono).Abs() }

// age is how long ago something was, by the clock that says more, and whether the clocks agree.
func (i instant) age(now instant) (age time.Duration, agree bool) {
	mono, wall := now.mono-i.mono, now.wall-i.wall
	apart := wall - mono
	return max(mono, wall), -suspension <= apart && apart <= suspension
}
