package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/rollback"
)

// Secret is what the store knows of a client secret.
type Secret struct {
	ID        string    `json:"-"`
	Digest    Digest    `json:"-"`
	LastFour  string    `json:"last,omitempty"`      // of a secret that the server created, else empty
	ByDigest  bool      `json:"by_digest,omitempty"` // the operator brought the digest alone
	CreatedAt time.Time `json:"created"`
	ExpiresAt time.Time `json:"expires,omitzero"` // zero: never
}

// Never, as the new expiry of the present secret, leaves it as it is.
var Never = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// MaxSecrets is how many active secrets a client may have.
const MaxSecrets = 2

const secretIDPrefix = "sec_"

// NewSecretID names a new secret.
func NewSecretID() string { return secretIDPrefix + strings.ToLower(rand.Text()) }

// IsSecretID says whether a text may be the id of a secret.
func IsSecretID(id string) bool { return strings.HasPrefix(id, secretIDPrefix) }

// ActiveAt says whether the secret may be used at that time.
func (s Secret) ActiveAt(t time.Time) bool { return s.ExpiresAt.IsZero() || t.Before(s.ExpiresAt) }

// AddSecret makes next active beside the present secret. That one expires at oldExpires. If oldExpires is zero or not in the future,
// it is revoked at once; if it is Never, it stays as it is. A secret with the digest of next is replaced in the same step. ErrConflict
// if two others are active. It returns the present secret with its new expiry; nil if there was none or it stays.
func (s *Store) AddSecret(ctx context.Context, id string, next Secret, oldExpires time.Time, cause Cause) (previous *Secret, err error) {
	if err := s.indexSecrets(ctx, id, next); err != nil {
		return nil, err
	}
	var r succession
	planned, lasting := false, ctx
	if oldExpires.After(s.now()) { // nothing is revoked now, and an answer that is not a success would lose the new secret
		lasting = redisdb.WithoutBarrier(ctx)
	}
	err = s.change(lasting, "add secret", clientKey(id), func(fields map[string]string) (t transaction, err error) {
		c, err := s.decoded.client(id, fields)
		if err != nil {
			return t, err
		}
		now := s.now()
		if r, err = succeed(c.Secrets, next, oldExpires, now); err != nil {
			return t, err
		}
		t.steps = r.steps(cause, id)
		t.write = func(p redis.Pipeliner) {
			p.HSet(ctx, clientKey(id), secretField+next.ID, encodeSecret(next))
			if r.previous != nil && r.previous.ActiveAt(now) {
				p.HSet(ctx, clientKey(id), secretField+r.previous.ID, encodeSecret(*r.previous))
			}
			for _, secret := range r.revoked {
				p.HDel(ctx, clientKey(id), secretField+secret.ID)
			}
			if len(r.revoked) > 0 {
				p.HSet(ctx, clientKey(id), formerField, c.Former.with(r.revoked...).encode())
			}
		}
		planned = true
		return t, nil
	})
	if planned && redisdb.IsUncertain(err) { // it may be there, or come late: a report of it as leaked must find it
		return nil, err
	}
	if err != nil {
		if there, e := s.rdb.HExists(ctx, clientKey(id), secretField+next.ID).Result(); e == nil && !there {
			s.unindexSecrets(ctx, id, next)
		}
		return nil, err
	}
	s.unindexSecrets(ctx, id, r.revoked...)
	for _, secret := range r.revoked {
		s.forgetUse(ctx, id, secret.ID)
	}
	return r.previous, nil
}

// succession is what becomes of a client's secrets when another is added.
type succession struct {
	previous *Secret  // the one that was active until now, with its new expiry
	revoked  []Secret // those that expired, or are replaced, and previous if it is revoked now
}

// steps are what the succession revokes. A secret that stays for an overlap is known to expire from now on.
func (r succession) steps(cause Cause, clientID string) (steps []step) {
	for _, secret := range r.revoked {
		record := rollback.OfFields(clientKey(clientID), secretField+secret.ID)
		steps = append(steps, step{Revocation: cause.secretRevocation(clientID, secret.ID), deletions: []rollback.Deletion{record}})
	}
	if len(steps) == 0 && r.previous != nil {
		steps = append(steps, step{Revocation: cause.secretRevocation(clientID, r.previous.ID)})
	}
	return steps
}

