package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Client is a service that an operator registered.
//
// Its record is one hash, mk:c:<id>, shaped so that every end is an HDEL or a DEL, which Redis
// carries out even when it is out of memory: what a client may do hangs on fields being there.
//
//	meta        ClientMetadata, versioned JSON; without it there is no client
//	on          there while the client is enabled; each time another, which no reader minds
//	gen         the generation; without it no token is live
//	life        drawn at registration, to tell it from a later one of the id; missing if an earlier version did that
//	s:<id>      a live secret, versioned JSON
type Client struct {
	ID         string
	Metadata   ClientMetadata
	Enabled    bool
	Generation Generation // none after an end that could not draw the next one; see [Store.StartGeneration]
	Secrets    []Secret   // oldest first; one may have expired
}

// ClientMetadata is what an operator registers a client with (RFC 7591 §2).
type ClientMetadata struct {
	Name        string        `json:"name,omitempty"`
	Scope       string        `json:"scope,omitempty"` // space-separated, in the order of registration
	GrantTypes  []string      `json:"grants,omitempty"`
	AuthMethod  string        `json:"auth,omitempty"` // empty: client_secret_basic and client_secret_post
	TokenTTL    time.Duration `json:"ttl,omitempty"`  // zero: the server's default
	TokenFormat string        `json:"format,omitempty"`
	Audience    []string      `json:"aud,omitempty"`
	RateLimit   Rate          `json:"rate,omitzero"` // of its calls for tokens
	CreatedAt   time.Time     `json:"created"`
}

// The formats of access tokens.
const (
	JWT    = "jwt"
	Opaque = "opaque"
)

func clientKey(id string) string { return "mk:c:" + id }

const (
	metaField   = "meta"
	onField     = "on"
	genField    = "gen"
	lifeField   = "life"
	secretField = "s:"
)

// CreateClient registers c, enabled, under a generation of its own, which it sets. ErrExists if the
// id is taken. After ErrUnavailable it may or may not have happened; repeating it then says
// ErrExists if it has.
func (s *Store) CreateClient(ctx context.Context, c *Client) error {
	c.Generation, c.Enabled = NewGeneration(), true
	fields := []any{metaField, encodeRecord(c.Metadata), onField, newSign(), genField, c.Generation[:], lifeField, newSign()}
	for _, secret := range c.Secrets {
		fields = append(fields, secretField+secret.ID, encodeSecret(secret))
	}
	// Index first: an entry without a client is skipped by whoever lists, while a client without
	// an entry could not be found.
	if err := s.enter(ctx, clients, c.ID, c.Metadata.Name); err != nil {
		return err
	}
	if err := s.indexSecrets(ctx, c.ID, c.Secrets...); err != nil {
		return err
	}
	err := s.change(tidy(ctx), "create client", clientKey(c.ID), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		switch n, err := tx.HExists(ctx, clientKey(c.ID), metaField).Result(); {
		case err != nil:
			return nil, err
		case n:
			return nil, ErrExists
		}
		return func(p redis.Pipeliner) {
			p.Del(ctx, clientKey(c.ID)) // what is left of a broken one
			p.HSet(ctx, clientKey(c.ID), fields...)
		}, nil
	})
	switch {
	case err == nil:
		s.reindexClient(ctx, c.ID)
	case errors.Is(err, ErrExists):
		s.unindexSecrets(ctx, c.Secrets...)
		s.strikeNames(ctx, clients, c.ID, c.Metadata.Name)
		s.reindexClient(ctx, c.ID) // it may be the other's name too
	}
	return err
}

// Client reads one client. ErrNotFound if there is none.
func (s *Store) Client(ctx context.Context, id string) (*Client, error) {
	cmd := redis.NewMapStringStringCmd(ctx, "hgetall", clientKey(id))
	if err := s.ask(ctx, "read client", cmd); err != nil {
		return nil, err
	}
	return decodeClient(id, cmd.Val())
}

// UpdateClient changes a client's metadata and draws a new generation if change asks for one. It is
// repeated when somebody else changes the client at the same time, so change must do nothing else.
func (s *Store) UpdateClient(ctx context.Context, id string, cause Cause, change func(*ClientMetadata) (newGeneration bool, err error)) (*Client, error) {
	var c *Client
	var oldName string
	var ended []ending
	err := s.change(ctx, "update client", clientKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		fields, err := tx.HGetAll(ctx, clientKey(id)).Result()
		if err != nil {
			return nil, err
		}
		if c, err = decodeClient(id, fields); err != nil {
			return nil, err
		}
		oldName = c.Metadata.Name
		ends, err := change(&c.Metadata)
		if err != nil {
			return nil, &planError{err}
		}
		write := []any{metaField, encodeRecord(c.Metadata)}
		ended = nil
		if ends && c.Enabled { // a disabled one gets its generation when it is enabled
			ended = []ending{removal(clientKey(id), genField).while(genField, fields[genField])}
			c.Generation = NewGeneration()
			write = append(write, genField, c.Generation[:])
		}
		if c.Metadata.Name != oldName {
			if err := s.enter(ctx, clients, id, c.Metadata.Name); err != nil {
				return nil, err
			}
		}
		return func(p redis.Pipeliner) { p.HSet(ctx, clientKey(id), write...) }, nil
	})
	err = s.noteChange(err, ended...)
	if err != nil {
		return nil, err
	}
	if c.Metadata.Name != oldName {
		s.strikeNames(ctx, clients, id, oldName)
		s.reindexClient(ctx, id)
	}
	return c, nil
}

