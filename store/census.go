package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// RecordScan is what became of reading the records of one kind.
type RecordScan struct {
	Kind    string // "clients", "people" or "API keys"
	Read    int
	Partial bool  // there are more, which were not read
	Err     error // why not, if it was not for their number

	Damaged, Newer Unreadable
}

// Unreadable are records that cannot be made sense of.
type Unreadable struct {
	Count int
	IDs   []string // the first few
}

const (
	censusPage  = 500
	namedByID   = 5
	peopleKind  = "people"
	clientsKind = "clients"
	keysKind    = "API keys"
)

// ScanRecords reads clients, people and the descriptions of API keys, at most that many of each and until ctx ends, and
// counts what it cannot read. person is given everybody who can be read; it may be nil.
func (s *Store) ScanRecords(ctx context.Context, most int, person func(*User)) []RecordScan {
	return []RecordScan{
		s.census(ctx, clientsKind, clients.ids, most, func(ids []string) ([]error, error) {
			return s.tryHashes(ctx, ids, clientKey, func(id string, fields map[string]string) error {
				_, err := decodeClient(id, fields)
				return err
			})
		}),
		s.census(ctx, peopleKind, users.ids, most, func(ids []string) ([]error, error) {
			return s.tryHashes(ctx, ids, userKey, func(id string, fields map[string]string) error {
				u, err := decodeUser(id, fields)
				if err == nil && person != nil {
					person(u)
				}
				return err
			})
		}),
		s.census(ctx, keysKind, allKeys.ids, most, func(ids []string) ([]error, error) {
			return s.tryKeys(ctx, ids)
		}),
	}
}

// census goes through an index, page by page. An entry without its record is not counted: see [directory].
func (s *Store) census(ctx context.Context, kind, index string, most int, try func(ids []string) ([]error, error)) RecordScan {
	c := RecordScan{Kind: kind}
	for from := "-"; ; {
		ids, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: index, Start: from, Stop: "+", ByLex: true, Count: int64(min(censusPage, most-c.Read+1)),
		}).Result()
		if err != nil || len(ids) == 0 {
			return c.ended(err)
		}
		outcomes, err := try(ids)
		if err != nil {
			return c.ended(err)
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

func (c RecordScan) ended(err error) RecordScan {
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

// tryHashes reads hashes in one round trip and tells what became of each.
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
		case Refusal(err) != wrongType:
			return nil, err
		}
		outcomes[i] = err
	}
	return outcomes, nil
}

// wrongType is what Redis says when a record is not even of the type that it should be: it is damaged. Whatever else it says
// is no word on the record.
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
		case Refusal(err) != wrongType:
			return nil, err
		}
		outcomes[i] = err
	}
	return outcomes, nil
}
