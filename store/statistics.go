package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// What is counted, by the minute, for the whole installation. A rejection is counted by its error code.
const (
	TokensIssued   = "issued"
	TokensRefused  = "refused:" // and the code
	Introspections = "introspected"
	KeyUses        = "key_used"
)

// TokenErrors are the error codes by which rejected token requests are counted, here and in server/metrics: those of
// RFC 6749 §5.2 and RFC 8707 §2, and Mintkeep's own for limits, outages and bugs. Any other code counts as "other".
var TokenErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope", "invalid_target", "too_many_requests", "temporarily_unavailable", "server_error",
}

// statistics are the counts that were not flushed yet. The map is never changed, so that counting takes no lock.
type statistics map[string]*atomic.Int64

func newStatistics() statistics {
	t := statistics{TokensIssued: {}, Introspections: {}, KeyUses: {}, TokensRefused + "other": {}}
	for _, code := range TokenErrors {
		t[TokensRefused+code] = &atomic.Int64{}
	}
	return t
}

// Count counts one of what. Run flushes it.
func (s *Store) Count(what string) {
	n, ok := s.statistics[what]
	if !ok {
		n = s.statistics[TokensRefused+"other"]
	}
	n.Add(1)
}

// The counts of an hour are one hash, of fields "minute what". There are 27 of them, used in turn: each has expired
// before it is used again, and the embedded store, which forgets no key's name, has no more names to keep.
const (
	statisticHours = 27
	statisticsKept = 25*time.Hour + 30*time.Minute
)

func statisticsKey(at time.Time) string {
	return "mk:n:" + strconv.FormatInt(at.Unix()/3600%statisticHours, 10)
}

// flush writes the counts, at most once: what may have been written is not written again.
func (s statistics) flush(ctx context.Context, rdb redis.UniversalClient, now time.Time) error {
	key, minute := statisticsKey(now), strconv.FormatInt(now.Unix()/60, 10)
	_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for what, n := range s {
			if counted := n.Swap(0); counted > 0 {
				p.HIncrBy(ctx, key, minute+" "+what, counted)
			}
		}
		if p.Len() > 0 {
			p.PExpire(ctx, key, statisticsKept)
		}
		return nil
	})
	return unavailable("write counts", err)
}

// Minute is what was counted in one minute.
type Minute struct {
	Start   time.Time
	Issued  int64
	Refused map[string]int64 // by error code
	Asked   int64            // introspections
	KeyUsed int64
}

// Minutes returns the counts of the last n minutes, the present one included, the oldest first; at most 1,440. They lag by
// the seconds before they are flushed.
func (s *Store) Minutes(ctx context.Context, n int) ([]Minute, error) {
	last := s.now().Truncate(time.Minute)
	first := last.Add(-time.Duration(n-1) * time.Minute)
	var cmds []*redis.MapStringStringCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for hour := first.Truncate(time.Hour); !hour.After(last); hour = hour.Add(time.Hour) {
			cmds = append(cmds, p.HGetAll(ctx, statisticsKey(hour)))
		}
		return nil
	}); err != nil {
		return nil, unavailable("read counts", err)
	}
	minutes := make([]Minute, n)
	for i := range minutes {
		minutes[i].Start = first.Add(time.Duration(i) * time.Minute).UTC()
	}
	for _, cmd := range cmds {
		for field, value := range cmd.Val() {
			at, what, _ := strings.Cut(field, " ")
			minute, err1 := strconv.ParseInt(at, 10, 64)
			count, err2 := strconv.ParseInt(value, 10, 64)
			if i := minute - first.Unix()/60; errors.Join(err1, err2) == nil && i >= 0 && i < int64(n) {
				minutes[i].add(what, count)
			}
		}
	}
	return minutes, nil
}

func (m *Minute) add(what string, n int64) {
	switch what {
	case TokensIssued:
		m.Issued += n
	case Introspections:
		m.Asked += n
	case KeyUses:
		m.KeyUsed += n
	default:
		if code, ok := strings.CutPrefix(what, TokensRefused); ok {
			if m.Refused == nil {
				m.Refused = map[string]int64{}
			}
			m.Refused[code] += n
		}
	}
}

// Totals are how many there are of each.
type Totals struct{ Clients, Users, ActiveKeys int64 }

// Totals counts clients, users and active keys.
func (s *Store) Totals(ctx context.Context) (Totals, error) {
	p := s.rdb.Pipeline()
	c, u := p.ZCard(ctx, clients.ids), p.ZCard(ctx, users.ids)
	k := p.ZCount(ctx, activeKeys, "("+strconv.FormatInt(s.now().UnixMilli(), 10), "+inf")
	if _, err := p.Exec(ctx); err != nil {
		return Totals{}, unavailable("count", err)
	}
	return Totals{c.Val(), u.Val(), k.Val()}, nil
}
