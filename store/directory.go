package store

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// directory lists the things of one kind from three sorted sets, in the order of their bytes: the ids, the lower-cased
// names with the ids behind them, and the words of names and ids likewise. They hold at least every thing that exists; an
// entry without its thing, left by a crash or a lost race, is skipped by listings.
type directory struct {
	ids, names, words string // keys; names and words may be empty: only the ids are listed
	// idPrefix begins every id, which is in lower case and has no words. Empty: callers choose the ids.
	idPrefix string
	// latestFirst lists the ids backwards, for ids that begin with their time.
	latestFirst bool
}

// nameEntry is "name NUL id". A name has no control characters.
func nameEntry(name, id string) string { return strings.ToLower(name) + "\x00" + id }

// maxWords bounds how many words of one name have an entry: the first ones. A name has at most 200 characters.
const maxWords = 10

// wordsOf are the words of a name behind its first, in lower case, each with what follows it: so a query of several words
// is found as well.
func wordsOf(name string) (words []string) {
	name = strings.ToLower(name)
	for i := 1; i < len(name) && len(words) < maxWords; i++ {
		if isSeparator(name[i-1]) && !isSeparator(name[i]) {
			words = append(words, name[i:])
		}
	}
	return words
}

func isSeparator(c byte) bool { return strings.IndexByte(" ._-@", c) >= 0 }

// nameEntries are the entries of a thing in d.names.
func nameEntries(id string, names []string) (entries []string) {
	for _, name := range names {
		entries = append(entries, nameEntry(name, id))
	}
	return entries
}

// wordEntries are the entries of a thing in d.words, in their order. An id that a caller chose has one as a whole too:
// d.ids finds it only as it is written.
func (d directory) wordEntries(id string, names []string) (entries []string) {
	for _, name := range names {
		for _, word := range wordsOf(name) {
			entries = append(entries, nameEntry(word, id))
		}
	}
	if d.idPrefix == "" {
		entries = append(entries, nameEntry(id, id))
		for _, word := range wordsOf(id) {
			entries = append(entries, nameEntry(word, id))
		}
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

// minIDQuery is how long a query must be to find generated ids by what follows their prefix, which is random.
const minIDQuery = 6

// idQuery is what the ids begin with that a query finds. Without the prefix of generated ids, it begins the rest of one.
func (d directory) idQuery(query string) string {
	if d.idPrefix == "" {
		return query
	}
	query = strings.ToLower(query)
	if len(query) < minIDQuery || strings.HasPrefix(query, d.idPrefix) {
		return query
	}
	return d.idPrefix + query
}

// finds says whether a query finds a thing by its id, its names or their words.
func (d directory) finds(query, id string, names []string) bool {
	begins := func(entry string) bool { return strings.HasPrefix(entry, strings.ToLower(query)) }
	return strings.HasPrefix(id, d.idQuery(query)) ||
		slices.ContainsFunc(nameEntries(id, names), begins) || slices.ContainsFunc(d.wordEntries(id, names), begins)
}

// enter adds the entries of a thing. It may be repeated.
func (d directory) enter(ctx context.Context, rdb redis.UniversalClient, id string, names ...string) error {
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, d.ids, redis.Z{Member: id})
		d.enterNames(ctx, p, id, names...)
		return nil
	})
	return unavailable("enter in a directory", err)
}

// entering is the error of a plan that has not entered the next name of a thing yet. entered is the name that was.
func (s *Store) entering(ctx context.Context, d directory, id string, entered *string, next string) error {
	return &prerequisite{func() error {
		*entered = next
		return d.enter(ctx, s.rdb, id, next)
	}}
}

// enterNames adds those of its names and their words.
func (d directory) enterNames(ctx context.Context, p redis.Pipeliner, id string, names ...string) {
	if entries := nameEntries(id, names); len(entries) > 0 {
		p.ZAdd(ctx, d.names, members(entries)...)
	}
	if entries := d.wordEntries(id, names); len(entries) > 0 {
		p.ZAdd(ctx, d.words, members(entries)...)
	}
}

// members are entries of a sorted set by their bytes.
func members(entries []string) []redis.Z {
	all := make([]redis.Z, len(entries))
	for i, entry := range entries {
		all[i].Member = entry
	}
	return all
}

