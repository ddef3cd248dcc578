package store_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func leaked(t *testing.T, b *storetest.Backend, s *store.Store, digests ...store.Digest) []store.Leak {
	t.Helper()
	leaks, err := s.RevokeLeaked(t.Context(), digests, ended(b, "leaked"))
	must(t, err)
	slices.SortFunc(leaks, func(a, b store.Leak) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.SecretID, b.SecretID))
	})
	return leaks
}

func TestRevokeLeaked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		found, spared := makeKey(t, b, s, u, "found", 0), makeKey(t, b, s, u, "spared", 0)
		create(t, s, "a")
		next := secret(b, "sec_2")
		_, err := s.AddSecret(ctx, "a", next, b.Clock.Now().Add(time.Hour), store.Cause{})
		must(t, err)
		create(t, s, "b")
		token, lasting := issue(t, b, s, "a", "token"), issue(t, b, s, "a", "another")

		junk := []store.Digest{{}, store.DigestOf("never made")}
		if got := leaked(t, b, s, junk...); got != nil {
			t.Errorf("junk: %+v", got)
		}
		all := append(junk, found.Digest, token, store.DigestOf("secret of a"), next.Digest)
		want := []store.Leak{
			{Digest: token, Kind: store.TokenLeak, Claims: []byte{}},
			{Digest: found.Digest, Kind: store.KeyLeak, KeyID: found.ID, UserID: u.ID},
			{Digest: store.DigestOf("secret of a"), Kind: store.SecretLeak, ClientID: "a", SecretID: "sec_1"},
			{Digest: next.Digest, Kind: store.SecretLeak, ClientID: "a", SecretID: "sec_2"},
		}
		if diff := gocmp.Diff(want, leaked(t, b, s, all...)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if opens(t, b, other, found) || live(t, other, "a", token) || !opens(t, b, other, spared) || !live(t, other, "a", lasting) {
			t.Errorf("live: the found %v, %v, the others %v, %v", opens(t, b, other, found), live(t, other, "a", token),
				opens(t, b, other, spared), live(t, other, "a", lasting))
		}
		if got := describe(t, other, found.ID).Tombstone; got == nil || got.Reason != "leaked" || got.By != "user:usr_x" {
			t.Errorf("described as ended %+v", got)
		}
		for id, want := range map[string]int{"a": 0, "b": 1} {
			if c, err := other.Client(ctx, id); err != nil || len(c.Secrets) != want {
				t.Errorf("client %s has the secrets %+v, %v; want %d", id, c.Secrets, err, want)
			}
		}
		if got := leaked(t, b, other, all...); got != nil {
			t.Errorf("again: %+v", got)
		}
		if got := leaked(t, b, s); got != nil {
			t.Errorf("nothing: %+v", got)
		}
	})
}

// A credential is found in whatever state its owner is: a disabled user's key must not come back with the user.
func TestRevokeLeakedOfDisabled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		k := makeKey(t, b, s, u, "suspended", 0)
		create(t, s, "a")
		must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
		must(t, s.DisableClient(ctx, "a", store.Cause{}))
		if got := leaked(t, b, s, k.Digest, store.DigestOf("secret of a")); len(got) != 2 {
			t.Errorf("got %+v", got)
		}
		must(t, s.EnableUser(ctx, u.ID, store.Cause{}))
		must(t, s.EnableClient(ctx, "a", store.Cause{}))
		if c, err := s.Client(ctx, "a"); opens(t, b, s, k) || err != nil || len(c.Secrets) != 0 {
			t.Errorf("enabled: the key opens %v, the secrets are %v, %v", opens(t, b, s, k), c.Secrets, err)
		}
	})
}

// The index of secrets has those that are there, and no others.
func TestSecretIndex(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		size := func() int { return len(b.Dump(t)["mk:secrets"]) / 2 }
		create(t, s, "a")
		wantErr(t, "taken", s.CreateClient(ctx, client("a")), store.ErrExists)
		imported := client("b")
		imported.Secrets[0].LastFour = "" // it cannot be told whether it is a secret elsewhere too
		must(t, s.CreateClient(ctx, imported))
		if got := leaked(t, b, s, store.DigestOf("secret of b")); got != nil {
			t.Errorf("an imported one: %+v", got)
		}
		for i := range 4 {
			next := secret(b, store.NewSecretID())
			_, err := s.AddSecret(ctx, "a", next, time.Time{}, store.Cause{})
			must(t, err)
			if size() > 1 {
				t.Errorf("after rotation %d to %s the index has %d", i, next.ID, size())
			}
		}
		must(t, s.DeleteClient(ctx, "a", store.Cause{}))
		if size() != 0 {
			t.Errorf("the index has %d in the end", size())
		}
	})
}
