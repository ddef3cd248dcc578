package store_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What the records in testdata tell of.
const (
	adaID, bobID, eveID = "usr_ada", "usr_bob", "usr_eve"
	bobCode             = "the code of bob's invite"
	adaCookie           = "the cookie of ada's session"
	sentForm            = "a form that was sent"
)

var (
	recordTime  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	recordFar   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	recordFrom  = netip.MustParseAddr("192.0.2.7")
	recordRate  = store.Rate{Count: 1, Window: time.Hour}
	recordOwner = "replica-1"
)

// nouns are one of every kind, as a caller gave them to the store.
type nouns struct {
	billing, old  *store.Client
	ada, bob, eve *store.User
	keys          []*store.APIKey // without an end, with one, rotated, its successor, revoked
	ring          store.Keyring
	change        store.Event
	refusal       store.Event
}

func (m made) nouns() *nouns {
	n := &nouns{
		billing: &store.Client{ID: "billing", Enabled: true, Metadata: store.ClientMetadata{
			Name: "Billing", Scope: "read write", GrantTypes: []string{"client_credentials"}, AuthMethod: "client_secret_basic",
			TokenTTL: 10 * time.Minute, TokenFormat: store.JWT, Audience: []string{"https://api.example.com"},
			RateLimit: store.Rate{Count: 600, Window: time.Minute}, CreatedAt: recordTime,
		}},
		old: &store.Client{ID: "old", Metadata: store.ClientMetadata{CreatedAt: recordTime}},
		ada: &store.User{
			ID: adaID, Enabled: true, Operator: store.NewGeneration(), Password: m.SealedPassword,
			Metadata: store.UserMetadata{Email: "Ada@example.com", Name: "Ada Lovelace", CreatedAt: recordTime},
		},
		bob: &store.User{
			ID: bobID, Enabled: true, Metadata: store.UserMetadata{Email: "bob@example.com", CreatedAt: recordTime},
			Invite: &store.Invite{Digest: store.DigestOf(bobCode), ExpiresAt: recordTime.Add(72 * time.Hour)},
		},
		eve:  &store.User{ID: eveID, Metadata: store.UserMetadata{Email: "eve@example.com", Name: "Eve", CreatedAt: recordTime}},
		ring: store.Keyring{Keys: m.Keys},
		change: store.Event{
			At: recordTime, Actor: "user:usr_ada", Via: "key_1", Action: "client.created", Target: "client:billing",
			Address: "192.0.2.7", RequestID: "req-1", Detail: map[string]string{"name": "Billing"},
		},
		refusal: store.Event{At: recordTime, Actor: "client:billing", Action: "client.refused"},
	}
	for i, secret := range m.Secrets {
		n.billing.Secrets = append(n.billing.Secrets, store.Secret{
			ID: fmt.Sprint("sec_", i+1), Digest: store.DigestOf(secret), LastFour: secret[len(secret)-4:],
			CreatedAt: recordTime.Add(time.Duration(i) * time.Second),
		})
	}
	for i, key := range m.APIKeys {
		n.keys = append(n.keys, &store.APIKey{
			ID: fmt.Sprint("key_", i+1), Digest: store.DigestOf(key), UserID: adaID, Name: fmt.Sprint("Key ", i+1), Scope: "read write",
			Masked: key[:7] + "…" + key[len(key)-4:], CreatedAt: recordTime, CreatedBy: "user:usr_ada",
		})
	}
	n.keys[1].ExpiresAt = recordTime.Add(90 * 24 * time.Hour)
	return n
}

// tokens are the active access tokens of billing, under its generation.
func (m made) tokens(g store.Generation) map[store.Digest]store.Credential {
	return map[store.Digest]store.Credential{
		store.DigestOf(m.JWT):    {Generation: g, Claims: []byte{}},
		store.DigestOf(m.Opaque): {Generation: g, Claims: []byte(`{"iss":"http://localhost:8080","sub":"billing","client_id":"billing"}`)},
	}
}

