package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxCountedClients bounds the memory between two flushes. The requests of one more client are counted for the whole
// installation only, until the next flush.
const maxCountedClients = 10_000

// clientCounts are the token requests of registered clients that were not flushed yet.
type clientCounts struct {
	mu sync.Mutex
	of map[string]*clientCount
}

type clientCount struct {
	issued        int64
	refused       map[string]int64 // by error code
	lastToken     time.Time
	lastRejection TokenRejection
}

// TokenRejection is a token request that was rejected.
type TokenRejection struct {
	At   time.Time
	Code string // the error code
	// Reason is why the client was not authenticated, as the audit log has it; empty if it was.
	Reason string
}

// CountIssued counts a token that was issued to a client. Run flushes it.
func (s *Store) CountIssued(clientID string) {
	s.Count(TokensIssued)
	now := s.now()
	s.clientCounts.change(clientID, func(c *clientCount) { c.issued, c.lastToken = c.issued+1, now })
}

// CountRejected counts a token request that was rejected. clientID is empty unless such a client is registered: what is
// written for a client must not be the caller's choice. An unknown code counts as "other".
func (s *Store) CountRejected(clientID, code, reason string) {
	s.Count(TokensRefused + code)
	if clientID == "" {
		return
	}
	if _, known := s.statistics[TokensRefused+code]; !known {
		code = "other"
	}
	now := s.now()
	s.clientCounts.change(clientID, func(c *clientCount) {
		if c.refused == nil {
			c.refused = map[string]int64{}
		}
		c.refused[code]++
		c.lastRejection = TokenRejection{now, code, reason}
	})
}

func (c *clientCounts) change(id string, f func(*clientCount)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.of[id]
	if of == nil {
		if len(c.of) >= maxCountedClients {
			return
		}
		if c.of == nil {
			c.of = map[string]*clientCount{}
		}
		of = &clientCount{}
		c.of[id] = of
	}
	f(of)
}

// take returns what was counted since it was last called.
func (c *clientCounts) take() map[string]*clientCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	counted := c.of
	c.of = nil
	return counted
}

// The fields of the last uses of a client (mk:u) that belong to no secret.
const (
	lastTokenField     = "token"
	lastRejectionField = "rejected"
)

// clientOwner is a client in the key of a timeline.
func clientOwner(id string) string { return id + ":" }

// writeClientCounts writes what was counted of clients, at most once. What could not be written is lost.
func writeClientCounts(ctx context.Context, rdb redis.UniversalClient, counted map[string]*clientCount, now time.Time) error {
	const batch = 200 // commands in one pipeline, or a few more
	p := rdb.Pipeline()
	for id, c := range counted {
		c.write(ctx, p, id, now)
		if p.Len() >= batch {
			if _, err := p.Exec(ctx); err != nil {
				return unavailable("write the counts of clients", err)
			}
		}
	}
	if p.Len() > 0 {
		if _, err := p.Exec(ctx); err != nil {
			return unavailable("write the counts of clients", err)
		}
	}
	return rankClients(ctx, rdb, counted, now)
}

func (c *clientCount) write(ctx context.Context, p redis.Pipeliner, id string, now time.Time) {
	for _, l := range []timeline{clientMinutes, clientDays} {
		key := l.key(clientOwner(id), now)
		if c.issued > 0 {
			p.HIncrBy(ctx, key, l.field(now, TokensIssued), c.issued)
		}
		for code, n := range c.refused {
			p.HIncrBy(ctx, key, l.field(now, TokensRefused+code), n)
		}
		p.PExpire(ctx, key, l.kept)
	}
	if !c.lastToken.IsZero() {
		p.HSet(ctx, usesKey(id), lastTokenField, Use{At: c.lastToken}.String())
	}
	if r := c.lastRejection; !r.At.IsZero() {
		p.HSet(ctx, usesKey(id), lastRejectionField, Use{r.At, strings.TrimSpace(r.Code + " " + r.Reason)}.String())
	}
	p.Expire(ctx, usesKey(id), usesLifetime)
}

func (c *clientCount) rejected() (n int64) {
	for _, count := range c.refused {
		n += count
	}
	return n
}

// ranking is a list of clients by how many token requests they made, or how many of those were rejected. Each ten
// minutes have a sorted set, used in turn as those of a timeline are.
type ranking string

