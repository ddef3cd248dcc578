package store

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// directory lists the things of one kind from two sorted sets, in the order of their bytes: the ids, and the
// lower-cased names with the ids behind them. They hold at least every thing that exists; an entry without
// its thing, left by a crash or a lost race, is skipped by listings.
type directory struct {
	ids, names string // keys; names may be empty: only the ids are listed
	// latestFirst lists the ids backwards, for ids that begin with their time.
	latestFirst bool
}

// nameEntry is "name NUL id". A name has no control characters.
func nameEntry(name, id string) string { return strings.ToLower(name) + "\x00" + id }

// enter adds the entries of a thing. It may be repeated.
func (d directory) enter(ctx context.Context, rdb redis.UniversalClient, id string, names ...string) error {
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, d.ids, redis.Z{Member: id})
		for _, name := range names {
			p.ZAdd(ctx, d.names, redis.Z{Member: nameEntry(name, id)})
		}
		return nil
	})
	return unavailable("enter in a directory", err)
}

// strike takes a thing out, and strikeNames some of its names. They tidy up after a revocation or a change that
// holds already, so that they do not fail it: an entry that stays behind is skipped.
func (s *Store) strike(ctx context.Context, d directory, id string, names ...string) {
	if err := s.rdb.ZRem(ctx, d.ids, id).Err(); err != nil {
		s.log.WarnContext(ctx, "removing an entry from a list failed; the lists skip it", "id", id, "error", err)
	}
	s.strikeNames(ctx, d, id, names...)
}

func (s *Store) strikeNames(ctx context.Context, d directory, id string, names ...string) {
	for _, name := range names {
		if err := s.rdb.ZRem(ctx, d.names, nameEntry(name, id)).Err(); err != nil {
			s.log.WarnContext(ctx, "removing an entry from a list failed; the lists skip it", "id", id, "error", err)
		}
	}
}

// listing is a query of a directory of things of type T.
type listing[T any] struct {
	directory directory
	query     string // a prefix of the id or of a lower-cased name; empty: all
	read      func(ctx context.Context, ids []string) ([]*T, error)
	id        func(*T) string
	names     func(*T) []string
	wants     func(*T) bool // nil: all
}

// entriesScanned bounds the work of one page: a filter that matches little gives short, even empty, pages
// and goes on with the next.
const entriesScanned = 5_000

// longStep is how many entries at least are read at a time once a page was not full after the first step: then most are
// not listed, and each step costs two round trips or three.
const longStep = 200

// page lists at most limit things: first those found by id, then those found by name alone, each in the
// order of the directory. after is where the last page ended, and next where this one did; both are empty at
// the ends, and must not be shown to a caller.
func (l listing[T]) page(ctx context.Context, s *Store, after string, limit int) (page []*T, next string, err error) {
	walk := directoryWalk{directory: l.directory, query: l.query, byName: strings.ToLower(l.query)}
	walk.start(after)
	for scanned := 0; ; {
		count := limit - len(page) + 1 // one more tells whether there is a next page
		if scanned > 0 {
			count = max(count, longStep)
		}
		entries, err := walk.entries(ctx, s.rdb, count)
		if err != nil {
			return nil, "", err
		}
		things, err := l.read(ctx, walk.idsOf(entries))
		if err != nil {
			return nil, "", err
		}
		for i, thing := range things {
			if thing != nil && l.lists(&walk, thing, entries[i]) {
				if len(page) == limit {
					return page, walk.position(), nil
				}
				page = append(page, thing)
			}
			walk.last = entries[i]
		}
		scanned += len(entries)
		switch {
		case len(entries) < count && !walk.nextIndex():
			return page, "", nil
		case scanned >= entriesScanned:
			return page, walk.position(), nil
		}
	}
}

// lists says whether an entry is this thing's, of today, wanted, and was not listed by its id before.
func (l listing[T]) lists(w *directoryWalk, thing *T, entry string) bool {
	if l.wants != nil && !l.wants(thing) {
		return false
	}
	if !w.names {
		return true
	}
	id, first := l.id(thing), ""
	for _, name := range l.names(thing) { // of two names that match, the first lists it
		if strings.HasPrefix(strings.ToLower(name), w.byName) {
			first = nameEntry(name, id)
			break
		}
	}
	return first == entry && !strings.HasPrefix(id, w.query)
}

// directoryWalk is where a listing is: which index, and the last entry seen in it.
type directoryWalk struct {
	directory     directory
	query, byName string
	names         bool
	last          string
}

func (w *directoryWalk) start(after string) {
	if after == "" {
		return
	}
	w.names, w.last = after[0] == 'n', after[1:]
}

func (w *directoryWalk) position() string {
	if w.names {
		return "n" + w.last
	}
	return "i" + w.last
}

// nextIndex goes on to the names. Without a query the ids were everything.
func (w *directoryWalk) nextIndex() bool {
	if w.names || w.query == "" || w.directory.names == "" {
		return false
	}
	w.names, w.last = true, ""
	return true
}

func (w *directoryWalk) idsOf(entries []string) []string {
	if !w.names {
		return entries
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		_, ids[i], _ = strings.Cut(entry, "\x00")
	}
	return ids
}

func (w *directoryWalk) entries(ctx context.Context, rdb redis.UniversalClient, count int) ([]string, error) {
	key, prefix := w.directory.ids, w.query
	if w.names {
		key, prefix = w.directory.names, w.byName
	}
	from, to := "-", "+"
	if prefix != "" {
		from, to = "["+prefix, "("+prefix+"\xff" // no entry has this byte: it is not in UTF-8
	}
	backwards := w.directory.latestFirst && !w.names
	switch {
	case w.last == "":
	case backwards:
		to = "(" + w.last
	case w.last >= prefix: // before it, only if the page was of another query
		from = "(" + w.last
	}
	if backwards { // as ZRANGE … REV counts
		from, to = to, from
	}
	entries, err := rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: key, Start: from, Stop: to, ByLex: true, Rev: backwards, Count: int64(count),
	}).Result()
	return entries, unavailable("list", err)
}

// readAll reads many hashes in one round trip; nil stands for one that is not there.
func readAll[T any](ctx context.Context, s *Store, ids []string, key func(id string) string, decode func(id string, fields map[string]string) (*T, error)) ([]*T, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HGetAll(ctx, key(id))
		}
		return nil
	}); err != nil {
		return nil, unavailable("list", err)
	}
	things := make([]*T, len(ids))
	for i, cmd := range cmds {
		thing, err := decode(ids[i], cmd.Val())
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		things[i] = thing
	}
	return things, nil
}
