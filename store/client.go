package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// Client is a service that an operator registered.
//
// Its record is one hash, mk:c:<id>. What a client may do depends on fields being there, so that every revocation is an
// HDEL or a DEL, which Redis applies even when it is out of memory.
//
//	meta        ClientMetadata, versioned JSON; without it there is no client
//	on          there while the client is enabled; a new random value each time, which no reader looks at
//	gen         the generation; without it no token is valid
//	life        a random value drawn at registration, to tell this client from a later one of the same id; absent if an
//	            earlier version registered it
//	s:<id>      a secret, versioned JSON
//	k:<key>     the marker of a public key, or of the URL where the keys are, which cannot be used without it; a new random
//	            value each time that the key is registered: see markerField
//	former      the FormerSecrets
//	w           a random value, there while the record may be changed; each revocation deletes it: see changeField
type Client struct {
	ID         string
	Metadata   ClientMetadata
	Enabled    bool
	Generation Generation // none after a revocation that could not draw the next one; see [Store.StartGeneration]
	Secrets    []Secret   // oldest first; one may have expired
	Former     FormerSecrets
	Life       string // tells it from a later client of the same id; empty if an earlier version registered it

	// Unreadable is why there is nothing but the id: a record that is damaged, or of a newer version. Only the lists for
	// operators have such a client.
	Unreadable error
}

func clientKey(id string) string { return "mk:c:" + id }

const (
	metaField   = "meta"
	onField     = "on"
	genField    = "gen"
	lifeField   = "life"
	secretField = "s:"
	formerField = "former"
)

// clientRevocation is a Revocation of what the tokens of a client are worth.
func (c Cause) clientRevocation(id string) Revocation {
	r := c.revocation(ClientRevoked)
	r.ClientID = id
	return r
}

// CreateClient registers c, enabled, under a generation and a life of its own, which it sets. ErrExists if the
// id is taken. After ErrUnavailable it may or may not have happened; repeating it then says
// ErrExists if it has.
func (s *Store) CreateClient(ctx context.Context, c *Client) error {
	c.Generation, c.Enabled, c.Life = NewGeneration(), true, randomValue()
	fields := []any{
		metaField, encodeRecord(c.Metadata), onField, randomValue(), genField, c.Generation[:], lifeField, c.Life,
		changeField, randomValue(),
	}
	for _, secret := range c.Secrets {
		fields = append(fields, secretField+secret.ID, encodeSecret(secret))
	}
	markers, err := marking(nil, &c.Metadata)
	if err != nil {
		return err
	}
	fields = append(fields, markers.drawn...)
	// Index first: an entry without a client is skipped by a listing, while a client without an entry could not be found.
	if err := clients.enter(ctx, s.rdb, c.ID, c.Metadata.Name); err != nil {
		return err
	}
	if err := s.indexSecrets(ctx, c.ID, c.Secrets...); err != nil {
		return err
	}
	cause := Cause{At: c.Metadata.CreatedAt, Reason: "registered"}
	err = s.change(redisdb.WithoutBarrier(ctx), "create client", clientKey(c.ID), func(found map[string]string) (transaction, error) {
		if _, there := found[metaField]; there {
			return transaction{}, ErrExists
		}
		return transaction{
			write: func(p redis.Pipeliner) {
				p.Del(ctx, clientKey(c.ID)) // what is left of an incomplete one
				p.HSet(ctx, clientKey(c.ID), fields...)
			},
			steps: []step{{Revocation: cause.clientRevocation(c.ID)}}, // of what was known about an earlier client of the id
		}, nil
	})
	switch {
	case err == nil:
		s.reindexClient(ctx, c.ID)
	case errors.Is(err, ErrExists):
		s.unindexSecrets(ctx, c.ID, c.Secrets...)
		s.strikeNames(ctx, clients, c.ID, []string{c.Metadata.Name}, nil)
		s.reindexClient(ctx, c.ID) // it may be the other's name too
	}
	return err
}

// Client reads one client. ErrNotFound if there is none.
func (s *Store) Client(ctx context.Context, id string) (*Client, error) {
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", clientKey(id))
	if err := s.db.Do(ctx, "read client", cmd); err != nil {
		return nil, err
	}
	return s.decoded.client(id, cmd.Val())
}

// UpdateClient changes a client's metadata, revokes its tokens if change asks for that, and the public keys that it does not
// have any more. It is repeated when another request changes the client at the same time, so change must do nothing else.
func (s *Store) UpdateClient(ctx context.Context, id string, cause Cause, change func(*ClientMetadata) (revokeTokens bool, err error)) (*Client, error) {
	return s.UpdateClientIf(ctx, id, cause, func(c *Client) (bool, error) { return change(&c.Metadata) })
}