// strike takes a thing out, and strikeNames what it has no more under its new names. They tidy up after a revocation or a
// change that holds already, so that they do not fail it: an entry that stays behind is skipped.
func (s *Store) strike(ctx context.Context, d directory, id string, names ...string) {
	s.strikeEntries(ctx, d.ids, id, []string{id})
	s.strikeEntries(ctx, d.names, id, nameEntries(id, names))
	s.strikeEntries(ctx, d.words, id, d.wordEntries(id, names))
}

func (s *Store) strikeNames(ctx context.Context, d directory, id string, before, after []string) {
	s.strikeEntries(ctx, d.names, id, without(nameEntries(id, before), nameEntries(id, after)))
	s.strikeEntries(ctx, d.words, id, without(d.wordEntries(id, before), d.wordEntries(id, after)))
}

func (s *Store) strikeEntries(ctx context.Context, key, id string, entries []string) {
	if len(entries) == 0 {
		return
	}
	if err := s.rdb.ZRem(ctx, key, anys(entries)...).Err(); err != nil {
		s.log.WarnContext(ctx, "removing an entry from a list failed; the lists skip it", "id", id, "error", err)
	}
}

// without are the entries of before that are not in after.
func without(before, after []string) []string {
	return slices.DeleteFunc(before, func(entry string) bool { return slices.Contains(after, entry) })
}

func anys(entries []string) []any {
	all := make([]any, len(entries))
	for i, entry := range entries {
		all[i] = entry
	}
	return all
}

// listing is a query of a directory of things of type T.
type listing[T any] struct {
	directory directory
	query     string // what the id, a name or a word of them begins with; empty: all
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

// page lists at most limit things: first those found by id, then those by the beginning of a name, then those by another
// word, each in the order of the directory. after is where the last page ended, and next where this one did; both are
// empty at the ends, and must not be shown to a caller.
func (l listing[T]) page(ctx context.Context, s *Store, after string, limit int) (page []*T, next string, err error) {
	walk := directoryWalk{directory: l.directory, query: l.directory.idQuery(l.query), byName: strings.ToLower(l.query)}
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

// lists says whether an entry is this thing's, of today, wanted, and was not listed by its id or its name before.
func (l listing[T]) lists(w *directoryWalk, thing *T, entry string) bool {
	if l.wants != nil && !l.wants(thing) {
		return false
	}
	id, names := l.id(thing), l.names(thing)
	if w.index == byID {
		return true
	}
	if strings.HasPrefix(id, w.query) {
		return false
	}
	begins := func(entry string) bool { return strings.HasPrefix(entry, w.byName) }
	first := func(entries []string) string { // of two entries that match, the first lists it
		return entries[slices.IndexFunc(entries, begins)]
	}
	entries := nameEntries(id, names)
	switch named := slices.ContainsFunc(entries, begins); {
	case w.index == byName:
		return named && first(entries) == entry
	case named:
		return false
	}
	entries = l.directory.wordEntries(id, names)
	return slices.ContainsFunc(entries, begins) && first(entries) == entry
}

// The indexes of a directory, in the order in which a listing goes through them.
const (
	byID = iota
	byName
	byWord
)

// indexMarks begin a position, by the index in which it is.
const indexMarks = "inw"

// directoryWalk is where a listing is: which index, and the last entry seen in it.
type directoryWalk struct {
	directory     directory
	query, byName string // what ids begin with, and what names and words do
	index         int
	last          string
}

func (w *directoryWalk) start(after string) {
	if after == "" {
		return
	}
	w.index, w.last = max(strings.IndexByte(indexMarks, after[0]), byID), after[1:]
}

func (w *directoryWalk) position() string { return indexMarks[w.index:w.index+1] + w.last }

// nextIndex goes on to the names, and to the words. Without a query the ids were everything.
func (w *directoryWalk) nextIndex() bool {
	if w.index == byWord || w.query == "" || w.directory.names == "" {
		return false
	}
	w.index, w.last = w.index+1, ""
	return true
}

func (w *directoryWalk) idsOf(entries []string) []string {
	if w.index == byID {
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
	if w.index != byID {
		key, prefix = []string{byName: w.directory.names, byWord: w.directory.words}[w.index], w.byName
	}
	from, to := "-", "+"
	if prefix != "" {
		from, to = "["+prefix, "("+prefix+"\xff" // no entry has this byte: it is not in UTF-8
	}
	backwards := w.directory.latestFirst && w.index == byID
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
