package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxSecrets is how many secrets of one client may be live at a time.
const maxSecrets = 2

// Secret is what the store knows of a client secret.
type Secret struct {
	ID        string    `json:"-"`
	Digest    Digest    `json:"-"`
	LastFour  string    `json:"last,omitempty"` // of a secret that the server made, else empty
	CreatedAt time.Time `json:"created"`
	ExpiresAt time.Time `json:"expires,omitzero"` // zero: never
}

// NewSecretID names a new secret.
func NewSecretID() string { return "sec_" + strings.ToLower(rand.Text()) }

// LiveAt says whether the secret may still be used.
func (s Secret) LiveAt(t time.Time) bool { return s.ExpiresAt.IsZero() || t.Before(s.ExpiresAt) }

// AddSecret makes next live beside the present secret, which then ends at oldEnds, or at once if that
// is not in the future. ErrConflict if two are live already. It returns the present secret with its new
// end, or nil if there was none.
func (s *Store) AddSecret(ctx context.Context, id string, next Secret, oldEnds time.Time) (previous *Secret, err error) {
	if err := s.indexSecrets(ctx, id, next); err != nil {
		return nil, err
	}
	var dead []Secret
	lasting := ctx
	if oldEnds.After(s.now()) { // nothing ends now, and an answer that is not a success would lose the new secret
		lasting = tidy(ctx)
	}
	err = s.change(lasting, "add secret", clientKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		previous, dead = nil, nil
		c, err := readClient(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		now := s.now()
		if oldEnds.Before(now) {
			oldEnds = now
		}
		live := c.Secrets[:0:0]
		for _, secret := range c.Secrets {
			if secret.LiveAt(now) {
				live = append(live, secret)
			} else {
				dead = append(dead, secret)
			}
		}
		if len(live) >= maxSecrets {
			return nil, fmt.Errorf("%w: two secrets are live already", ErrConflict)
		}
		if len(live) == 1 {
			previous = &live[0]
			if previous.ExpiresAt.IsZero() || oldEnds.Before(previous.ExpiresAt) {
				previous.ExpiresAt = oldEnds
			}
			if !previous.LiveAt(now) {
				dead = append(dead, *previous)
			}
		}
		return func(p redis.Pipeliner) {
			p.HSet(ctx, clientKey(id), secretField+next.ID, encodeSecret(next))
			if previous != nil && previous.LiveAt(now) {
				p.HSet(ctx, clientKey(id), secretField+previous.ID, encodeSecret(*previous))
			}
			for _, secret := range dead {
				p.HDel(ctx, clientKey(id), secretField+secret.ID)
			}
		}, nil
	})
	s.noteChange(err, secretEndings(id, dead)...)
	if err != nil {
		if there, e := s.rdb.HExists(ctx, clientKey(id), secretField+next.ID).Result(); e == nil && !there {
			s.unindexSecrets(ctx, next)
		}
		return nil, err
	}
	s.unindexSecrets(ctx, dead...)
	for _, secret := range dead {
		s.forgetUse(ctx, id, secret.ID)
	}
	return previous, nil
}

// EndSecret ends one secret. ErrNotFound if the client or the secret is not there.
func (s *Store) EndSecret(ctx context.Context, id, secretID string) error {
	record, err := s.rdb.HGet(ctx, clientKey(id), secretField+secretID).Result()
	switch {
	case errors.Is(err, redis.Nil):
		if err := s.confirmGone(ctx, "end secret", "hexists", clientKey(id), secretField+secretID); err != nil {
			return err
		}
		return ErrNotFound
	case err != nil:
		return unavailable("end secret", err)
	}
	_, err = s.end(ctx, "end secret", removal(clientKey(id), secretField+secretID))
	if failed(err) {
		return err
	}
	secret, _ := decodeSecret(secretID, record) // the digest is there even if the rest cannot be read
	if err == nil {
		s.unindexSecrets(ctx, secret)
	} // else a report that is repeated must find it again
	s.forgetUse(ctx, id, secretID)
	return err
}

func secretEndings(clientID string, secrets []Secret) []ending {
	ends := make([]ending, len(secrets))
	for i, secret := range secrets {
		ends[i] = removal(clientKey(clientID), secretField+secret.ID)
	}
	return ends
}

// A secret's field is its digest, 32 bytes, and its JSON behind that.
func encodeSecret(s Secret) string { return string(s.Digest[:]) + encodeRecord(s) }

func decodeSecret(id, value string) (Secret, error) {
	if len(value) < len(Digest{}) {
		return Secret{ID: id}, unavailable("read", errDamaged)
	}
	s, err := secretMetas.decode(value[len(Digest{}):])
	s.ID = id
	copy(s.Digest[:], value)
	return s, err
}
