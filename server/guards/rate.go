package guards

import "time"

// rateTime is over how long a rate is measured, at least; at most it is twice as long.
const rateTime = 30 * time.Second

// sample is what an instance had served and refused at a time, since it started.
type sample struct {
	at              time.Time
	served, refused int64
}

// rate turns counts since the start of an instance into counts a minute.
type rate struct{ base, next, last sample }

func (r *rate) add(at time.Time, served, refused int64) {
	s := sample{at, served, refused}
	switch {
	case r.base.at.IsZero(), served < r.last.served, refused < r.last.refused: // it has started again
		*r = rate{s, s, s}
		return
	case at.Sub(r.next.at) >= rateTime:
		r.base, r.next = r.next, s
	}
	r.last = s
}

// perMinute are the counts of a minute; 0 within the first second.
func (r *rate) perMinute() (served, refused int64) {
	seconds := r.last.at.Sub(r.base.at).Seconds()
	if seconds < 1 {
		return 0, 0
	}
	scale := 60 / seconds
	return int64(float64(r.last.served-r.base.served) * scale), int64(float64(r.last.refused-r.base.refused) * scale)
}
