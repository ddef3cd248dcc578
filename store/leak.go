package store

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store/redisdb"
)

// secretIndex finds the client of a secret that Mintkeep created, by the digest, should the secret be found in public:
// "client id NUL secret id". It is written before the secret and cleared after it; an entry that stays behind names
// nothing.
const secretIndex = "mk:secrets"

// importersOf are the clients that have imported a secret, likewise: many may have the same.
func importersOf(d Digest) string { return secretIndex + ":" + string(d[:]) }

func secretEntry(clientID, secretID string) string { return clientID + "\x00" + secretID }

// created is whether Mintkeep created the secret. Of an imported one no character is kept.
func (s Secret) created() bool { return s.LastFour != "" }

func (s *Store) indexSecrets(ctx context.Context, clientID string, secrets ...Secret) error {
	p := s.rdb.Pipeline()
	for _, secret := range secrets {
		if entry := secretEntry(clientID, secret.ID); secret.created() {
			p.HSet(ctx, secretIndex, secret.Digest[:], entry)
		} else {
			p.ZAdd(ctx, importersOf(secret.Digest), redis.Z{Member: entry})
		}
	}
	_, err := p.Exec(ctx)
	return unavailable("index secret", err)
}

// unindexSecrets clears the entries of a client's secrets. That of a created secret stays if another client imported it.
func (s *Store) unindexSecrets(ctx context.Context, clientID string, secrets ...Secret) {
	p := s.rdb.Pipeline()
	for _, secret := range secrets {
		if secret.created() {
			p.HDel(ctx, secretIndex, string(secret.Digest[:]))
		} else {
			p.ZRem(ctx, importersOf(secret.Digest), secretEntry(clientID, secret.ID))
		}
	}
	if _, err := p.Exec(ctx); err != nil {
		s.log.WarnContext(ctx, "removing index entries of secrets failed", "error", err)
	}
}

// sweepSecrets enters the imported secrets of some clients each time. Earlier versions did not enter them.
func (s *Store) sweepSecrets(ctx context.Context) error {
	const some = 500
	walk := directoryWalk{directory: clients, last: s.sweptClient}
	ids, err := walk.entries(ctx, s.rdb, some)
	if err != nil {
		return err
	}
	if s.sweptClient = ""; len(ids) == some {
		s.sweptClient = ids[some-1]
	}
	records, read := make([]*redis.MapStringStringCmd, len(ids)), s.rdb.Pipeline()
	for i, id := range ids {
		records[i] = read.HGetAll(ctx, clientKey(id))
	}
	_, _ = read.Exec(ctx) // the commands have their errors; a damaged record has no secrets
	var once decoded      // what is in use stays in the cache
	p := s.rdb.Pipeline()
	for i, id := range ids {
		for _, secret := range once.secretsOf(records[i].Val()) {
			if !secret.created() {
				p.ZAdd(ctx, importersOf(secret.Digest), redis.Z{Member: secretEntry(id, secret.ID)})
			}
		}
	}
	_, err = p.Exec(ctx)
	return unavailable("index secrets", err)
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
	Unknown            bool   // Redis has not answered: it may be revoked
}

// The kinds of leaks.
const (
	KeyLeak    = "api_key"
	SecretLeak = "client_secret"
	TokenLeak  = "access_token"
)

// LeakReason is the reason of the revocation of what was reported as leaked. By it the state of a key is StateLeaked.
const LeakReason = "reported as leaked"

