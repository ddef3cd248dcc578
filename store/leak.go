package store

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// secretIndex finds the client of a secret that Mintkeep created, by the digest, should the secret be found in public:
// "client id NUL secret id". It is written before the secret and cleared after it; an entry that stays behind names
// nothing.
const secretIndex = "mk:secrets"

func (s *Store) indexSecrets(ctx context.Context, clientID string, secrets ...Secret) error {
	var fields []any
	for _, secret := range secrets {
		if secret.LastFour != "" {
			fields = append(fields, secret.Digest[:], clientID+"\x00"+secret.ID)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return unavailable("index secret", s.rdb.HSet(ctx, secretIndex, fields...).Err())
}

func (s *Store) unindexSecrets(ctx context.Context, secrets ...Secret) {
	var fields []string
	for _, secret := range secrets {
		fields = append(fields, string(secret.Digest[:]))
	}
	if len(fields) == 0 {
		return
	}
	if err := s.rdb.HDel(ctx, secretIndex, fields...).Err(); err != nil {
		s.log.WarnContext(ctx, "clearing index entries of secrets failed", "error", err)
	}
}

// secretsOf finds the digests in a client's record, which may be unreadable otherwise.
func (d *decoded) secretsOf(fields map[string]string) (secrets []Secret) {
	for field, value := range fields {
		if id, ok := strings.CutPrefix(field, secretField); ok && len(value) >= len(Digest{}) {
			secret, _ := d.secret(id, value)
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// Leak is a credential that was found in public, and whose it was.
type Leak struct {
	Digest             Digest
	Kind               string // KeyLeak, SecretLeak or TokenLeak
	KeyID, UserID      string // of a key
	ClientID, SecretID string // of a secret
	Claims             []byte // of an opaque token, as in its [Credential]
}

// The kinds of leaks.
const (
	KeyLeak    = "api_key"
	SecretLeak = "client_secret"
	TokenLeak  = "access_token"
)

// RevokeLeaked revokes every credential that has one of the digests, and tells which there were: keys and access
// tokens by their records, and secrets that Mintkeep created. It may be repeated. With an error it tells of those
// that were revoked before it.
func (s *Store) RevokeLeaked(ctx context.Context, digests []Digest, cause Cause) (leaks []Leak, err error) {
	if len(digests) == 0 {
		return nil, nil
	}
	records := make([]*redis.StringCmd, len(digests))
	fields := make([]string, len(digests))
	var secrets *redis.SliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, d := range digests {
			records[i], fields[i] = s.credentials.get(ctx, d), string(d[:])
			_ = p.Process(ctx, records[i])
		}
		secrets = p.HMGet(ctx, secretIndex, fields...)
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("find leaked credentials", err)
	}
	leaks, err = s.revokeLeakedRecords(ctx, digests, records, cause)
	if err != nil {
		return leaks, err
	}
	if err := secrets.Err(); err != nil {
		return leaks, unavailable("find leaked secrets", err)
	}
	for i, owner := range secrets.Val() {
		owner, _ := owner.(string)
		clientID, secretID, ok := strings.Cut(owner, "\x00")
		if !ok {
			continue
		}
		leak := Leak{Digest: digests[i], Kind: SecretLeak, ClientID: clientID, SecretID: secretID}
		switch err := s.RevokeSecret(ctx, clientID, secretID, cause); {
		case err == nil:
			leaks = append(leaks, leak)
		case errors.Is(err, ErrUnconfirmed):
			return append(leaks, leak), err
		case !errors.Is(err, ErrNotFound):
			return leaks, err
		}
	}
	return leaks, nil
}

// revokeLeakedRecords revokes first, and finds the owners then: what cannot be read is revoked too.
func (s *Store) revokeLeakedRecords(ctx context.Context, digests []Digest, records []*redis.StringCmd, cause Cause) (leaks []Leak, err error) {
	var steps []step
	var there []int // the place of each in the report
	for i, record := range records {
		if !errors.Is(record.Err(), redis.Nil) || s.db.NeedsBarrier(ctx) { // what is gone may not be confirmed yet
			c, _ := decodeCredential(record)
			steps, there = append(steps, s.credentials.step(cause, digests[i], c)), append(there, i)
		}
	}
	deleted, unconfirmed := s.revoke(ctx, "revoke leaked credentials", steps...)
	if redisdb.Failed(unconfirmed) {
		return nil, unconfirmed
	}
	var ids []string
	for n, i := range there {
		c, err := decodeCredential(records[i])
		switch {
		case err != nil || deleted[n] == 0: // another report was first
		case c.Key != nil:
			ids = append(ids, c.Key.ID)
			leaks = append(leaks, Leak{Digest: digests[i], Kind: KeyLeak, KeyID: c.Key.ID, UserID: c.Key.UserID})
		default:
			leaks = append(leaks, Leak{Digest: digests[i], Kind: TokenLeak, Claims: c.Claims})
		}
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		s.log.WarnContext(ctx, "reading the descriptions of leaked keys failed; Run writes their tombstones", "keys", len(ids), "error", err)
		return leaks, unconfirmed
	}
	_ = s.writeTombstones(ctx, present(keys), cause)
	return leaks, unconfirmed
}