const (
	byRequests   ranking = "requests"
	byRejections ranking = "rejected"

	rankedEvery = 10 * time.Minute
	rankedSets  = 8
	rankedKept  = 65 * time.Minute // more than the hour that is read, and less than seven of them

	// maxRanked bounds each set. Of more clients, those with the fewest requests are taken out.
	maxRanked = 1_000
	// rankedAtOnce bounds a transaction, during which Redis does nothing else.
	rankedAtOnce = 500
)

func (r ranking) key(at time.Time) string {
	return "mk:nt:" + string(r) + ":" + strconv.FormatInt(at.Unix()/int64(rankedEvery/time.Second)%rankedSets, 10)
}

// rankClients adds what was counted to the rankings.
func rankClients(ctx context.Context, rdb redis.UniversalClient, counted map[string]*clientCount, now time.Time) error {
	requests, rejections := []redis.Z{}, []redis.Z{}
	for id, c := range counted {
		rejected := c.rejected()
		requests = append(requests, redis.Z{Member: id, Score: float64(c.issued + rejected)})
		if rejected > 0 {
			rejections = append(rejections, redis.Z{Member: id, Score: float64(rejected)})
		}
	}
	for r, list := range map[ranking][]redis.Z{byRequests: requests, byRejections: rejections} {
		key := r.key(now)
		for part := range slices.Chunk(list, rankedAtOnce) {
			_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
				for _, z := range part {
					p.ZIncrBy(ctx, key, z.Score, z.Member.(string))
				}
				p.ZRemRangeByRank(ctx, key, 0, -maxRanked-1)
				p.PExpire(ctx, key, rankedKept)
				return nil
			})
			if err != nil {
				return unavailable("rank clients", err)
			}
		}
	}
	return nil
}

// ClientHour returns what became of a client's token requests in each of the last 60 minutes, the oldest first. It lags by
// the seconds before they are flushed.
func (s *Store) ClientHour(ctx context.Context, id string) ([]Counts, error) {
	return s.clientCounted(ctx, clientMinutes, id, 60)
}

// ClientDay returns the same for each of the last 96 quarters of an hour.
func (s *Store) ClientDay(ctx context.Context, id string) ([]Counts, error) {
	return s.clientCounted(ctx, clientDays, id, 96)
}

func (s *Store) clientCounted(ctx context.Context, l timeline, id string, n int) ([]Counts, error) {
	p := s.rdb.Pipeline()
	read := l.read(ctx, p, clientOwner(id), s.now(), n)
	if _, err := p.Exec(ctx); err != nil {
		return nil, unavailable("read the counts of a client", err)
	}
	return read.counts(), nil
}

// LastRequests are the last token of a client and the last token request of it that was rejected. The times are zero if
// there was none in 400 days.
type LastRequests struct {
	Token     time.Time
	Rejection TokenRejection
}

// LastRequestsOf tells of many clients in one round trip. It lags by the seconds before they are flushed.
func (s *Store) LastRequestsOf(ctx context.Context, ids []string) ([]LastRequests, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.SliceCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HMGet(ctx, usesKey(id), lastTokenField, lastRejectionField)
		}
		return nil
	}); err != nil {
		return nil, unavailable("read the last requests of clients", err)
	}
	last := make([]LastRequests, len(ids))
	for i, cmd := range cmds {
		token, _ := cmd.Val()[0].(string)
		rejection, _ := cmd.Val()[1].(string)
		if u, ok := parseUse(token); ok {
			last[i].Token = u.At
		}
		if u, ok := parseUse(rejection); ok {
			r := TokenRejection{At: u.At}
			r.Code, r.Reason, _ = strings.Cut(u.From, " ")
			last[i].Rejection = r
		}
	}
	return last, nil
}

// forgetCounts deletes what was counted of a client that is deleted; what stays behind expires.
func (s *Store) forgetCounts(ctx context.Context, id string) {
	s.clientCounts.mu.Lock()
	delete(s.clientCounts.of, id)
	s.clientCounts.mu.Unlock()
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, l := range []timeline{clientMinutes, clientDays} {
			for _, key := range l.keys(clientOwner(id)) {
				p.Del(ctx, key)
			}
		}
		return nil
	}); err != nil {
		s.log.WarnContext(ctx, "deleting the counts of a client failed; they expire", "client_id", id, "error", err)
	}
}