// UpdateClientIf is UpdateClient for a change that depends on more than the metadata: change is given the whole client as
// the transaction has read it, and changes the metadata alone.
func (s *Store) UpdateClientIf(ctx context.Context, id string, cause Cause, change func(*Client) (revokeTokens bool, err error)) (*Client, error) {
	var c *Client
	var oldName, entered string
	err := s.change(ctx, "update client", clientKey(id), func(fields map[string]string) (t transaction, err error) {
		if c, err = s.decoded.client(id, fields); err != nil {
			return t, err
		}
		oldName = c.Metadata.Name
		method, alg := c.Metadata.AuthMethod, c.Metadata.SigningAlg
		revokes, err := change(c)
		if err != nil {
			return t, &planError{err}
		}
		markers, err := marking(fields, &c.Metadata)
		if err != nil {
			return t, &planError{err}
		}
		write := append([]any{metaField, encodeRecord(c.Metadata)}, markers.drawn...)
		t.steps = markers.steps(cause, id, fields)
		if len(t.steps) == 0 && (c.Metadata.AuthMethod != method || c.Metadata.SigningAlg != alg) { // how it authenticated may not do any more
			t.steps = append(t.steps, step{Revocation: cause.clientKeyRevocation(id)})
		}
		if revokes && c.Enabled { // a disabled one gets its generation when it is enabled
			old := rollback.OfFields(clientKey(id), genField).While(genField, fields[genField])
			t.steps = append(t.steps, step{Revocation: cause.clientRevocation(id), deletions: []rollback.Deletion{old}})
			c.Generation = NewGeneration()
			write = append(write, genField, c.Generation[:])
		}
		if c.Metadata.Name != oldName && c.Metadata.Name != entered { // the entry before the name
			return t, s.entering(ctx, clients, id, &entered, c.Metadata.Name)
		}
		t.write = func(p redis.Pipeliner) {
			p.HSet(ctx, clientKey(id), write...)
			if len(markers.removed) > 0 {
				p.HDel(ctx, clientKey(id), markers.removed...)
			}
		}
		return t, nil
	})
	if err != nil {
		return nil, err
	}
	if c.Metadata.Name != oldName {
		s.strikeNames(ctx, clients, id, []string{oldName}, []string{c.Metadata.Name})
		s.reindexClient(ctx, id)
	}
	return c, nil
}

// EnableClient lets a client work again, under a new generation: its old tokens stay revoked. One that is enabled stays
// so, even if a disabling of unknown outcome is applied later.
func (s *Store) EnableClient(ctx context.Context, id string, cause Cause) error {
	return s.enableClient(ctx, id, cause, false)
}

// KeepClientEnabled is EnableClient for a caller who read the client as enabled and therefore recorded no event.
// ErrConflict if it was disabled since.
func (s *Store) KeepClientEnabled(ctx context.Context, id string, cause Cause) error {
	return s.enableClient(ctx, id, cause, true)
}

func (s *Store) enableClient(ctx context.Context, id string, cause Cause, wasEnabled bool) error {
	on := randomValue()
	return s.change(ctx, "enable client", clientKey(id), func(fields map[string]string) (transaction, error) {
		c, err := s.decoded.client(id, fields)
		if err != nil {
			return transaction{}, err
		}
		if wasEnabled && !c.Enabled {
			return transaction{}, &planError{ErrConflict}
		}
		g := NewGeneration()
		return transaction{
			write: func(p redis.Pipeliner) {
				p.HSet(ctx, clientKey(id), onField, on)
				if !c.Enabled {
					p.HSet(ctx, clientKey(id), genField, g[:])
				}
			},
			steps:   []step{{Revocation: cause.clientRevocation(id)}},
			enabled: onField, value: on,
		}, nil
	})
}

// DisableClient revokes every token of the client and rejects it until it is enabled.
func (s *Store) DisableClient(ctx context.Context, id string, cause Cause) error {
	return s.revokeFields(ctx, "disable client", clientKey(id), cause.clientRevocation(id), onField, genField)
}

// RevokeClientTokens revokes every token that was issued to the client until now. The client may go on.
func (s *Store) RevokeClientTokens(ctx context.Context, id string, cause Cause) error {
	revoked := s.revokeFields(ctx, "revoke tokens", clientKey(id), cause.clientRevocation(id), genField)
	if redisdb.Failed(revoked) {
		return revoked
	}
	// The revocation holds from here. If the next generation cannot be drawn now, because Redis takes no
	// writes, the next token draws it.
	c, err := s.Client(ctx, id)
	if err == nil {
		_, err = s.StartGeneration(redisdb.WithoutBarrier(ctx), c)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		s.log.WarnContext(ctx, "creating the next generation of a client failed; its next token request retries it", "client_id", id, "error", err)
	}
	return revoked
}