// EnableClient lets a client work again, under a new generation: its old tokens stay dead. One that is enabled stays so,
// be it that it was to be disabled, and nobody knows whether it will be.
func (s *Store) EnableClient(ctx context.Context, id string, cause Cause) error {
	on := newSign()
	err := s.change(ctx, "enable client", clientKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		c, err := readClient(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		g := NewGeneration()
		return func(p redis.Pipeliner) {
			p.HSet(ctx, clientKey(id), onField, on)
			if !c.Enabled {
				p.HSet(ctx, clientKey(id), genField, g[:])
			}
		}, nil
	})
	s.noteEnabled(err, clientKey(id), on)
	return err
}

// DisableClient ends every token of the client and refuses it until it is enabled.
func (s *Store) DisableClient(ctx context.Context, id string, cause Cause) error {
	return s.endFields(ctx, "disable client", id, onField, genField)
}

// RevokeClientTokens ends every token that was issued to the client until now. The client may go on.
func (s *Store) RevokeClientTokens(ctx context.Context, id string, cause Cause) error {
	ended := s.endFields(ctx, "end tokens", id, genField)
	if failed(ended) {
		return ended
	}
	// The end holds from here. Should the next generation not be drawn now, because Redis takes no
	// writes, then the first token after draws it.
	if _, err := s.StartGeneration(tidy(ctx), id); err != nil && !errors.Is(err, ErrNotFound) {
		s.log.WarnContext(ctx, "a client's next generation is not drawn yet", "client_id", id, "error", err)
	}
	return ended
}

// StartGeneration gives an enabled client without a generation one, and returns the one that it then
// has. ErrNotFound if there is no such client, or it is disabled.
func (s *Store) StartGeneration(ctx context.Context, id string) (g Generation, err error) {
	err = s.change(ctx, "start generation", clientKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		c, err := readClient(ctx, tx, id)
		switch {
		case err != nil:
			return nil, err
		case !c.Enabled:
			return nil, ErrNotFound
		}
		if g = c.Generation; g != (Generation{}) {
			return func(redis.Pipeliner) {}, nil
		}
		g = NewGeneration()
		return func(p redis.Pipeliner) { p.HSet(ctx, clientKey(id), genField, g[:]) }, nil
	})
	return g, err
}

// DeleteClient ends the client, its secrets and its tokens for good. The id may be registered again;
// nothing of the old life comes back with it.
func (s *Store) DeleteClient(ctx context.Context, id string, cause Cause) error {
	fields, err := s.rdb.HGetAll(ctx, clientKey(id)).Result()
	var c *Client
	if err == nil {
		c, err = decodeClient(id, fields)
	}
	if errors.Is(err, ErrNotFound) {
		return cmp.Or(s.confirmGone(ctx, "delete client", "hexists", clientKey(id), metaField), err)
	}
	// An unreadable record can be deleted too.
	sign := lifeField
	if fields[sign] == "" { // it was registered by a version that drew none
		sign = onField
	}
	_, err = s.end(ctx, "delete client", deletion(clientKey(id)).while(sign, fields[sign]))
	if failed(err) {
		return err
	}
	name := ""
	if c != nil {
		name = c.Metadata.Name
	}
	s.unindexSecrets(ctx, secretsOf(fields)...)
	s.strike(ctx, clients, id, name)
	s.reindexClient(ctx, id)
	s.forgetUses(ctx, id)
	return err
}

// endFields is an end: it reads whether the client is there, then takes the fields away, by a
// command that a Redis out of memory accepts. The fields that are gone already are no error. The first of them is the
// sign of the life that ends.
func (s *Store) endFields(ctx context.Context, op, id string, fields ...string) error {
	ends, there, err := s.removals(ctx, clientKey(id), fields...)
	switch {
	case err != nil:
		return unavailable(op, err)
	case !there:
		return cmp.Or(s.confirmGone(ctx, op, "hexists", clientKey(id), metaField), ErrNotFound)
	}
	_, err = s.end(ctx, op, ends...)
	return err
}

func readClient(ctx context.Context, tx *redis.Tx, id string) (*Client, error) {
	fields, err := tx.HGetAll(ctx, clientKey(id)).Result()
	if err != nil {
		return nil, err
	}
	return decodeClient(id, fields)
}

func decodeClient(id string, fields map[string]string) (*Client, error) {
	meta, there := fields[metaField]
	if !there {
		return nil, ErrNotFound
	}
	metadata, err := clientMetas.decode(meta)
	if err != nil {
		return nil, fmt.Errorf("client %s: %w", id, err)
	}
	c := &Client{ID: id, Metadata: metadata}
	_, c.Enabled = fields[onField]
	if gen := fields[genField]; len(gen) == len(c.Generation) {
		copy(c.Generation[:], gen)
	}
	for field, value := range fields {
		secretID, ok := strings.CutPrefix(field, secretField)
		if !ok {
			continue
		}
		secret, err := decodeSecret(secretID, value)
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
