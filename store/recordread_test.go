package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Generations are random: that there is one is what can be expected.
var anyGeneration = cmp.Comparer(func(a, b store.Generation) bool { return (a == store.Generation{}) == (b == store.Generation{}) })

func same[T any](t *testing.T, what string, got, want T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if diff := cmp.Diff(want, got, anyGeneration, cmpopts.IgnoreFields(store.ClientMetadata{}, "Unknown")); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

// expected are the nouns as they are after all that write did.
func (m made) expected() *nouns {
	n, some := m.nouns(), store.Generation{1}
	n.billing.Generation, n.billing.Secrets[0].ExpiresAt = some, recordTime.Add(24*time.Hour)
	n.ada.Generation, n.ada.Sessions, n.bob.Generation, n.eve.Generation = some, some, some, some
	n.bob.Password, n.eve.Password = []byte{}, []byte{}
	for _, k := range n.keys {
		k.Active = true
	}
	n.keys[2].ExpiresAt, n.keys[2].RotatedTo = recordTime.Add(time.Hour), n.keys[3].ID
	n.keys[2].RotatedAt, n.keys[2].RotatedBy = recordTime, "user:usr_ada"
	n.keys[4].Active, n.keys[4].Tombstone = false, &store.Tombstone{At: recordTime, By: "user:usr_ada", Reason: "revoked"}
	return n
}

// readsAll reads everything through what a server calls, and revokes it.
func (m made) readsAll(t *testing.T, b *storetest.Backend) {
	t.Helper()
	s, n := b.Open(t), m.expected()
	m.readsClients(t, s, n)
	m.readsPeople(t, s, n)
	m.readsKeys(t, s, n)
	m.readsRest(t, s, n)
	m.endsAll(t, b, s)
}

func (m made) readsClients(t *testing.T, s *store.Store, n *nouns) {
	t.Helper()
	ctx := t.Context()
	clients, _, err := s.Clients(ctx, "", "", 10)
	same(t, "clients", clients, []*store.Client{n.billing, n.old}, err)
	clients, _, err = s.Clients(ctx, "billing", "", 10)
	same(t, "clients by name", clients, []*store.Client{n.billing}, err)
	billing, err := s.Client(ctx, "billing")
	same(t, "client", billing, n.billing, err)
	for digest, want := range m.tokens(billing.Generation) {
		got, err := s.Credential(ctx, digest)
		same(t, "token", got, &want, err)
		if err == nil && !got.Generation.Matches(billing.Generation) {
			t.Error("a token has another generation than its client")
		}
	}
	uses, err := s.ClientUses(ctx, "billing")
	same(t, "last uses of secrets", uses.Secrets, map[string]time.Time{"sec_2": recordTime}, err)
}

func (m made) readsPeople(t *testing.T, s *store.Store, n *nouns) {
	t.Helper()
	ctx := t.Context()
	people, _, err := s.Users(ctx, "", "", 10)
	same(t, "people", people, []*store.User{n.ada, n.bob, n.eve}, err)
	people, _, err = s.Users(ctx, "ada love", "", 10)
	same(t, "people by name", people, []*store.User{n.ada}, err)
	ada, err := s.UserByEmail(ctx, "ADA@example.com")
	same(t, "person by email", ada, n.ada, err)
	want := &store.Session{
		Digest: store.DigestOf(adaCookie), UserID: adaID, Generation: store.Generation{1},
		CreatedAt: recordTime, SeenAt: recordTime, Address: recordFrom.String(), Agent: "a browser",
	}
	session, _, err := s.Session(ctx, want.Digest)
	same(t, "session", session, want, err)
	sessions, err := s.Sessions(ctx, ada)
	same(t, "sessions", sessions, []*store.Session{want}, err)
}

func (m made) readsKeys(t *testing.T, s *store.Store, n *nouns) {
	t.Helper()
	ctx, ada := t.Context(), read(t, s, adaID)
	want := []*store.APIKey{n.keys[4], n.keys[3], n.keys[2], n.keys[1], n.keys[0]}
	keys, _, err := s.Keys(ctx, store.KeyFilter{}, "", 10)
	same(t, "keys", keys, want, err)
	keys, _, err = s.Keys(ctx, store.KeyFilter{UserID: adaID, State: store.StateLive}, "", 10)
	same(t, "keys of a person", keys, want[1:], err)
	keys, _, err = s.Keys(ctx, store.KeyFilter{Query: "key 2"}, "", 10)
	same(t, "keys by name", keys, want[3:4], err)
	for _, k := range n.keys[:4] {
		live := &store.KeyRecord{
			ID: k.ID, UserID: adaID, Name: k.Name, Scope: k.Scope, CreatedAt: recordTime.UnixMilli(), RotatedTo: k.RotatedTo,
			Operator: ada.Operator,
		}
		if !k.ExpiresAt.IsZero() {
			live.ExpiresAt = k.ExpiresAt.UnixMilli()
		}
		got, err := s.Credential(ctx, k.Digest)
		same(t, k.ID, got, &store.Credential{Generation: ada.Generation, Key: live}, err)
		if err == nil && (!got.Generation.Matches(ada.Generation) || !got.Key.Operator.Matches(ada.Operator)) {
			t.Errorf("%s has another generation than its owner", k.ID)
		}
	}
	uses, err := s.KeyUses(ctx, n.keys[:1])
	same(t, "last use of a key", uses, []store.Use{{At: recordTime, From: recordFrom.String()}}, err)
	days, err := s.KeyDays(ctx, "key_1")
	same(t, "uses of a key by day", days[len(days)-1].Uses, 1, err)
	if err := s.RoomForKey(ctx, adaID); err != nil {
		t.Errorf("another key: %v", err)
	}
}

func (m made) readsRest(t *testing.T, s *store.Store, n *nouns) {
	t.Helper()
	ctx := t.Context()
	ring, err := s.Keyring(ctx)
	must(t, err)
	same(t, "signing keys", ring.Keys, n.ring.Keys, nil)
	mine, err := s.ClaimKeyring(ctx, &store.Keyring{Revision: "a revision"}, recordOwner, time.Minute)
	same(t, "claim of its owner", mine, true, err)
	mine, err = s.ClaimKeyring(ctx, &store.Keyring{Revision: "a revision"}, "another", time.Minute)
	same(t, "claim of another", mine, false, err)

	n.change.ID, n.refusal.ID = "1767323045000-0", "1767323045000-0"
	events, _, err := s.Events(ctx, store.EventFilter{})
	same(t, "changes", events, []store.Event{n.change}, err)
	events, _, err = s.Events(ctx, store.EventFilter{Refusals: true})
	same(t, "refusals", events, []store.Event{n.refusal}, err)

	minutes, err := s.Minutes(ctx, 1)
	same(t, "counts", minutes, []store.Counts{{
		Start: recordTime.Truncate(time.Minute), Issued: 1, Asked: 1, KeyUsed: 1, Refused: map[string]int64{"invalid_client": 1},
	}}, err)
	totals, err := s.Totals(ctx)
	same(t, "totals", totals, store.Totals{Clients: 2, Users: 3, ActiveKeys: 4}, err)
	first, left, err := s.ClaimIdempotencyKey(ctx, store.DigestOf(sentForm))
	if first || left != "key_1" || err != nil {
		t.Errorf("a form sent again: got %v, %q, %v", first, left, err)
	}
	over, _, err := s.CountCall(ctx, "billing", recordRate)
	same(t, "the second call of one an hour", over, true, err)
	over, _ = s.CountFailure(ctx, store.ClientFailures, "billing", recordFrom)
	same(t, "the eleventh failure", over, true, nil)
}

// endsAll revokes everything, by what finds it: nothing stays that would have a right.
func (m made) endsAll(t *testing.T, b *storetest.Backend, s *store.Store) {
	t.Helper()
	ctx, end := t.Context(), store.Cause{At: recordTime, Reason: "test"}
	must(t, s.RedeemInvite(ctx, bobID, store.DigestOf(bobCode), []byte("sealed")))
	leaks, err := s.RevokeLeaked(ctx, []store.Digest{store.DigestOf(m.Secrets[1]), store.DigestOf(m.Opaque), store.DigestOf(m.APIKeys[0])}, end)
	must(t, err)
	kinds := map[string]bool{}
	for _, leak := range leaks {
		kinds[leak.Kind] = true
	}
	same(t, "leaks", kinds, map[string]bool{store.KeyLeak: true, store.SecretLeak: true, store.TokenLeak: true}, nil)
	must(t, s.RevokeToken(ctx, store.DigestOf(m.JWT), store.Cause{}))
	for _, id := range []string{"billing", "old"} {
		must(t, s.DeleteClient(ctx, id, store.Cause{}))
	}
	for _, id := range []string{adaID, bobID, eveID} {
		must(t, s.DeleteUser(ctx, id, end))
	}
	for key := range b.Dump(t) {
		for _, gone := range []string{"mk:c:", "mk:clients:", "mk:secrets", "mk:p:", "mk:e:", "mk:users:", "mk:t:", "mk:pl:", "mk:keys:live", "mk:s:", "mk:ps:", "mk:u:"} {
			if strings.HasPrefix(key, gone) {
				t.Errorf("left behind: %q", key)
			}
		}
	}
}
