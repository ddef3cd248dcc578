package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Owned are credentials, by their digests, and who is said to own them: a client, a user, or one for the other. ReadOwned
// sets the rest. What is not there is nil, and so is what this version cannot read: a caller learns of neither whether it is
// active.
type Owned struct {
	ClientID, UserID string // empty: none is said to
	Digests          []Digest

	Client      *Client
	User        *User
	Credentials []*Credential // as Digests
}

// ReadOwned reads the credentials and the owners of all groups in one round trip. An error is for what could not be read:
// then nothing is known of any.
func (s *Store) ReadOwned(ctx context.Context, groups []Owned) error {
	var cmds []redis.Cmder
	owner := func(key string) *redis.MapStringStringCmd {
		cmd := redis.NewMapStringStringCmd(ctx, "hgetall", key)
		cmds = append(cmds, cmd)
		return cmd
	}
	reads := make([]ownedReads, len(groups))
	for i, g := range groups {
		if g.ClientID != "" {
			reads[i].client = owner(clientKey(g.ClientID))
		}
		if g.UserID != "" {
			reads[i].user = owner(userKey(g.UserID))
		}
		reads[i].records = make([]*redis.StringCmd, len(g.Digests))
		for j, d := range g.Digests {
			reads[i].records[j] = s.credentials.get(ctx, d)
			cmds = append(cmds, reads[i].records[j])
		}
	}
	if err := s.db.Do(ctx, "read credentials", cmds...); err != nil {
		return err
	}
	for i := range groups {
		reads[i].into(&groups[i], &s.decoded)
	}
	return nil
}

// ownedReads are the commands of one group.
type ownedReads struct {
	client, user *redis.MapStringStringCmd // nil: none is read
	records      []*redis.StringCmd
}

// into decodes the answers. What cannot be decoded stays nil.
func (r *ownedReads) into(g *Owned, decoded *decoded) {
	if r.client != nil {
		g.Client, _ = decoded.client(g.ClientID, r.client.Val())
	}
	if r.user != nil {
		g.User, _ = decoded.user(g.UserID, r.user.Val())
	}
	g.Credentials = make([]*Credential, len(r.records))
	for i, cmd := range r.records {
		if record, err := decodeCredential(cmd); err == nil {
			g.Credentials[i] = record
		}
	}
}