// write has the store write everything, through what a server calls.
func (m made) write(t *testing.T, b *storetest.Backend, s *store.Store) *nouns {
	t.Helper()
	n, ctx := m.nouns(), t.Context()
	first, second := n.billing.Secrets[0], n.billing.Secrets[1]
	n.billing.Secrets = []store.Secret{first}
	must(t, s.CreateClient(ctx, n.billing))
	_, err := s.AddSecret(ctx, n.billing.ID, second, recordTime.Add(24*time.Hour), store.Cause{})
	must(t, err)
	must(t, s.CreateClient(ctx, n.old))
	must(t, s.DisableClient(ctx, n.old.ID, store.Cause{}))
	for _, u := range []*store.User{n.ada, n.bob, n.eve} {
		must(t, s.CreateUser(ctx, u))
	}
	must(t, s.DisableUser(ctx, eveID, store.Cause{}))
	must(t, s.CreateSession(ctx, &store.Session{
		Digest: store.DigestOf(adaCookie), UserID: adaID, Address: recordFrom.String(), Agent: "a browser",
	}, n.ada))
	for digest, token := range m.tokens(n.billing.Generation) {
		must(t, s.SaveToken(ctx, digest, token, recordFar, nil))
	}
	m.writeKeys(t, s, n)
	must(t, s.ReplaceKeyring(ctx, nil, n.ring))
	m.writeCounts(t, s)
	must(t, s.Audit(ctx, n.change))
	must(t, s.AuditRefusals(ctx, []store.Event{n.refusal}))
	steadyStreams(b)
	return n
}

func (m made) writeKeys(t *testing.T, s *store.Store, n *nouns) {
	t.Helper()
	ctx := t.Context()
	for _, k := range n.keys {
		must(t, s.CreateKey(ctx, k, n.ada))
	}
	rotated := n.keys[2]
	rotated.RotatedAt, rotated.RotatedBy = recordTime, "user:usr_ada"
	must(t, s.ExpireKey(ctx, rotated, recordTime.Add(time.Hour), n.keys[3].ID, store.Cause{}))
	_, err := s.RevokeKey(ctx, n.keys[4].ID, store.Cause{At: recordTime, Actor: store.Actor{Name: "user:usr_ada"}, Reason: "revoked"})
	must(t, err)
}

// writeCounts writes what is counted, noted or held for a while.
func (m made) writeCounts(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	s.RecordSecretUse("billing", "sec_2")
	s.RecordKeyUse(adaID, "key_1", recordFrom.String())
	for _, what := range []string{store.TokensIssued, store.Introspections, store.TokensRefused + "invalid_client"} {
		s.Count(what)
	}
	must(t, s.Flush(ctx))
	_, _, err := s.CountCall(ctx, "billing", recordRate)
	must(t, err)
	for range 10 {
		s.CountFailure(ctx, store.ClientFailures, "billing", recordFrom)
	}
	_, _, err = s.ClaimIdempotencyKey(ctx, store.DigestOf(sentForm))
	must(t, err)
	s.CompleteIdempotencyKey(ctx, store.DigestOf(sentForm), "key_1")
	ring, err := s.Keyring(ctx)
	must(t, err)
	ring.Revision = "a revision"
	_, err = s.ClaimKeyring(ctx, ring, recordOwner, time.Minute)
	must(t, err)
}

// steadyStreams gives the entries, which Redis numbers by its own clock, numbers of the records' time.
func steadyStreams(b *storetest.Backend) {
	for _, key := range []string{"mk:audit", "mk:refusals"} {
		entries, _ := b.Do("XRANGE", key, "-", "+").([]any)
		b.Do("DEL", key)
		for i, entry := range entries {
			fields := entry.([]any)[1].([]any)
			id := strconv.FormatInt(recordTime.UnixMilli(), 10) + "-" + strconv.Itoa(i)
			b.Do(append([]any{"XADD", key, id}, fields...)...)
		}
	}
}
