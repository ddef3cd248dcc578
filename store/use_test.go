package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func uses(t *testing.T, s *store.Store, clientID string) map[string]time.Time {
	t.Helper()
	got, err := s.ClientUses(t.Context(), clientID)
	must(t, err)
	return got.Secrets
}

func TestUses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		s.RecordSecretUse("a", "one")
		first := b.Clock.Now().Truncate(time.Second)
		b.Clock.Advance(3 * time.Second)
		s.RecordSecretUse("a", "two")
		s.RecordSecretUse("b", "one")
		if got := uses(t, s, "a"); len(got) != 0 {
			t.Errorf("written before it was flushed: %v", got)
		}
		must(t, s.Flush(ctx))
		want := map[string]time.Time{"one": first, "two": first.Add(3 * time.Second)}
		if got := uses(t, b.Open(t), "a"); !cmp.Equal(got, want) {
			t.Error(cmp.Diff(want, got))
		}

		b.Clock.Advance(time.Minute)
		s.RecordSecretUse("a", "one")
		must(t, s.Flush(ctx))
		want["one"] = b.Clock.Now().Truncate(time.Second)
		if got := uses(t, s, "a"); !cmp.Equal(got, want) {
			t.Error(cmp.Diff(want, got))
		}
		must(t, s.Flush(ctx)) // nothing to do

		b.Clock.Advance(401 * 24 * time.Hour)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

// However many secrets are used between two flushes, or while Redis is unavailable, the memory for it is bounded.
func TestUsesAreBounded(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	for i := range 10_100 {
		s.RecordSecretUse("a", fmt.Sprint(i))
	}
	s.RecordSecretUse("a", "0") // one that is known is recorded all the same
	must(t, s.Flush(t.Context()))
	if got := len(uses(t, s, "a")); got != 10_000 {
		t.Errorf("got %d uses, want 10000", got)
	}
	s.RecordSecretUse("a", "late")
	must(t, s.Flush(t.Context()))
	if _, ok := uses(t, s, "a")["late"]; !ok {
		t.Error("nothing is noted after the flush")
	}
}

// A revoked secret takes its last use with it.
func TestUsesOfRevokedSecrets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		previous := "sec_1"
		for range 5 { // rotations
			s.RecordSecretUse("a", previous)
			must(t, s.Flush(ctx))
			previous = store.NewSecretID()
			_, err := s.AddSecret(ctx, "a", secret(b, previous), time.Time{}, store.Cause{})
			must(t, err)
		}
		s.RecordSecretUse("a", previous)
		must(t, s.Flush(ctx))
		if got := uses(t, s, "a"); len(got) != 1 {
			t.Errorf("after the rotations: %v", got)
		}
		s.RecordSecretUse("a", previous)
		must(t, s.RevokeSecret(ctx, "a", previous, store.Cause{}))
		must(t, s.Flush(ctx))
		if got := uses(t, s, "a"); len(got) != 0 {
			t.Errorf("after the end: %v", got)
		}
	})
}

func TestRunFlushesWhenItStops(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		s.Run(ctx)
		close(ended)
	}()
	s.RecordSecretUse("a", "one")
	cancel()
	<-ended
	if got := uses(t, s, "a"); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestFlushWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	s := srv.Backend(t).Open(t)
	s.RecordSecretUse("a", "one")
	srv.Kill()
	wantErr(t, "flush", s.Flush(t.Context()), store.ErrUnavailable)
	_, err := s.ClientUses(t.Context(), "a")
	wantErr(t, "read", err, store.ErrUnavailable)
}

func keyUses(t *testing.T, s *store.Store, keys ...*store.APIKey) []store.Use {
	t.Helper()
	got, err := s.KeyUses(t.Context(), keys)
	must(t, err)
	return got
}

func TestKeyUses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u, friend := add(t, s, "a@example.com"), add(t, s, "b@example.com")
		one, two, theirs := makeKey(t, b, s, u, "one", 0), makeKey(t, b, s, u, "two", 0), makeKey(t, b, s, friend, "theirs", 0)
		s.RecordKeyUse(u.ID, one.ID, "192.0.2.7")
		s.RecordKeyUse(friend.ID, theirs.ID, "2001:db8::1")
		at := func() time.Time { return b.Clock.Now().Truncate(time.Second) }
		want := []store.Use{{At: at(), From: "192.0.2.7"}, {}, {At: at(), From: "2001:db8::1"}}
		if diff := cmp.Diff(make([]store.Use, 3), keyUses(t, s, one, two, theirs)); diff != "" {
			t.Errorf("before it was flushed (-want +got)\n%s", diff)
		}
		must(t, s.Flush(ctx))
		if diff := cmp.Diff(want, keyUses(t, other, one, two, theirs)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}

		// Of several uses the last counts, through whatever replica it came.
		b.Clock.Advance(time.Minute)
		s.RecordKeyUse(u.ID, one.ID, "192.0.2.8")
		s.RecordKeyUse(u.ID, one.ID, "client:a service: of ours")
		must(t, s.Flush(ctx))
		want[0] = store.Use{At: at(), From: "client:a service: of ours"}
		if diff := cmp.Diff(want, keyUses(t, other, one, two, theirs)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if got := keyUses(t, s); got != nil {
			t.Errorf("of no keys: %v", got)
		}
		b.Do("HSET", "mk:ku:"+u.ID, two.ID, "yesterday")
		if got := keyUses(t, s, two); got[0] != (store.Use{}) {
			t.Errorf("what makes no sense is read as %v", got)
		}
	})
}
