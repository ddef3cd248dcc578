package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// RecordScan is the integrity scan of the records of one kind.
type RecordScan struct {
	Kind    string // "clients", "users" or "API keys", as mintkeep doctor prints it
	Read    int
	Partial bool  // there are more, which were not read
	Err     error // why not, if it was not for their number

	Damaged, Newer Unreadable
}

// Unreadable are records that cannot be decoded.
type Unreadable struct {
	Count int
	IDs   []string // the first few
}

const (
	scanPage    = 500
	namedByID   = 5
	usersKind   = "users"
	clientsKind = "clients"
	keysKind    = "API keys"
)

// ScanRecords reads clients, users and the descriptions of API keys, at most that many of each and until ctx is done, and
// counts what it cannot read. client and user are called for each one that can be read; they may be nil.
func (s *Store) ScanRecords(ctx context.Context, most int, client func(*Client), user func(*User)) []RecordScan {
	return []RecordScan{
		s.scanKind(ctx, clientsKind, clients.ids, most, func(ids []string) ([]error, error) {
			return s.tryHashes(ctx, ids, clientKey, func(id string, fields map[string]string) error {
				c, err := s.decoded.client(id, fields)
				if err == nil && client != nil {
					client(c)
				}
				return err
			})
		}),
		s.scanKind(ctx, usersKind, users.ids, most, func(ids []string) ([]error, error) {
			return s.tryHashes(ctx, ids, userKey, func(id string, fields map[string]string) error {
				u, err := s.decoded.user(id, fields)
				if err == nil && user != nil {
					user(u)
				}
				return err
			})
		}),
		s.scanKind(ctx, keysKind, allKeys.ids, most, func(ids []string) ([]error, error) {
			return s.tryKeys(ctx, ids)
		}),
	}
}

// scanKind goes through an index, page by page. An entry without its record is not counted: see [directory].
func (s *Store) scanKind(ctx context.Context, kind, index string, most int, try func(ids []string) ([]error, error)) RecordScan {
	c := RecordScan{Kind: kind}
	for from := "-"; ; {
		ids, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: index, Start: from, Stop: "+", ByLex: true, Count: int64(min(scanPage, most-c.Read+1)),
		}).Result()
		if err != nil || len(ids) == 0 {
			return c.stopped(err)
		}
		outcomes, err := try(ids)
		if err != nil {
			return c.stopped(err)
		}
		for i, outcome := range outcomes {
			if c.Read >= most {
				c.Partial = true
				return c
			}
			c.count(ids[i], outcome)
		}
		from = "(" + ids[len(ids)-1]
	}
}

func (c RecordScan) stopped(err error) RecordScan {
	if err != nil {
		c.Partial, c.Err = true, unavailable("read all "+c.Kind, err)
	}
	return c
}

func (c *RecordScan) count(id string, outcome error) {
	switch {
	case isNotFound(outcome):
		return
	case errors.Is(outcome, ErrNewerRecord):
		c.Newer.add(id)
	case outcome != nil:
		c.Damaged.add(id)
	}
	c.Read++
}

func (u *Unreadable) add(id string) {
	u.Count++
	if len(u.IDs) < namedByID {
		u.IDs = append(u.IDs, id)
	}
}

// tryHashes reads hashes in one round trip and returns the outcome of each.
func (s *Store) tryHashes(ctx context.Context, ids []string, key func(string) string, decode func(string, map[string]string) error) ([]error, error) {
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		for i, id := range ids {
			cmds[i] = p.HGetAll(ctx, key(id))
		}
		return nil
	})
	outcomes := make([]error, len(ids))
	for i, cmd := range cmds {
		fields, err := cmd.Result()
		switch {
		case err == nil:
			err = decode(ids[i], fields)
		case redisdb.ErrorPrefix(err) != wrongType:
			return nil, err
		}
		outcomes[i] = err
	}
	return outcomes, nil
}

// wrongType is what Redis says when a record is not even of the type that it should be: it is damaged. No other error is
// about the record.
const wrongType = "WRONGTYPE"

func (s *Store) tryKeys(ctx context.Context, ids []string) ([]error, error) {
	cmds := make([]*redis.StringCmd, len(ids))
	_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.Get(ctx, apiKeyKey(id))
		}
		return nil
	})
	outcomes := make([]error, len(ids))
	for i, cmd := range cmds {
		record, err := cmd.Result()
		switch {
		case err == nil:
			_, err = decodeKey(ids[i], record)
		case errors.Is(err, redis.Nil):
			err = ErrNotFound
		case redisdb.ErrorPrefix(err) != wrongType:
			return nil, err
		}
		outcomes[i] = err
	}
	return outcomes, nil
}