// StartGeneration gives an enabled client without a generation one, and returns the one that it then has. ErrNotFound if
// there is no such client, or it is disabled. ErrUnavailable if the client has changed since read was read: a token that
// was granted to read must not be valid for its successor, or for less.
func (s *Store) StartGeneration(ctx context.Context, read *Client) (g Generation, err error) {
	const op = "start generation"
	err = s.change(ctx, op, clientKey(read.ID), func(fields map[string]string) (transaction, error) {
		c, err := s.decoded.client(read.ID, fields)
		switch {
		case err != nil:
			return transaction{}, err
		case !c.Enabled:
			return transaction{}, ErrNotFound
		case !c.isAsRead(read):
			return transaction{}, unavailable(op, errors.New("the client was changed since it was read"))
		}
		if g = c.Generation; g != (Generation{}) {
			return transaction{}, nil
		}
		g = NewGeneration()
		return write(func(p redis.Pipeliner) { p.HSet(ctx, clientKey(read.ID), genField, g[:]) })
	})
	return g, err
}

// isAsRead is whether c is still the client that was read: the same registration, with the same metadata and secrets.
func (c *Client) isAsRead(read *Client) bool {
	return c.Life == read.Life && c.Enabled == read.Enabled &&
		reflect.DeepEqual(c.Metadata, read.Metadata) && reflect.DeepEqual(c.Secrets, read.Secrets)
}

// DeleteClient removes the client, and revokes its secrets and its tokens. The id may be registered again;
// nothing of the old client comes back with it.
func (s *Store) DeleteClient(ctx context.Context, id string, cause Cause) error {
	fields, err := s.rdb.HGetAll(ctx, clientKey(id)).Result()
	var c *Client
	if err == nil {
		c, err = s.decoded.client(id, fields)
	}
	if errors.Is(err, ErrNotFound) {
		return cmp.Or(s.confirmGone(ctx, "delete client", clientKey(id), metaField, cause.clientRevocation(id)), err)
	}
	// An unreadable record can be deleted too.
	condition := lifeField
	if fields[condition] == "" { // it was registered by a version that drew none
		condition = onField
	}
	record := rollback.OfKey(clientKey(id)).While(condition, fields[condition])
	_, err = s.revoke(ctx, "delete client", step{Revocation: cause.clientRevocation(id), deletions: []rollback.Deletion{record}})
	if redisdb.Failed(err) {
		return err
	}
	name := ""
	if c != nil {
		name = c.Metadata.Name
	}
	s.unindexSecrets(ctx, id, s.decoded.secretsOf(fields)...)
	s.strike(ctx, clients, id, name)
	s.reindexClient(ctx, id)
	s.forgetUses(ctx, id)
	return err
}

func (d *decoded) client(id string, fields map[string]string) (*Client, error) {
	meta, there := fields[metaField]
	if !there {
		return nil, ErrNotFound
	}
	record, err := d.clients.decode(meta)
	if err != nil {
		return nil, fmt.Errorf("client %s: %w", id, err)
	}
	c := &Client{ID: id, Metadata: record.usable(fields), Life: fields[lifeField]}
	_, c.Enabled = fields[onField]
	c.Generation, c.Former = generationOf(fields[genField]), decodeFormer(fields[formerField])
	for field, value := range fields {
		secretID, ok := strings.CutPrefix(field, secretField)
		if !ok {
			continue
		}
		secret, err := d.secret(secretID, value)
		if err != nil {
			return nil, fmt.Errorf("client %s: secret %s: %w", id, secretID, err)
		}
		c.Secrets = append(c.Secrets, secret)
	}
	if len(c.Secrets) > 1 {
		slices.SortFunc(c.Secrets, func(a, b Secret) int {
			return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
		})
	}
	return c, nil
}

var clients = directory{ids: "mk:clients:id", names: "mk:clients:name", words: "mk:clients:word"}

// reindexClient puts the entries of a client back, should they have been taken away: tidying up after a deleted client
// may come late, when the next one of the id is registered. Both the request that wrote the client and the one that took
// an entry away call it, so that the last of them sees what the other did.
func (s *Store) reindexClient(ctx context.Context, id string) {
	c, err := s.Client(ctx, id)
	if err == nil {
		err = clients.enter(ctx, s.rdb, id, c.Metadata.Name)
	}
	if err != nil && !isNotFound(err) {
		s.log.WarnContext(ctx, "adding a client to the list failed", "client_id", id, "error", err)
	}
}
