package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// recordKind is the records of one kind: their keys, and the directory that should list them.
type recordKind struct {
	directory
	prefix string                              // of a key, before the id
	names  func(meta string) ([]string, error) // that the directory has for a record
}

var (
	clientRecords = recordKind{clients, clientKey(""), func(meta string) ([]string, error) {
		var m ClientMetadata
		err := decodeRecord(meta, &m)
		return []string{m.Name}, err
	}}
	userRecords = recordKind{users, userKey(""), func(meta string) ([]string, error) {
		var m UserMetadata
		err := decodeRecord(meta, &m)
		return m.names(), err
	}}
)

const everyPage = 500

// everyID is the id of each record of a kind, in order, whether or not the directory lists it. It walks all keys of every
// primary, and the directory, which has what is being moved between two nodes meanwhile. It is for operators' tools: no
// request waits for it.
func (s *Store) everyID(ctx context.Context, kind recordKind) ([]string, error) {
	var mu sync.Mutex
	var ids []string
	err := s.db.EachPrimary(ctx, func(ctx context.Context, node *redis.Client) error {
		for cursor := uint64(0); ; {
			keys, next, err := node.Scan(ctx, cursor, kind.prefix+"*", 2*everyPage).Result()
			if err != nil {
				return err
			}
			mu.Lock()
			for _, key := range keys {
				ids = append(ids, strings.TrimPrefix(key, kind.prefix))
			}
			mu.Unlock()
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
	if err != nil {
		return nil, unavailable("walk all records", err)
	}
	walk := &directoryWalk{directory: kind.directory}
	for {
		entries, err := walk.entries(ctx, s.rdb, everyPage)
		if err != nil {
			return nil, err
		}
		ids = append(ids, entries...)
		if len(entries) < everyPage {
			slices.Sort(ids)
			return slices.Compact(ids), nil
		}
		walk.last = entries[len(entries)-1]
	}
}

// list enters the records of these ids in their directory, and tells how many of them it did not have. Entries that are
// there stay.
func (s *Store) list(ctx context.Context, kind recordKind, ids []string) (missing int64, err error) {
	found, entries, err := s.directoryEntries(ctx, kind, ids)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	missing, err = s.rdb.ZAdd(ctx, kind.ids, members(found)...).Result()
	if err == nil {
		_, err = entries.Exec(ctx)
	}
	return missing, unavailable("list all records", err)
}

// directoryEntries reads records, and says which there are. The pipeline, when it is executed, enters their names and words.
func (s *Store) directoryEntries(ctx context.Context, kind recordKind, ids []string) (found []string, entries redis.Pipeliner, err error) {
	metas := make([]*redis.StringCmd, len(ids))
	_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
		for i, id := range ids {
			metas[i] = p.HGet(ctx, kind.prefix+id, metaField)
		}
		return nil
	})
	entries = s.rdb.Pipeline()
	for i, meta := range metas {
		switch err := meta.Err(); {
		case redisdb.ErrorPrefix(err) == wrongType, errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return nil, nil, unavailable("list all records", err)
		}
		found = append(found, ids[i])
		if names, err := kind.names(meta.Val()); err == nil { // else it cannot be read: its id finds it
			kind.enterNames(ctx, entries, ids[i], names...)
		}
	}
	return found, entries, nil
}

// sweepDirectories sweeps the words of clients and users.
func (s *Store) sweepDirectories(ctx context.Context) error {
	return errors.Join(s.sweepWords(ctx, clientRecords, &s.sweptWords[0]), s.sweepWords(ctx, userRecords, &s.sweptWords[1]))
}

// sweepWords enters the names and words of some records of a kind each time, behind those of the last time. Version 0.1.0
// entered no words.
func (s *Store) sweepWords(ctx context.Context, kind recordKind, last *string) error {
	ids, err := (&directoryWalk{directory: kind.directory, last: *last}).entries(ctx, s.rdb, everyPage)
	if err != nil {
		return err
	}
	if *last = ""; len(ids) == everyPage {
		*last = ids[everyPage-1]
	}
	_, entries, err := s.directoryEntries(ctx, kind, ids)
	if err == nil {
		_, err = entries.Exec(ctx)
	}
	return unavailable("enter words", err)
}

// ListAll enters every client and every user in their lists, and tells how many were missing there.
func (s *Store) ListAll(ctx context.Context) (missing int, err error) {
	for _, kind := range []recordKind{clientRecords, userRecords} {
		ids, err := s.everyID(ctx, kind)
		if err != nil {
			return missing, err
		}
		for page := range slices.Chunk(ids, everyPage) {
			entered, err := s.list(ctx, kind, page)
			if err != nil {
				return missing, err
			}
			missing += int(entered)
		}
	}
	return missing, nil
}

// EachClient calls f for every client that can be read, listed or not, in the order of the ids.
func (s *Store) EachClient(ctx context.Context, f func(*Client)) error {
	ids, err := s.everyID(ctx, clientRecords)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(ids, everyPage) {
		if _, err := s.tryHashes(ctx, page, clientKey, func(id string, fields map[string]string) error {
			c, err := s.decoded.client(id, fields)
			if err == nil {
				f(c)
			}
			return err
		}); err != nil {
			return unavailable("read all clients", err)
		}
	}
	return nil
}

// UserRecord is a user as a walk over all users meets them: an unreadable record must not stop the walk.
type UserRecord struct {
	ID   string
	User *User // nil if the record cannot be read
	Err  error // why: [ErrNewerRecord], or [ErrUnavailable] for a damaged one
}

// EachUserPage calls f with users, some at once, listed or not, in the order of their ids, and tells how many there are in all. It
// ends with the first error of f. A user who is created or deleted while the walk is under way may be in it or not.
func (s *Store) EachUserPage(ctx context.Context, f func(page []UserRecord, all int) error) error {
	ids, err := s.everyID(ctx, userRecords)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, everyPage) {
		page, err := s.userPage(ctx, some)
		if err != nil {
			return err
		}
		if err := f(page, len(ids)); err != nil {
			return err
		}
	}
	return nil
}

