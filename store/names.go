package store

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// Names are what users, clients and keys are called, by their ids: the email of a user, the name of a client, or its id if
// it has none, and the name of a key. Unreadable are those that exist, but whose records cannot be read: "user:<id>",
// "client:<id>", "key:<id>".
type Names struct {
	Users, Clients, Keys map[string]string
	Unreadable           map[string]bool
}

// Names reads what users, clients and keys are called, in one round trip. What does not exist is not among them.
func (s *Store) Names(ctx context.Context, userIDs, clientIDs, keyIDs []string) (names Names, err error) {
	p := s.rdb.Pipeline()
	read := func(ids []string, command func(id string) *redis.StringCmd) map[string]*redis.StringCmd {
		cmds := make(map[string]*redis.StringCmd, len(ids))
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			cmds[id] = command(id)
		}
		return cmds
	}
	users := read(userIDs, func(id string) *redis.StringCmd { return p.HGet(ctx, userKey(id), metaField) })
	clients := read(clientIDs, func(id string) *redis.StringCmd { return p.HGet(ctx, clientKey(id), metaField) })
	keys := read(keyIDs, func(id string) *redis.StringCmd { return p.Get(ctx, apiKeyKey(id)) })
	if p.Len() == 0 {
		return names, nil
	}
	_, _ = p.Exec(ctx) // each command has its own error
	var errs [3]error
	names.Users, errs[0] = names.called("user:", users, func(_, record string) (string, error) {
		m, err := s.decoded.users.decode(record)
		return m.Email, err
	})
	names.Clients, errs[1] = names.called("client:", clients, func(id, record string) (string, error) {
		m, err := s.decoded.clients.decode(record)
		return cmp.Or(m.Name, id), err
	})
	names.Keys, errs[2] = names.called("key:", keys, func(id, record string) (string, error) {
		k, err := decodeKey(id, record)
		if err != nil {
			return "", err
		}
		return k.Name, nil
	})
	return names, unavailable("read names", cmp.Or(errs[0], errs[1], errs[2]))
}

// called are the names in records that were read.
func (n *Names) called(kind string, cmds map[string]*redis.StringCmd, decode func(id, record string) (string, error)) (map[string]string, error) {
	names := make(map[string]string, len(cmds))
	for id, cmd := range cmds {
		record, err := cmd.Result()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case redisdb.ErrorPrefix(err) == wrongType:
			n.unreadable(kind + id)
			continue
		case err != nil:
			return nil, err
		}
		if name, err := decode(id, record); err == nil {
			names[id] = name
		} else {
			n.unreadable(kind + id)
		}
	}
	return names, nil
}

func (n *Names) unreadable(subject string) {
	if n.Unreadable == nil {
		n.Unreadable = map[string]bool{}
	}
	n.Unreadable[subject] = true
}
