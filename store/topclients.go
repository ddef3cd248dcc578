package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ClientActivity is what a client did in the last hour.
type ClientActivity struct {
	Client           *Client
	Issued, Rejected int64
	LastRequests
}

// Requests is how many token requests the client made.
func (a ClientActivity) Requests() int64 { return a.Issued + a.Rejected }

// TopClients returns the n clients with the most token requests of the last hour, and the n with the most that were
// rejected; the latter had one at least.
func (s *Store) TopClients(ctx context.Context, n int) (busiest, failing []ClientActivity, err error) {
	ranked, err := s.ranked(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	all, err := s.activity(ctx, ranked)
	if err != nil {
		return nil, nil, err
	}
	top := func(count func(ClientActivity) int64) (list []ClientActivity) {
		for _, a := range all {
			if count(a) > 0 {
				list = append(list, a)
			}
		}
		slices.SortFunc(list, func(a, b ClientActivity) int {
			return cmp.Or(cmp.Compare(count(b), count(a)), strings.Compare(a.Client.ID, b.Client.ID))
		})
		return list[:min(n, len(list))]
	}
	return top(ClientActivity.Requests), top(func(a ClientActivity) int64 { return a.Rejected }), nil
}

// ranked are the ids of the clients that may be among the first n of either ranking: a set covers ten minutes, of which
// the last hour may have a part.
func (s *Store) ranked(ctx context.Context, n int) ([]string, error) {
	const read = 100 // of each set
	now := s.now()
	p := s.rdb.Pipeline()
	cmds := map[ranking][]*redis.ZSliceCmd{}
	for _, r := range []ranking{byRequests, byRejections} {
		for at := now.Add(-time.Hour).Truncate(rankedEvery); !at.After(now); at = at.Add(rankedEvery) {
			cmds[r] = append(cmds[r], p.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{Key: r.key(at), Start: 0, Stop: read - 1, Rev: true}))
		}
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, unavailable("read the rankings of clients", err)
	}
	ids := map[string]bool{}
	for _, sets := range cmds {
		sums := map[string]float64{}
		for _, set := range sets {
			for _, z := range set.Val() {
				sums[z.Member.(string)] += z.Score
			}
		}
		first := slices.SortedFunc(maps.Keys(sums), func(a, b string) int { return cmp.Compare(sums[b], sums[a]) })
		for _, id := range first[:min(4*n, len(first))] {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// activity reads what clients did in the last hour. A client that was deleted meanwhile is left out.
func (s *Store) activity(ctx context.Context, ids []string) (all []ClientActivity, err error) {
	found, err := readAll(ctx, s, ids, clientKey, s.decoded.anyClient)
	if err != nil {
		return nil, err
	}
	last, err := s.LastRequestsOf(ctx, ids)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	p, hours := s.rdb.Pipeline(), make([]*reading, len(ids))
	for i, id := range ids {
		hours[i] = clientMinutes.read(ctx, p, clientOwner(id), s.now(), 60)
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, unavailable("read the counts of clients", err)
	}
	for i, c := range found {
		if c == nil {
			continue
		}
		a := ClientActivity{Client: c, LastRequests: last[i]}
		for _, minute := range hours[i].counts() {
			a.Issued += minute.Issued
			a.Rejected += minute.Rejected()
		}
		all = append(all, a)
	}
	return all, nil
}
