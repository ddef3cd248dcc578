package store_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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

// Of a report whose answer was lost the caller learns what may be revoked: the repeated report finds none of it any more. A key
// that is revoked by then is shown as leaked, also to its owner.
func TestRevokeLeakedWithoutAnAnswer(t *testing.T) {
	for name, drops := range map[string]bool{"the answer is lost": false, "the deletions are lost": true} {
		t.Run(name, func(t *testing.T) {
			h := &losesAnswer{to: "del", drops: drops}
			b := storetest.Redis(t).Backend(t)
			s, ctx := h.open(t, b), t.Context()
			u := add(t, s, "a@example.com")
			k := makeKey(t, b, s, u, "found", 0)
			create(t, s, "a")
			token := issue(t, b, s, "a", "token")
			found := []store.Digest{k.Digest, token, store.DigestOf("never made")}
			h.armed.Store(true)
			got, err := s.RevokeLeaked(ctx, found, store.Cause{At: b.Clock.Now(), Reason: store.LeakReason})
			wantErr(t, "the first report", err, store.ErrUnavailable)
			want := []store.Leak{
				{Digest: k.Digest, Kind: store.KeyLeak, KeyID: k.ID, UserID: u.ID, Unknown: true},
				{Digest: token, Kind: store.TokenLeak, Claims: []byte{}, Unknown: true},
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("the first report (-want +got)\n%s", diff)
			}
			if got := opens(t, b, s, k); got != drops {
				t.Fatalf("after the first report the key opens %v", got)
			}
			got, err = s.RevokeLeaked(ctx, found, store.Cause{At: b.Clock.Now(), Reason: store.LeakReason})
			must(t, err)
			for i := range want {
				want[i].Unknown = false
			}
			if !drops {
				want = nil
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("again (-want +got)\n%s", diff)
			}
			if got := describe(t, s, k.ID).State(b.Clock.Now()); got != store.StateLeaked {
				t.Errorf("the key is shown as %s", got)
			}
			notices, err := s.KeyNotices(ctx, u.ID)
			must(t, err)
			if len(notices) != 1 || notices[0].State != store.StateLeaked {
				t.Errorf("its owner is told %+v", notices)
			}
		})
	}
}