// userPage reads users. One who does not exist is left out.
func (s *Store) userPage(ctx context.Context, ids []string) (page []UserRecord, err error) {
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HGetAll(ctx, userKey(id))
		}
		return nil
	}); err != nil && redisdb.ErrorPrefix(err) != wrongType {
		return nil, unavailable("read users", err)
	}
	for i, cmd := range cmds {
		r := UserRecord{ID: ids[i]}
		if r.Err = cmd.Err(); r.Err == nil {
			r.User, r.Err = s.decoded.user(r.ID, cmd.Val())
		} else {
			r.Err = fmt.Errorf("user %s: %w", r.ID, unavailable("read", r.Err))
		}
		if !isNotFound(r.Err) {
			page = append(page, r)
		}
	}
	return page, nil
}

// CountRecords is how many records of clients and users there are, listed or not.
func (s *Store) CountRecords(ctx context.Context) (clients, users int, err error) {
	c, err := s.everyID(ctx, clientRecords)
	if err != nil {
		return 0, 0, err
	}
	u, err := s.everyID(ctx, userRecords)
	return len(c), len(u), err
}

// AbsentClients are those of the ids that no client has.
func (s *Store) AbsentClients(ctx context.Context, ids []string) ([]string, error) {
	return s.absent(ctx, ids, func(id string) []any { return []any{"hexists", clientKey(id), metaField} })
}

// AbsentUsers are those of the ids that no user has.
func (s *Store) AbsentUsers(ctx context.Context, ids []string) ([]string, error) {
	return s.absent(ctx, ids, func(id string) []any { return []any{"hexists", userKey(id), metaField} })
}

// AbsentKeys are those of the ids that no API key has, active or not.
func (s *Store) AbsentKeys(ctx context.Context, ids []string) ([]string, error) {
	return s.absent(ctx, ids, func(id string) []any { return []any{"exists", apiKeyKey(id)} })
}

// absent asks by a command that answers 0 for what is not there.
func (s *Store) absent(ctx context.Context, ids []string, ask func(id string) []any) (absent []string, err error) {
	for page := range slices.Chunk(ids, everyPage) {
		cmds := make([]*redis.IntCmd, len(page))
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range page {
				cmds[i] = redis.NewIntCmd(ctx, ask(id)...)
				_ = p.Process(ctx, cmds[i])
			}
			return nil
		})
		if err != nil {
			return nil, unavailable("look for records", err)
		}
		for i, cmd := range cmds {
			if cmd.Val() == 0 {
				absent = append(absent, page[i])
			}
		}
	}
	return absent, nil
}

// Recorded says of each event whether it is in the audit log, so that what it tells of is in the data as well. In a cluster
// none is: the log is on one shard, and another may be older.
func (s *Store) Recorded(ctx context.Context, events []Event) ([]bool, error) {
	recorded := make([]bool, len(events))
	if s.db.IsCluster() {
		return recorded, nil
	}
	for from := 0; from < len(events); from += everyPage {
		cmds := map[int]*redis.XMessageSliceCmd{}
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := from; i < min(from+everyPage, len(events)); i++ {
				if at, err := parseEventPosition(events[i].ID); err == nil {
					cmds[i] = p.XRevRange(ctx, s.streamOf(events[i]).key, at.id(), at.id())
				}
			}
			return nil
		})
		if err != nil {
			return nil, unavailable("read audit", err)
		}
		for i, cmd := range cmds {
			recorded[i] = len(cmd.Val()) > 0
		}
	}
	return recorded, nil
}
