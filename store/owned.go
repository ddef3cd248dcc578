package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Owned are credentials, by their digests, and who owns them, as the caller says: a client or a user. ReadOwned sets the rest. A
// record that does not exist is nil, and so is one that this version cannot read: of neither is it known whether it is active.
type Owned struct {
	ClientID, UserID string // empty: the caller names none
	Digests          []Digest

	Client      *Client
	User        *User
	Credentials []*Credential // as Digests
}

// ReadOwned reads the credentials and the owners of all groups in one round trip. With an error nothing is known of any.
func (s *Store) ReadOwned(ctx context.Context, groups []Owned) error {
	n := 0
	for _, g := range groups {
		n += 2 + len(g.Digests)
	}
	cmds := make([]redis.Cmder, 0, n)
	owners := map[string]*redis.MapStringStringCmd{}
	owner := func(key string) *redis.MapStringStringCmd { // once: a request may name one with a large record hundreds of times
		if owners[key] == nil {
			owners[key] = redis.NewMapStringStringCmd(ctx, "hgetall", key)
			cmds = append(cmds, owners[key])
		}
		return owners[key]
	}
	clients, users := make([]*redis.MapStringStringCmd, len(groups)), make([]*redis.MapStringStringCmd, len(groups))
	reads := make([][]*redis.StringCmd, len(groups))
	for i, g := range groups {
		if g.ClientID != "" {
			clients[i] = owner(clientKey(g.ClientID))
		}
		if g.UserID != "" {
			users[i] = owner(userKey(g.UserID))
		}
		reads[i] = make([]*redis.StringCmd, len(g.Digests))
		for j, d := range g.Digests { // one command each: in a cluster they lie on different nodes
			reads[i][j] = s.credentials.get(ctx, d)
			cmds = append(cmds, reads[i][j])
		}
	}
	if err := s.db.Do(ctx, "read credentials", cmds...); err != nil {
		return err
	}
	for i := range groups {
		g := &groups[i]
		if clients[i] != nil { // of a record that cannot be decoded there is nothing
			g.Client, _ = s.decoded.client(g.ClientID, clients[i].Val())
		}
		if users[i] != nil {
			g.User, _ = s.decoded.user(g.UserID, users[i].Val())
		}
		g.Credentials = make([]*Credential, len(g.Digests))
		for j, cmd := range reads[i] {
			if record, err := decodeCredential(cmd); err == nil {
				g.Credentials[j] = record
			}
		}
	}
	return nil
}
