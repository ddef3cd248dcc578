package store

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// KeyDaysKept is for how many days the uses of a key are counted.
const KeyDaysKept = 30

// keyDaysKey holds the uses of a key by the day since 1970 (UTC).
func keyDaysKey(keyID string) string { return "mk:kd:" + keyID }

// countDay adds the uses to their day, and drops the days that are over.
func countDay(ctx context.Context, p redis.Pipeliner, keyID string, u recorded) {
	const forgotten = KeyDaysKept + 1 // days at once: a key has one use at least in so many, or all is forgotten
	key, day := keyDaysKey(keyID), dayOf(u.At)
	var old []string
	for i := range int64(forgotten) {
		old = append(old, strconv.FormatInt(day-KeyDaysKept-i, 10))
	}
	p.HIncrBy(ctx, key, strconv.FormatInt(day, 10), u.n)
	p.HDel(ctx, key, old...)
	p.Expire(ctx, key, (KeyDaysKept+1)*24*time.Hour)
}

func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// Day is what was counted on one day: uses of a key that were accepted, and those that were rejected.
type Day struct {
	Start          time.Time
	Uses, Rejected int64
}

// KeyDays tells how often a key was used on each of the last 30 days, today included, the oldest first. It lags
// by the seconds before it is written.
func (s *Store) KeyDays(ctx context.Context, keyID string) ([]Day, error) {
	days, err := s.KeyDaysOf(ctx, []string{keyID})
	if err != nil {
		return nil, err
	}
	return days[0], nil
}

// KeyDaysOf is KeyDays of many keys, in one round trip.
func (s *Store) KeyDaysOf(ctx context.Context, keyIDs []string) ([][]Day, error) {
	if len(keyIDs) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.MapStringStringCmd, len(keyIDs))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range keyIDs {
			cmds[i] = p.HGetAll(ctx, keyDaysKey(id))
		}
		return nil
	}); err != nil {
		return nil, unavailable("read uses", err)
	}
	all := make([][]Day, len(keyIDs))
	for i, cmd := range cmds {
		all[i] = daysIn(cmd.Val(), dayOf(s.now()))
	}
	return all, nil
}

// daysIn are the last days in the fields of a hash, up to today.
func daysIn(fields map[string]string, today int64) []Day {
	days, first := make([]Day, KeyDaysKept), today-KeyDaysKept+1
	for i := range days {
		day := first + int64(i)
		days[i].Start = time.Unix(day*86400, 0).UTC()
		days[i].Uses, _ = strconv.ParseInt(fields[strconv.FormatInt(day, 10)], 10, 64)
	}
	return days
}
