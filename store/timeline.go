package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// timeline is a series of counts, each of one interval. Those of a period are one hash, of fields "interval what". The
// hashes are used in turn: each has expired before it is used again, and the embedded store, which forgets no key's name,
// has no more names to keep.
type timeline struct {
	prefix           string
	interval, period time.Duration
	hashes           int64
	kept             time.Duration // since the last write; between the span that is read and what is left of the turn
}

var (
	allMinutes    = timeline{"mk:n:", time.Minute, time.Hour, 27, 25*time.Hour + 30*time.Minute}
	clientMinutes = timeline{"mk:nc:", time.Minute, time.Hour, 3, 90 * time.Minute}
	clientDays    = timeline{"mk:nd:", 15 * time.Minute, 24 * time.Hour, 3, 36 * time.Hour}
)

// key is that of the hash for a point in time; owner is empty, or a client's id and a colon.
func (l timeline) key(owner string, at time.Time) string {
	return l.prefix + owner + strconv.FormatInt(at.Unix()/int64(l.period/time.Second)%l.hashes, 10)
}

// keys are those of all hashes.
func (l timeline) keys(owner string) (keys []string) {
	for i := range l.hashes {
		keys = append(keys, l.prefix+owner+strconv.FormatInt(i, 10))
	}
	return keys
}

func (l timeline) number(at time.Time) int64 { return at.Unix() / int64(l.interval/time.Second) }

// field is that of what is counted at a point in time.
func (l timeline) field(at time.Time, what string) string {
	return strconv.FormatInt(l.number(at), 10) + " " + what
}

// reading is a timeline that is being read: its last n intervals, the present one included.
type reading struct {
	timeline
	first time.Time
	n     int
	cmds  []*redis.MapStringStringCmd
}

// read has a pipeline read the last n intervals.
func (l timeline) read(ctx context.Context, p redis.Pipeliner, owner string, now time.Time, n int) *reading {
	last := now.Truncate(l.interval)
	r := &reading{timeline: l, first: last.Add(-time.Duration(n-1) * l.interval), n: n}
	for at := r.first.Truncate(l.period); !at.After(last); at = at.Add(l.period) {
		r.cmds = append(r.cmds, p.HGetAll(ctx, l.key(owner, at)))
	}
	return r
}

// counts are the intervals that were read, the oldest first.
func (r *reading) counts() []Counts {
	all := make([]Counts, r.n)
	for i := range all {
		all[i].Start = r.first.Add(time.Duration(i) * r.interval).UTC()
	}
	first := r.number(r.first)
	for _, cmd := range r.cmds {
		for field, value := range cmd.Val() {
			at, what, _ := strings.Cut(field, " ")
			number, err1 := strconv.ParseInt(at, 10, 64)
			n, err2 := strconv.ParseInt(value, 10, 64)
			if i := number - first; errors.Join(err1, err2) == nil && i >= 0 && i < int64(r.n) {
				all[i].add(what, n)
			}
		}
	}
	return all
}

// Counts are what was counted in one interval.
type Counts struct {
	Start   time.Time
	Issued  int64
	Refused map[string]int64 // by error code
	Asked   int64            // introspections
	KeyUsed int64
}

// Rejected is how many token requests were rejected.
func (c Counts) Rejected() (n int64) {
	for _, count := range c.Refused {
		n += count
	}
	return n
}

func (c *Counts) add(what string, n int64) {
	switch what {
	case TokensIssued:
		c.Issued += n
	case Introspections:
		c.Asked += n
	case KeyUses:
		c.KeyUsed += n
	default:
		if code, ok := strings.CutPrefix(what, TokensRefused); ok {
			if c.Refused == nil {
				c.Refused = map[string]int64{}
			}
			c.Refused[code] += n
		}
	}
}
