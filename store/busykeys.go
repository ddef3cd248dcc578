package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// BusyDays is over how many days keys are ranked by their uses, today included.
	BusyDays = 7
	// busySets are used in turn, one a day. A set is kept, for busyKept after its last write, until no ranking reads its day any
	// more, and is gone before its next turn.
	busySets = BusyDays + 2
	busyKept = BusyDays*24*time.Hour + 12*time.Hour
)

// busyKey is the ranking of a day. It has at most maxRanked keys.
func busyKey(day int64) string { return "mk:nt:keys:" + strconv.FormatInt(day%busySets, 10) }

// rankKeys has a pipeline add the uses that were accepted to the ranking of today.
func rankKeys(ctx context.Context, p redis.Pipeliner, counts []dayCount, today int64) {
	key, ranked := busyKey(today), false
	for _, c := range counts {
		if !c.rejected {
			p.ZIncrBy(ctx, key, float64(c.n), c.keyID)
			ranked = true
		}
	}
	if ranked {
		p.ZRemRangeByRank(ctx, key, 0, -maxRanked-1)
		p.PExpire(ctx, key, busyKept)
	}
}

// KeyActivity is how often a key was used in the last [BusyDays], and how often that was rejected.
type KeyActivity struct {
	Key            *APIKey
	Uses, Rejected int64
}

// BusiestKeys returns the n keys with the most uses of the last [BusyDays] days. Of each day, 1,000 keys are ranked.
func (s *Store) BusiestKeys(ctx context.Context, n int) ([]KeyActivity, error) {
	ids, err := s.rankedKeys(ctx, n)
	if err != nil {
		return nil, err
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	days, err := s.KeyDaysOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	var busiest []KeyActivity
	for i, k := range keys {
		if k == nil {
			continue
		}
		a := KeyActivity{Key: k}
		for _, day := range days[i][KeyDaysKept-BusyDays:] {
			a.Uses += day.Uses
			a.Rejected += day.Rejected
		}
		busiest = append(busiest, a)
	}
	slices.SortFunc(busiest, func(a, b KeyActivity) int {
		return cmp.Or(cmp.Compare(b.Uses, a.Uses), strings.Compare(a.Key.ID, b.Key.ID))
	})
	return busiest[:min(n, len(busiest))], nil
}

// rankedKeys are the ids of the keys that may be among the first n.
func (s *Store) rankedKeys(ctx context.Context, n int) ([]string, error) {
	most := 2 * n // a key that is second on each day may be the first of all
	p, today := s.rdb.Pipeline(), dayOf(s.now())
	var sets []*redis.ZSliceCmd
	for day := today - BusyDays + 1; day <= today; day++ {
		sets = append(sets, p.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{Key: busyKey(day), Start: 0, Stop: most - 1, Rev: true}))
	}
	if _, err := p.Exec(ctx); err != nil {
		return nil, unavailable("read the ranking of keys", err)
	}
	sums := map[string]float64{}
	for _, set := range sets {
		for _, z := range set.Val() {
			sums[z.Member.(string)] += z.Score
		}
	}
	ids := slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), strings.Compare(a, b))
	})
	return ids[:min(most, len(ids))], nil
}