// Of a report of which Redis has applied a part the caller learns which.
func TestRevokeLeakedInPart(t *testing.T) {
	server := storetest.Redis(t)
	b := server.Backend(t)
	s := b.Open(t)
	create(t, s, "a")
	kept := issue(t, b, s, "a", "kept")
	token := 0
	for strings.ContainsAny(recordKey(store.DigestOf(fmt.Sprint(token))), "\x00 *?[\\\t\n\v\f\r") { // what means something in an ACL
		token++
	}
	revoked := issue(t, b, s, "a", fmt.Sprint(token))
	server.Do("ACL", "SETUSER", "default", "resetkeys", "%R~*", "~"+recordKey(revoked))
	got, err := s.RevokeLeaked(t.Context(), []store.Digest{revoked, kept}, store.Cause{At: b.Clock.Now()})
	server.Do("ACL", "SETUSER", "default", "~*")
	wantErr(t, "the report", err, store.ErrUnavailable)
	want := []store.Leak{
		{Digest: revoked, Kind: store.TokenLeak, Claims: []byte{}},
		{Digest: kept, Kind: store.TokenLeak, Claims: []byte{}, Unknown: true},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A secret that may be revoked is told as well. What follows it in the report was not tried.
func TestRevokeLeakedSecretWithoutAnAnswer(t *testing.T) {
	server := storetest.Redis(t)
	b := server.Backend(t)
	s := b.Open(t)
	create(t, s, "a")
	server.Do("ACL", "SETUSER", "default", "resetkeys", "%R~*")
	got, err := s.RevokeLeaked(t.Context(), []store.Digest{store.DigestOf("secret of a")}, store.Cause{At: b.Clock.Now()})
	server.Do("ACL", "SETUSER", "default", "~*")
	wantErr(t, "the report", err, store.ErrUnavailable)
	want := []store.Leak{{Digest: store.DigestOf("secret of a"), Kind: store.SecretLeak, ClientID: "a", SecretID: "sec_1", Unknown: true}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The index of secrets has those that are there, and no others.
func TestSecretIndex(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		size := func() int { return len(b.Dump(t)["mk:secrets"]) / 2 }
		create(t, s, "a")
		wantErr(t, "taken", s.CreateClient(ctx, client("a")), store.ErrExists)
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

// importing is a client with a secret that its operator brought, which other clients may have too.
func importing(id, secretID, plain string) *store.Client {
	c := client(id)
	c.Secrets[0].ID, c.Secrets[0].Digest, c.Secrets[0].LastFour = secretID, store.DigestOf(plain), ""
	return c
}

// A secret that leaked is revoked in every client that has it, imported or created here.
func TestRevokeLeakedImported(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		for _, c := range []*store.Client{client("a"), importing("b", "sec_b", "secret of a"), importing("c", "sec_c", "shared"), importing("d", "sec_d", "shared"), importing("e", "sec_e", "kept")} {
			must(t, s.CreateClient(ctx, c))
		}
		rotated := secret(b, "sec_r")
		rotated.Digest, rotated.LastFour = store.DigestOf("shared"), ""
		_, err := s.AddSecret(ctx, "e", rotated, b.Clock.Now().Add(time.Hour), store.Cause{})
		must(t, err)
		// Of two clients with one secret, the revocation of one leaves the entry of the other.
		must(t, s.RevokeSecret(ctx, "c", "sec_c", store.Cause{}))
		want := []store.Leak{
			{Digest: store.DigestOf("secret of a"), Kind: store.SecretLeak, ClientID: "a", SecretID: "sec_1"},
			{Digest: store.DigestOf("secret of a"), Kind: store.SecretLeak, ClientID: "b", SecretID: "sec_b"},
			{Digest: store.DigestOf("shared"), Kind: store.SecretLeak, ClientID: "d", SecretID: "sec_d"},
			{Digest: store.DigestOf("shared"), Kind: store.SecretLeak, ClientID: "e", SecretID: "sec_r"},
		}
		if diff := gocmp.Diff(want, leaked(t, b, other, store.DigestOf("secret of a"), store.DigestOf("shared"))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		for id, want := range map[string]int{"a": 0, "b": 0, "c": 0, "d": 0, "e": 1} {
			if c, err := other.Client(ctx, id); err != nil || len(c.Secrets) != want {
				t.Errorf("client %s has the secrets %+v, %v; want %d", id, c.Secrets, err, want)
			}
		}
		if keys := b.Dump(t).Find("mk:secrets:"); len(keys) != 1 {
			t.Errorf("the index has %q, want the secret that is kept", keys)
		}
		must(t, s.DeleteClient(ctx, "e", store.Cause{}))
		if keys := b.Dump(t).Find("mk:secrets"); len(keys) != 0 {
			t.Errorf("the index has %q in the end", keys)
		}
	})
}

// The entry of a secret that is imported, and was revoked, leaves that of the client that Mintkeep created it for.
func TestImportedSecretKeepsTheEntryOfTheCreated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		must(t, s.CreateClient(ctx, importing("b", "sec_b", "secret of a")))
		must(t, s.DeleteClient(ctx, "b", store.Cause{}))
		if got := leaked(t, b, s, store.DigestOf("secret of a")); len(got) != 1 || got[0].ClientID != "a" {
			t.Errorf("got %+v, want the secret of a", got)
		}
	})
}

// Run enters what an earlier version has imported without an entry.
func TestImportedByAnEarlierVersion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		for i := range 501 { // more than are looked at each time
			must(t, s.CreateClient(ctx, importing(fmt.Sprintf("c%03d", i), "sec_1", fmt.Sprint("imported ", i))))
		}
		for _, key := range b.Dump(t).Find("mk:secrets:") {
			b.Do("DEL", key)
		}
		first, last := store.DigestOf("imported 0"), store.DigestOf("imported 500")
		if got := leaked(t, b, s, first, last); got != nil {
			t.Fatalf("before: %+v", got)
		}
		must(t, store.SweepSecrets(ctx, s))
		if got := leaked(t, b, s, first, last); len(got) != 1 || got[0].ClientID != "c000" {
			t.Errorf("after some: %+v", got)
		}
		must(t, store.SweepSecrets(ctx, s))
		if got := leaked(t, b, s, first, last); len(got) != 1 || got[0].ClientID != "c500" {
			t.Errorf("after all: %+v", got)
		}
	})
}

// An owner of many leaked keys is told of the last ones, and no entry stays longer than 30 days.
func TestNoticesOfManyLeaks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, u := b.Open(t), add(t, b.Open(t), "a@example.com")
		k, now := makeKey(t, b, s, u, "found", 0), b.Clock.Now()
		for i := range 100 {
			b.Do("ZADD", "mk:kl:"+u.ID, now.Add(-time.Hour).UnixMilli(), fmt.Sprint("key_", i))
		}
		b.Do("ZADD", "mk:kl:"+u.ID, now.Add(-31*24*time.Hour).UnixMilli(), "key_old")
		_, err := s.RevokeLeaked(t.Context(), []store.Digest{k.Digest}, store.Cause{At: now, Reason: store.LeakReason})
		must(t, err)
		notices, err := s.KeyNotices(t.Context(), u.ID)
		must(t, err)
		if len(notices) != 1 || notices[0].KeyID != k.ID {
			t.Errorf("the owner is told %+v", notices)
		}
		if n := b.Do("ZCARD", "mk:kl:"+u.ID); n != int64(101) {
			t.Errorf("%v reports are kept, want 101", n)
		}
	})
}
