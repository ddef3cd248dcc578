package store

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// The clients are listed from two sorted sets, in the order of their bytes: the ids, and the lower-cased
// names with the ids behind them. They hold at least every client that there is; an entry without its
// client, left by a crash or a lost race, is skipped by whoever meets it.
const (
	clientIDs   = "mk:clients:id"
	clientNames = "mk:clients:name"
)

// nameEntry is "name NUL id". A name has no control characters.
func nameEntry(name, id string) string { return strings.ToLower(name) + "\x00" + id }

func (s *Store) indexClient(ctx context.Context, id, name string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, clientIDs, redis.Z{Member: id})
		p.ZAdd(ctx, clientNames, redis.Z{Member: nameEntry(name, id)})
		return nil
	})
	return unavailable("index client", err)
}

// unindexClient and unindexName tidy up after an end or a change that holds already, so that they do
// not fail it: an entry that stays behind is skipped.
func (s *Store) unindexClient(ctx context.Context, id, name string) {
	if err := s.rdb.ZRem(ctx, clientIDs, id).Err(); err != nil {
		s.log.WarnContext(ctx, "an index entry is left behind", "client_id", id, "error", err)
	}
	s.unindexName(ctx, id, name)
}

func (s *Store) unindexName(ctx context.Context, id, name string) {
	if err := s.rdb.ZRem(ctx, clientNames, nameEntry(name, id)).Err(); err != nil {
		s.log.WarnContext(ctx, "an index entry is left behind", "client_id", id, "error", err)
	}
	s.reindexClient(ctx, id)
}

// reindexClient puts the entries of a client back, should they have been taken away: whoever tidies
// up after an old life of a client may do so when the next one has begun. Both the one who wrote the
// client and the one who took an entry away call it, so that whichever is last sees what the other did.
func (s *Store) reindexClient(ctx context.Context, id string) {
	c, err := s.Client(ctx, id)
	if err == nil {
		err = s.indexClient(ctx, id, c.Metadata.Name)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.log.WarnContext(ctx, "a client may be missing from the index", "client_id", id, "error", err)
	}
}

// Clients lists at most limit clients whose id, or lower-cased name, begins with query: first those
// found by id, then those found by name alone, each in the order of bytes. after is where the last page
// ended, and next where this one did; both are empty at the ends, and not for the eyes of a caller.
func (s *Store) Clients(ctx context.Context, query, after string, limit int) (page []*Client, next string, err error) {
	walk := clientWalk{query: query, byName: strings.ToLower(query)}
	walk.start(after)
	for {
		count := limit - len(page) + 1 // one more tells whether there is a next page
		entries, err := s.entries(ctx, &walk, count)
		if err != nil {
			return nil, "", err
		}
		clients, err := s.clientsOf(ctx, walk.ids(entries))
		if err != nil {
			return nil, "", err
		}
		for i, c := range clients {
			if c != nil && walk.wants(c, entries[i]) {
				if len(page) == limit {
					return page, walk.position(), nil
				}
				page = append(page, c)
			}
			walk.last = entries[i]
		}
		if len(entries) < count && !walk.nextIndex() {
			return page, "", nil
		}
	}
}

// clientWalk is where a listing is: which index, and the last entry seen in it.
type clientWalk struct {
	query, byName string
	names         bool
	last          string
}

func (w *clientWalk) start(after string) {
	if after == "" {
		return
	}
	w.names, w.last = after[0] == 'n', after[1:]
}

func (w *clientWalk) position() string {
	if w.names {
		return "n" + w.last
	}
	return "i" + w.last
}

// nextIndex goes on to the names. Without a query the ids were everything.
func (w *clientWalk) nextIndex() bool {
	if w.names || w.query == "" {
		return false
	}
	w.names, w.last = true, ""
	return true
}

// wants says whether an entry is this client's, of today, and was not listed by its id before.
func (w *clientWalk) wants(c *Client, entry string) bool {
	if !w.names {
		return true
	}
	return nameEntry(c.Metadata.Name, c.ID) == entry && !strings.HasPrefix(c.ID, w.query)
}

func (w *clientWalk) ids(entries []string) []string {
	if !w.names {
		return entries
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		_, ids[i], _ = strings.Cut(entry, "\x00")
	}
	return ids
}

func (s *Store) entries(ctx context.Context, w *clientWalk, count int) ([]string, error) {
	key, prefix := clientIDs, w.query
	if w.names {
		key, prefix = clientNames, w.byName
	}
	from := "[" + prefix
	if prefix == "" {
		from = "-"
	}
	if w.last != "" && w.last >= prefix { // before it, only if the page was of another query
		from = "(" + w.last
	}
	to := "+"
	if prefix != "" {
		to = "(" + prefix + "\xff" // no entry has this byte: it is not in UTF-8
	}
	entries, err := s.rdb.ZRangeByLex(ctx, key, &redis.ZRangeBy{Min: from, Max: to, Count: int64(count)}).Result()
	return entries, unavailable("list clients", err)
}

// clientsOf reads many clients in one round trip; nil stands for one that is not there.
func (s *Store) clientsOf(ctx context.Context, ids []string) ([]*Client, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HGetAll(ctx, clientKey(id))
		}
		return nil
	}); err != nil {
		return nil, unavailable("list clients", err)
	}
	clients := make([]*Client, len(ids))
	for i, cmd := range cmds {
		c, err := decodeClient(ids[i], cmd.Val())
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		clients[i] = c
	}
	return clients, nil
}
