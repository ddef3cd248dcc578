package store

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// secretIndex finds the client of a secret that Mintkeep made, by the digest, should somebody find it in the
// wild: "client id NUL secret id". It is written before the secret and cleared after it; what stays behind
// is an id of nothing.
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
		s.log.WarnContext(ctx, "index entries of secrets are left behind", "error", err)
	}
}

// secretsOf finds the digests in a client's record, which may be unreadable otherwise.
func secretsOf(fields map[string]string) (secrets []Secret) {
	for field, value := range fields {
		if id, ok := strings.CutPrefix(field, secretField); ok && len(value) >= len(Digest{}) {
			secret, _ := decodeSecret(id, value)
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// Leak is a credential that was found in the wild, and whose it was.
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

// RevokeLeaked ends every credential that has one of the digests, and tells which there were: keys and access
// tokens by their records, and secrets that Mintkeep made. It may be repeated. With an error it tells of those
// that have ended before it.
func (s *Store) RevokeLeaked(ctx context.Context, digests []Digest, cause Cause) (leaks []Leak, err error) {
	if len(digests) == 0 {
		return nil, nil
	}
	records := make([]*redis.StringCmd, len(digests))
	fields := make([]string, len(digests))
	var secrets *redis.SliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, d := range digests {
			records[i], fields[i] = s.getCredential(ctx, p, d), string(d[:])
		}
		secrets = p.HMGet(ctx, secretIndex, fields...)
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("find leaked credentials", err)
	}
	leaks, err = s.endLeakedRecords(ctx, digests, records, cause)
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

// endLeakedRecords ends first and looks then whose they were: what cannot be read ends too.
func (s *Store) endLeakedRecords(ctx context.Context, digests []Digest, records []*redis.StringCmd, cause Cause) (leaks []Leak, err error) {
	var ends []ending
	var there []int // the place of each in the report
	for i, record := range records {
		if !errors.Is(record.Err(), redis.Nil) || s.confirms(ctx) { // what is gone may not be confirmed yet
			ends, there = append(ends, s.credentialEnding(digests[i])), append(there, i)
		}
	}
	took, unconfirmed := s.end(ctx, "end leaked credentials", ends...)
	if failed(unconfirmed) {
		return nil, unconfirmed
	}
	var ids []string
	for n, i := range there {
		c, err := decodeCredential(records[i])
		switch {
		case err != nil || took[n] == 0: // another report was first
		case c.Key != nil:
			ids = append(ids, c.Key.ID)
			leaks = append(leaks, Leak{Digest: digests[i], Kind: KeyLeak, KeyID: c.Key.ID, UserID: c.Key.UserID})
		default:
			leaks = append(leaks, Leak{Digest: digests[i], Kind: TokenLeak, Claims: c.Claims})
		}
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		s.log.WarnContext(ctx, "how leaked keys ended is not written down", "keys", len(ids), "error", err)
		return leaks, unconfirmed
	}
	s.buryKeys(ctx, present(keys), cause)
	return leaks, unconfirmed
}
