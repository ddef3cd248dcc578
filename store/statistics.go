package store

import (
	"context"
	"strconv"
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

// flush writes the counts, at most once: what may have been written is not written again.
func (s statistics) flush(ctx context.Context, rdb redis.UniversalClient, now time.Time) error {
	key := allMinutes.key("", now)
	_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for what, n := range s {
			if counted := n.Swap(0); counted > 0 {
				p.HIncrBy(ctx, key, allMinutes.field(now, what), counted)
			}
		}
		if p.Len() > 0 {
			p.PExpire(ctx, key, allMinutes.kept)
		}
		return nil
	})
	return unavailable("write counts", err)
}

// Minutes returns the counts of the last n minutes, the present one included, the oldest first; at most 1,440. They lag by
// the seconds before they are flushed.
func (s *Store) Minutes(ctx context.Context, n int) ([]Counts, error) {
	p := s.rdb.Pipeline()
	minutes := allMinutes.read(ctx, p, "", s.now(), n)
	if _, err := p.Exec(ctx); err != nil {
		return nil, unavailable("read counts", err)
	}
	return minutes.counts(), nil
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