// RevokeLeaked revokes every credential that has one of the digests, and tells which there were: keys and access tokens by
// their records, and the secret of each client that has it. It may be repeated. With an error it tells of those that were
// revoked before it, and of those that may be: a repeated report does not find them any more.
func (s *Store) RevokeLeaked(ctx context.Context, digests []Digest, cause Cause) (leaks []Leak, err error) {
	if len(digests) == 0 {
		return nil, nil
	}
	records := make([]*redis.StringCmd, len(digests))
	fields, importers := make([]string, len(digests)), make([]*redis.StringSliceCmd, len(digests))
	var created *redis.SliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, d := range digests {
			records[i], fields[i] = s.credentials.get(ctx, d), string(d[:])
			_ = p.Process(ctx, records[i])
			importers[i] = p.ZRange(ctx, importersOf(d), 0, -1)
		}
		created = p.HMGet(ctx, secretIndex, fields...)
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("find leaked credentials", err)
	}
	isSecret := make([]bool, len(digests)) // false, if that is not known
	for i := range digests {
		isSecret[i] = len(importers[i].Val()) > 0 || i < len(created.Val()) && created.Val()[i] != nil
	}
	leaks, unconfirmed := s.revokeLeakedRecords(ctx, digests, isSecret, records, cause)
	if redisdb.Failed(unconfirmed) {
		return leaks, unconfirmed
	}
	if err := created.Err(); err != nil {
		return leaks, unavailable("find leaked secrets", err)
	}
	for i, owner := range created.Val() {
		owner, _ := owner.(string)
		if err := importers[i].Err(); err != nil {
			return leaks, unavailable("find leaked secrets", err)
		}
		for _, entry := range append(importers[i].Val(), owner) {
			leak, err := s.revokeLeakedSecret(ctx, digests[i], entry, cause)
			if leak != nil {
				leaks = append(leaks, *leak)
			}
			if redisdb.Failed(err) {
				return leaks, err
			}
			unconfirmed = redisdb.MostSevere(unconfirmed, err)
		}
	}
	return leaks, unconfirmed
}

// revokeLeakedSecret revokes the secret that an entry of the index names; nil if it is not there, or the entry is empty.
func (s *Store) revokeLeakedSecret(ctx context.Context, d Digest, entry string, cause Cause) (*Leak, error) {
	clientID, secretID, ok := strings.Cut(entry, "\x00")
	if !ok {
		return nil, nil
	}
	err := s.RevokeSecret(ctx, clientID, secretID, cause)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case redisdb.Failed(err) && redisdb.IsUnsent(err):
		return nil, err
	}
	return &Leak{Digest: d, Kind: SecretLeak, ClientID: clientID, SecretID: secretID, Unknown: redisdb.Failed(err)}, err
}

// revokeLeakedRecords revokes first, and finds the owners then: what cannot be read is revoked too.
func (s *Store) revokeLeakedRecords(ctx context.Context, digests []Digest, isSecret []bool, records []*redis.StringCmd, cause Cause) (leaks []Leak, err error) {
	var steps []step
	var there []int // the place of each in the report
	for i, record := range records {
		gone := errors.Is(record.Err(), redis.Nil)
		// What is gone may not be confirmed yet, and the feed may not have it.
		if !gone || s.db.NeedsBarrier(ctx) || s.feed != nil && !isSecret[i] {
			c, _ := decodeCredential(record)
			st := s.credentials.step(cause, digests[i], c)
			st.silent = gone && isSecret[i]
			steps, there = append(steps, st), append(there, i)
		}
	}
	deleted, unconfirmed := s.revoke(ctx, "revoke leaked credentials", steps...)
	failed := redisdb.Failed(unconfirmed)
	if failed && redisdb.IsUnsent(unconfirmed) {
		return nil, unconfirmed
	}
	var ids []string
	for n, i := range there {
		c, err := decodeCredential(records[i])
		unknown := failed && deleted[n] == 0
		switch {
		case err != nil || !unknown && deleted[n] == 0: // another report was first
		case c.Key != nil:
			ids = append(ids, c.Key.ID)
			leaks = append(leaks, Leak{Digest: digests[i], Kind: KeyLeak, KeyID: c.Key.ID, UserID: c.Key.UserID, Unknown: unknown})
		default:
			leaks = append(leaks, Leak{Digest: digests[i], Kind: TokenLeak, Claims: c.Claims, Unknown: unknown})
		}
	}
	keys, err := s.keysOf(ctx, ids)
	if failed { // a key whose record is gone by now is revoked
		keys = slices.DeleteFunc(keys, func(k *APIKey) bool { return k != nil && k.Revocable() })
	}
	if err != nil {
		s.log.WarnContext(ctx, "reading the descriptions of leaked keys failed; their tombstones are written later", "keys", len(ids), "error", err)
		return leaks, unconfirmed
	}
	_ = s.writeTombstones(ctx, present(keys), cause)
	s.noteLeaked(ctx, present(keys), cause.At)
	return leaks, unconfirmed
}
