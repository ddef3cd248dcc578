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

// ActiveAt says whether the secret may still be used.
func (s Secret) ActiveAt(t time.Time) bool { return s.ExpiresAt.IsZero() || t.Before(s.ExpiresAt) }

// AddSecret makes next live beside the present secret, which then ends at oldEnds, or at once if that
// is not in the future. ErrConflict if two are live already. It returns the present secret with its new
// end, or nil if there was none.
func (s *Store) AddSecret(ctx context.Context, id string, next Secret, oldEnds time.Time, cause Cause) (previous *Secret, err error) {
	if err := s.indexSecrets(ctx, id, next); err != nil {
		return nil, err
	}
	var r succession
	lasting := ctx
	if oldEnds.After(s.now()) { // nothing ends now, and an answer that is not a success would lose the new secret
		lasting = tidy(ctx)
	}
	err = s.change(lasting, "add secret", clientKey(id), func(tx *redis.Tx) (func(redis.Pipeliner), error) {
		c, err := readClient(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		now := s.now()
		if r, err = succeed(c.Secrets, oldEnds, now); err != nil {
			return nil, err
		}
		return func(p redis.Pipeliner) {
			p.HSet(ctx, clientKey(id), secretField+next.ID, encodeSecret(next))
			if r.previous != nil && r.previous.ActiveAt(now) {
				p.HSet(ctx, clientKey(id), secretField+r.previous.ID, encodeSecret(*r.previous))
			}
			for _, secret := range r.dead {
				p.HDel(ctx, clientKey(id), secretField+secret.ID)
			}
		}, nil
	})
	err = s.noteChange(err, secretEndings(id, r.dead)...)
	if err != nil {
		if there, e := s.rdb.HExists(ctx, clientKey(id), secretField+next.ID).Result(); e == nil && !there {
			s.unindexSecrets(ctx, next)
		}
		return nil, err
	}
	s.unindexSecrets(ctx, r.dead...)
	for _, secret := range r.dead {
		s.forgetUse(ctx, id, secret.ID)
	}
	return r.previous, nil
}

// succession is what becomes of a client's secrets when another is added.
type succession struct {
	previous *Secret  // that was alone until now, with its new end
	dead     []Secret // that have ended, previous among them if it ends now
}

// succeed refuses a third: ErrConflict.
func succeed(secrets []Secret, oldEnds, now time.Time) (r succession, err error) {
	for _, secret := range secrets {
		switch {
		case !secret.ActiveAt(now):
			r.dead = append(r.dead, secret)
		case r.previous != nil:
			return succession{}, fmt.Errorf("%w: two secrets are live already", ErrConflict)
		default:
			r.previous = &secret
		}
	}
	if r.previous == nil {
		return r, nil
	}
	if oldEnds.Before(now) {
		oldEnds = now
	}
	if r.previous.ExpiresAt.IsZero() || oldEnds.Before(r.previous.ExpiresAt) {
		r.previous.ExpiresAt = oldEnds
	}
	if !r.previous.ActiveAt(now) {
		r.dead = append(r.dead, *r.previous)
	}
	return r, nil
}

// RevokeSecret ends one secret. ErrNotFound if the client or the secret is not there.
func (s *Store) RevokeSecret(ctx context.Context, id, secretID string, cause Cause) error {
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
