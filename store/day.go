package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// KeyDaysKept is for how many days the uses of a key are counted.
const KeyDaysKept = 30

// rejectedField begins the field of the uses that were rejected on a day.
const rejectedField = "r"

// keyDaysKey holds the uses of a key by the day since 1970 (UTC), and the rejected ones.
func keyDaysKey(keyID string) string { return "mk:kd:" + keyID }

// dayCount is how often a key was used, or rejected, on a day.
type dayCount struct {
	keyID    string
	day, n   int64
	rejected bool
}

func (c dayCount) field() string {
	field := strconv.FormatInt(c.day, 10)
	if c.rejected {
		return rejectedField + field
	}
	return field
}

// countDays adds to the days of keys, and to the ranking of keys of today. The first that counts something of a day drops the
// days that are over.
func countDays(ctx context.Context, rdb redis.UniversalClient, counts []dayCount, today int64) error {
	const batch = 100 // two or three commands for each
	for part := range slices.Chunk(counts, batch) {
		sums := make([]*redis.IntCmd, len(part))
		p := rdb.Pipeline()
		for i, c := range part {
			sums[i] = p.HIncrBy(ctx, keyDaysKey(c.keyID), c.field(), c.n)
			p.Expire(ctx, keyDaysKey(c.keyID), (KeyDaysKept+1)*24*time.Hour)
		}
		rankKeys(ctx, p, part, today)
		if _, err := p.Exec(ctx); err != nil {
			return unavailable("count uses by day", err)
		}
		for i, c := range part {
			if sums[i].Val() == c.n {
				p.HDel(ctx, keyDaysKey(c.keyID), overAt(c.day)...)
			}
		}
		if p.Len() == 0 {
			continue
		}
		if _, err := p.Exec(ctx); err != nil {
			return unavailable("drop old uses by day", err)
		}
	}
	return nil
}

// overAt are the fields of the days that are over by this one. None is older: the hash
// expires if nothing is counted for so many days.
func overAt(day int64) (fields []string) {
	for i := range int64(KeyDaysKept + 1) {
		over := strconv.FormatInt(day-KeyDaysKept-i, 10)
		fields = append(fields, over, rejectedField+over)
	}
	return fields
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
		days[i].Start = time.Unix((first+int64(i))*86400, 0).UTC()
	}
	for field, value := range fields {
		digits, rejected := strings.CutPrefix(field, rejectedField)
		day, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || day < first || day > today {
			continue
		}
		n, _ := strconv.ParseInt(value, 10, 64)
		if rejected {
			days[day-first].Rejected = n
		} else {
			days[day-first].Uses = n
		}
	}
	return days
}
