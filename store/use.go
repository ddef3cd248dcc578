package store

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// flushEvery is how often the last uses are written: well inside the 10 s that a crash may lose.
	flushEvery = 5 * time.Second
	// usesKept bounds the memory between two flushes. Beyond it the use of one more secret is not
	// noted until the next flush.
	usesKept = 10_000
	// usesLive is how long a last use is remembered.
	usesLive = 400 * 24 * time.Hour
)

// uses are the last uses of secrets that were not written yet.
type uses struct {
	mu sync.Mutex
	at map[use]time.Time
}

type use struct{ clientID, secretID string }

func usesKey(clientID string) string { return "mk:u:" + clientID }

// Touch notes that a secret was used. It is written behind, by Run: a use costs no round trip.
func (s *Store) Touch(clientID, secretID string) {
	now := s.now()
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	key := use{clientID, secretID}
	if _, known := s.uses.at[key]; !known && len(s.uses.at) >= usesKept {
		return
	}
	if s.uses.at == nil {
		s.uses.at = map[use]time.Time{}
	}
	s.uses.at[key] = now
}

// SecretUses tells when each secret of a client was last used, to within the 5 s before they are
// written. A secret that is not among them was not used in 400 days.
func (s *Store) SecretUses(ctx context.Context, clientID string) (map[string]time.Time, error) {
	uses, err := s.SecretUsesOf(ctx, []string{clientID})
	if err != nil {
		return nil, err
	}
	return uses[0], nil
}

// SecretUsesOf is SecretUses for many clients, in one round trip.
func (s *Store) SecretUsesOf(ctx context.Context, clientIDs []string) ([]map[string]time.Time, error) {
	if len(clientIDs) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.MapStringStringCmd, len(clientIDs))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range clientIDs {
			cmds[i] = p.HGetAll(ctx, usesKey(id))
		}
		return nil
	}); err != nil {
		return nil, unavailable("read last uses", err)
	}
	uses := make([]map[string]time.Time, len(clientIDs))
	for i, cmd := range cmds {
		uses[i] = make(map[string]time.Time, len(cmd.Val()))
		for secretID, value := range cmd.Val() {
			if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
				uses[i][secretID] = time.Unix(seconds, 0).UTC()
			}
		}
	}
	return uses, nil
}

// FlushUses writes the last uses that were noted. Those that could not be written are lost: they are
// statistics, and the next use brings the next one.
func (s *Store) FlushUses(ctx context.Context) error {
	s.uses.mu.Lock()
	noted := s.uses.at
	s.uses.at = nil
	s.uses.mu.Unlock()

	const batch = 200 // commands in one pipeline
	p := s.rdb.Pipeline()
	for key, at := range noted {
		p.HSet(ctx, usesKey(key.clientID), key.secretID, at.Unix())
		p.Expire(ctx, usesKey(key.clientID), usesLive)
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

// forgetUse tidies up after a secret that is gone: a client whose secrets change every day would
// otherwise keep each of them for as long as it is in use.
func (s *Store) forgetUse(ctx context.Context, clientID, secretID string) {
	s.uses.mu.Lock()
	delete(s.uses.at, use{clientID, secretID})
	s.uses.mu.Unlock()
	if err := s.rdb.HDel(ctx, usesKey(clientID), secretID).Err(); err != nil {
		s.log.WarnContext(ctx, "a last use is left behind", "client_id", clientID, "error", err)
	}
}

// forgetUses tidies up after a client that is deleted; what stays behind expires.
func (s *Store) forgetUses(ctx context.Context, clientID string) {
	s.uses.mu.Lock()
	for key := range s.uses.at {
		if key.clientID == clientID {
			delete(s.uses.at, key)
		}
	}
	s.uses.mu.Unlock()
	if err := s.rdb.Del(ctx, usesKey(clientID)).Err(); err != nil {
		s.log.WarnContext(ctx, "last uses are left behind", "client_id", clientID, "error", err)
	}
}

// Run writes the last uses until ctx ends, and then once more.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush(ctx)
		case <-ctx.Done():
			s.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

func (s *Store) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := s.FlushUses(ctx); err != nil {
		s.log.WarnContext(ctx, "last uses were not written", "error", err)
	}
}
