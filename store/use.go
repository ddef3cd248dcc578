package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxUses bounds the memory between two flushes. Beyond it the use of one more secret is not
	// recorded until the next flush.
	maxUses = 10_000
	// usesLifetime is how long a last use is remembered.
	usesLifetime = 400 * 24 * time.Hour
)

// uses are the last uses of secrets and keys that were not flushed yet.
type uses struct {
	mu       sync.Mutex
	last     map[use]recorded
	reported map[string]recorded // key id → what guards have counted
}

// recorded is a last use, and how many there were.
type recorded struct {
	Use
	n int64
}

// use is where a last use is written: a field of a hash.
type use struct{ key, field string }

// Use is when something was last used, and through whom: an address, or "client:" and the id of the client
// that asked about it. From is empty for a client secret.
type Use struct {
	At   time.Time
	From string
}

func usesKey(clientID string) string { return "mk:u:" + clientID }

func keyUsesKey(userID string) string { return "mk:ku:" + userID }

// RecordSecretUse records that a secret was used. Run flushes it: a use costs no round trip.
func (s *Store) RecordSecretUse(clientID, secretID string) {
	s.uses.record(use{usesKey(clientID), secretID}, Use{At: s.now()})
}

// RecordKeyUse records that an API key was used, likewise, and counts it.
func (s *Store) RecordKeyUse(userID, keyID, from string) {
	s.Count(KeyUses)
	s.uses.record(use{keyUsesKey(userID), keyID}, Use{s.now(), from})
}

func (u *uses) record(at use, last Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, known := u.last[at]
	if !known && len(u.last) >= maxUses {
		return
	}
	if u.last == nil {
		u.last = map[use]recorded{}
	}
	u.last[at] = recorded{last, before.n + 1}
}

// KeyUses tells when each of the keys was last used, and through whom, to within the 5 s before
// they are written. One that was not used in 400 days has none.
func (s *Store) KeyUses(ctx context.Context, keys []*APIKey) ([]Use, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.StringCmd, len(keys))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range keys {
			cmds[i] = p.HGet(ctx, keyUsesKey(k.UserID), k.ID)
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("read last uses", err)
	}
	uses := make([]Use, len(keys))
	for i, cmd := range cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, unavailable("read last uses", err)
		}
		uses[i], _ = parseUse(cmd.Val())
	}
	return uses, nil
}

// A use is written as the seconds since 1970 and, behind a space, through whom.
func (u Use) String() string {
	seconds := strconv.FormatInt(u.At.Unix(), 10)
	if u.From == "" {
		return seconds
	}
	return seconds + " " + u.From
}

func parseUse(value string) (Use, bool) {
	digits, from, _ := strings.Cut(value, " ")
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return Use{}, false
	}
	return Use{time.Unix(seconds, 0).UTC(), from}, true
}

// take is what was recorded since it was last called.
func (u *uses) take() map[use]recorded {
	u.mu.Lock()
	defer u.mu.Unlock()
	pending := u.last
	u.last = nil
	return pending
}

// writeUses writes last uses. Those that could not be written are lost: the next use brings the next one.
func writeUses(ctx context.Context, rdb redis.UniversalClient, pending map[use]recorded) error {
	const batch = 200 // commands in one pipeline
	p := rdb.Pipeline()
	for at, u := range pending {
		p.HSet(ctx, at.key, at.field, u.String())
		p.Expire(ctx, at.key, usesLifetime)
		if p.Len() >= batch {
			if _, err := p.Exec(ctx); err != nil {
				return unavailable("write last uses", err)
			}
		}
	}
	if p.Len() == 0 {
		return nil
	}
	_, err := p.Exec(ctx)
	return unavailable("write last uses", err)
}

// countKeyUses counts the uses of keys that were accepted and those that were rejected, by their day.
func (s *Store) countKeyUses(ctx context.Context, used map[use]recorded, rejected map[string]int64) error {
	var counts []dayCount
	for at, u := range used {
		if strings.HasPrefix(at.key, keyUsesKey("")) {
			counts = append(counts, dayCount{keyID: at.field, day: dayOf(u.At), n: u.n})
		}
	}
	today := dayOf(s.now())
	for id, n := range rejected {
		counts = append(counts, dayCount{keyID: id, day: today, n: n, rejected: true})
	}
	return countDays(ctx, s.rdb, counts, today)
}

// enterUsed enters the clients that were used in the directory, if they are not there. A removal of an entry that arrives
// late takes away that of the next client of the id.
func (s *Store) enterUsed(ctx context.Context, used map[use]recorded) error {
	entries := map[string]*redis.FloatCmd{}
	p := s.rdb.Pipeline()
	for at := range used {
		if id, ok := strings.CutPrefix(at.key, usesKey("")); ok && entries[id] == nil {
			entries[id] = p.ZScore(ctx, clients.ids, id)
		}
	}
	if p.Len() == 0 {
		return nil
	}
	if _, err := p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return unavailable("look for entries in a directory", err)
	}
	for id, entry := range entries {
		if errors.Is(entry.Err(), redis.Nil) {
			s.reindexClient(ctx, id)
		}
	}
	return nil
}

// forgetUse tidies up after a secret that was revoked: a client whose secrets change every day would
// otherwise keep each of them for as long as it is in use.
func (s *Store) forgetUse(ctx context.Context, clientID, secretID string) {
	s.uses.mu.Lock()
	delete(s.uses.last, use{usesKey(clientID), secretID})
	s.uses.mu.Unlock()
	if err := s.rdb.HDel(ctx, usesKey(clientID), secretID).Err(); err != nil {
		s.log.WarnContext(ctx, "deleting the last use of a secret failed; it expires", "client_id", clientID, "error", err)
	}
}

// forgetUses tidies up after a client that is deleted; what stays behind expires.
func (s *Store) forgetUses(ctx context.Context, clientID string) {
	s.uses.mu.Lock()
	for at := range s.uses.last {
		if at.key == usesKey(clientID) {
			delete(s.uses.last, at)
		}
	}
	s.uses.mu.Unlock()
	if err := s.rdb.Del(ctx, usesKey(clientID)).Err(); err != nil {
		s.log.WarnContext(ctx, "deleting the last uses of a client failed; they expire", "client_id", clientID, "error", err)
	}
	s.forgetCounts(ctx, clientID)
}