// secretRevocation is a Revocation of one secret.
func (c Cause) secretRevocation(clientID, secretID string) Revocation {
	r := c.revocation(SecretRevoked)
	r.ClientID, r.SecretID = clientID, secretID
	return r
}

// succeed says what becomes of secrets. ErrConflict if two are active already that next does not replace.
func succeed(secrets []Secret, next Secret, oldExpires, now time.Time) (r succession, err error) {
	for _, secret := range secrets {
		switch {
		case !secret.ActiveAt(now) || secret.Digest.Equal(next.Digest):
			r.revoked = append(r.revoked, secret)
		case r.previous != nil:
			return succession{}, fmt.Errorf("%w: two secrets are active already", ErrConflict)
		default:
			r.previous = &secret
		}
	}
	if oldExpires.Equal(Never) {
		r.previous = nil
	}
	if r.previous == nil {
		return r, nil
	}
	if oldExpires.Before(now) {
		oldExpires = now
	}
	if r.previous.ExpiresAt.IsZero() || oldExpires.Before(r.previous.ExpiresAt) {
		r.previous.ExpiresAt = oldExpires
	}
	if !r.previous.ActiveAt(now) {
		r.revoked = append(r.revoked, *r.previous)
	}
	return r, nil
}

// RevokeSecret revokes one secret. ErrNotFound if the client or the secret is not there.
func (s *Store) RevokeSecret(ctx context.Context, id, secretID string, cause Cause) error {
	const op = "revoke secret"
	record, err := s.rdb.HGet(ctx, clientKey(id), secretField+secretID).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return cmp.Or(s.confirmGone(ctx, op, clientKey(id), secretField+secretID, cause.secretRevocation(id, secretID)), ErrNotFound)
	case err != nil:
		return unavailable(op, err)
	}
	field := rollback.OfFields(clientKey(id), secretField+secretID, changeField)
	_, err = s.revoke(ctx, op, step{Revocation: cause.secretRevocation(id, secretID), deletions: []rollback.Deletion{field}})
	if redisdb.Failed(err) {
		return err
	}
	secret, _ := s.decoded.secret(secretID, record) // the digest is there even if the rest cannot be read
	if err == nil {
		s.unindexSecrets(ctx, id, secret)
	} // else a report that is repeated must find it again
	s.rememberSecret(ctx, id, secret)
	s.forgetUse(ctx, id, secretID)
	return err
}

// rememberSecret adds a secret that was revoked to the former ones. It tidies up and cannot fail the revocation.
func (s *Store) rememberSecret(ctx context.Context, clientID string, secret Secret) {
	if secret.LastFour == "" {
		return
	}
	err := s.change(redisdb.WithoutBarrier(ctx), "remember secret", clientKey(clientID), func(fields map[string]string) (t transaction, err error) {
		c, err := s.decoded.client(clientID, fields)
		if err != nil {
			return t, err
		}
		return write(func(p redis.Pipeliner) { p.HSet(ctx, clientKey(clientID), formerField, c.Former.with(secret).encode()) })
	})
	if err != nil && !isNotFound(err) {
		s.log.WarnContext(ctx, "remembering a revoked secret failed; the audit log cannot identify it when it is used", "client_id", clientID, "error", err)
	}
}

// A secret's field is its digest, 32 bytes, and its JSON behind that.
func encodeSecret(s Secret) string { return string(s.Digest[:]) + encodeRecord(s) }

func (d *decoded) secret(id, value string) (Secret, error) {
	if len(value) < len(Digest{}) {
		return Secret{ID: id}, unavailable("read", redisdb.ErrDamaged)
	}
	secret, err := d.secrets.decode(value[len(Digest{}):])
	secret.ID = id
	copy(secret.Digest[:], value)
	return secret, err
}
