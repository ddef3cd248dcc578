package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The public keys of a client are in its metadata. Here is when they were last used: fields of mk:u:<client id>, beside
// those of its secrets, by the thumbprints of the keys (RFC 7638).

// keyUseField begins the field of a key. No secret's id begins so.
const keyUseField = "k:"

// RecordClientKeyUse records that a key of a client was used, as RecordSecretUse does.
func (s *Store) RecordClientKeyUse(clientID, thumbprint string) {
	s.uses.record(use{usesKey(clientID), keyUseField + thumbprint}, Use{At: s.now()})
}

// ClientUses are the last uses of what a client authenticates with, to within the 5 s before they are written. What is not
// among them was not used in 400 days.
type ClientUses struct {
	Secrets map[string]time.Time // by the id of the secret
	Keys    map[string]time.Time // by the thumbprint of the key
}

// ClientUses tells of one client.
func (s *Store) ClientUses(ctx context.Context, clientID string) (ClientUses, error) {
	uses, err := s.ClientUsesOf(ctx, []string{clientID})
	if err != nil {
		return ClientUses{}, err
	}
	return uses[0], nil
}

// ClientUsesOf is ClientUses for many clients, in one round trip.
func (s *Store) ClientUsesOf(ctx context.Context, clientIDs []string) ([]ClientUses, error) {
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
	uses := make([]ClientUses, len(clientIDs))
	for i, cmd := range cmds {
		uses[i] = parseClientUses(cmd.Val())
	}
	return uses, nil
}

func parseClientUses(fields map[string]string) ClientUses {
	uses := ClientUses{map[string]time.Time{}, map[string]time.Time{}}
	for field, value := range fields {
		u, ok := parseUse(value)
		thumbprint, isKey := strings.CutPrefix(field, keyUseField)
		switch {
		case !ok || field == lastTokenField || field == lastRejectionField:
		case isKey:
			uses.Keys[thumbprint] = u.At
		default:
			uses.Secrets[field] = u.At
		}
	}
	return uses
}

// KeepClientKeys forgets the last uses of all keys of a client but these. It tidies up after keys that were removed, and
// fails nothing: what stays behind expires.
func (s *Store) KeepClientKeys(ctx context.Context, clientID string, thumbprints []string) {
	gone := func(field string) bool {
		thumbprint, isKey := strings.CutPrefix(field, keyUseField)
		return isKey && !slices.Contains(thumbprints, thumbprint)
	}
	s.uses.mu.Lock()
	for at := range s.uses.last {
		if at.key == usesKey(clientID) && gone(at.field) {
			delete(s.uses.last, at)
		}
	}
	s.uses.mu.Unlock()
	fields, err := s.rdb.HGetAll(ctx, usesKey(clientID)).Result()
	if err == nil {
		var removed []string
		for field := range fields {
			if gone(field) {
				removed = append(removed, field)
			}
		}
		err = s.deleteUses(ctx, clientID, removed)
	}
	if err != nil {
		s.log.WarnContext(ctx, "deleting the last uses of the keys of a client failed; they expire", "client_id", clientID, "error", err)
	}
}

func (s *Store) deleteUses(ctx context.Context, clientID string, fields []string) error {
	if len(fields) == 0 {
		return nil
	}
	return s.rdb.HDel(ctx, usesKey(clientID), fields...).Err()
}

// maxKeyUses is how many keys of one client have a last use, at most. A client whose keys are at a URL may have another
// one each day, of which no replica learns that it was removed.
const maxKeyUses = 100

// trimKeyUses forgets the keys of used clients that were used the longest ago, beyond the maximum.
func (s *Store) trimKeyUses(ctx context.Context, used map[use]recorded) error {
	lengths := map[string]*redis.IntCmd{}
	p := s.rdb.Pipeline()
	for at := range used {
		if id, ok := strings.CutPrefix(at.key, usesKey("")); ok && strings.HasPrefix(at.field, keyUseField) && lengths[id] == nil {
			lengths[id] = p.HLen(ctx, at.key)
		}
	}
	if p.Len() == 0 {
		return nil
	}
	if _, err := p.Exec(ctx); err != nil {
		return unavailable("count last uses", err)
	}
	var failed error
	for id, length := range lengths {
		if length.Val() <= maxKeyUses {
			continue
		}
		uses, err := s.ClientUses(ctx, id)
		if err == nil {
			err = unavailable("delete last uses", s.deleteUses(ctx, id, uses.oldestKeys()))
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// oldestKeys are the fields of those that are beyond the maximum.
func (u ClientUses) oldestKeys() (fields []string) {
	if len(u.Keys) <= maxKeyUses {
		return nil
	}
	for thumbprint := range u.Keys {
		fields = append(fields, keyUseField+thumbprint)
	}
	slices.SortFunc(fields, func(a, b string) int {
		return u.Keys[a[len(keyUseField):]].Compare(u.Keys[b[len(keyUseField):]])
	})
	return fields[:len(fields)-maxKeyUses]
}
