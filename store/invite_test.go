package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// invite gives a user a new invite with the code, for an hour.
func invite(t *testing.T, b *storetest.Backend, s *store.Store, id, code string) store.Digest {
	t.Helper()
	d := store.DigestOf(code)
	must(t, s.InviteUser(t.Context(), id, store.Invite{Digest: d, ExpiresAt: b.Clock.Now().Add(time.Hour)}, store.Cause{}))
	return d
}

func TestInvite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		first := invite(t, b, s, u.ID, "first")
		second := invite(t, b, other, u.ID, "second")
		if got := read(t, s, u.ID).Invite; got == nil || got.Digest != second || !got.ExpiresAt.Equal(b.Clock.Now().Add(time.Hour)) {
			t.Errorf("got %+v", got)
		}
		wantErr(t, "the one before", s.RedeemInvite(ctx, u.ID, first, []byte("stolen")), store.ErrNotFound)
		wantErr(t, "no code", s.RedeemInvite(ctx, u.ID, store.Digest{}, []byte("stolen")), store.ErrNotFound)
		wantErr(t, "somebody else's", s.RedeemInvite(ctx, add(t, s, "b@example.com").ID, second, []byte("stolen")), store.ErrNotFound)

		must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
		wantErr(t, "disabled", s.RedeemInvite(ctx, u.ID, second, []byte("stolen")), store.ErrNotFound)
		must(t, s.EnableUser(ctx, u.ID, store.Cause{}))
		second = invite(t, b, other, u.ID, "third")

		b.Clock.Advance(time.Hour - time.Millisecond)
		must(t, s.RedeemInvite(ctx, u.ID, second, []byte("mine")))
		wantErr(t, "again", other.RedeemInvite(ctx, u.ID, second, []byte("stolen")), store.ErrNotFound)
		if got := read(t, other, u.ID); string(got.Password) != "mine" || got.Invite != nil || got.Generation != u.Generation {
			t.Errorf("got the password %q, the invite %v", got.Password, got.Invite)
		}

		third := invite(t, b, s, u.ID, "third")
		b.Clock.Advance(time.Hour)
		wantErr(t, "expired", s.RedeemInvite(ctx, u.ID, third, []byte("late")), store.ErrNotFound)
		wantErr(t, "a deleted person's", func() error {
			fourth := invite(t, b, s, u.ID, "fourth")
			must(t, s.DeleteUser(ctx, u.ID, ended(b, "")))
			return s.RedeemInvite(ctx, u.ID, fourth, []byte("late"))
		}(), store.ErrNotFound)
		if keys := b.Dump(t).Find(u.ID); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// A password that is revoked is gone with the sessions and the invite, also if a version set it that drew no life for it.
func TestRevokePassword(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		for _, version := range []string{"this", "earlier"} {
			u := add(t, s, version+"@example.com")
			if version == "earlier" {
				b.Do("HDEL", "mk:p:"+u.ID, "pwlife")
			}
			code, d := invite(t, b, s, u.ID, "code"), enter(t, s, u.ID, version)
			old := read(t, s, u.ID)
			must(t, s.RevokePassword(ctx, u.ID, ended(b, "reset")))
			got := read(t, other, u.ID)
			if len(got.Password) > 0 || got.Invite != nil || !got.Enabled || got.Generation != old.Generation {
				t.Errorf("%s version: got %+v", version, got)
			}
			if in(t, other, d) {
				t.Errorf("%s version: the session is valid", version)
			}
			wantErr(t, "the link of before", s.RedeemInvite(ctx, u.ID, code, []byte("stolen")), store.ErrNotFound)
			wantErr(t, "sign in", s.CreateSession(ctx, &store.Session{Digest: d, UserID: u.ID}, old), store.ErrNotFound)
			wantErr(t, "change", s.SetPassword(ctx, &store.Session{UserID: u.ID, Generation: old.Sessions}, old, []byte("stolen")), store.ErrNotFound)
			must(t, s.RevokePassword(ctx, u.ID, ended(b, "reset"))) // again
			must(t, s.RedeemInvite(ctx, u.ID, invite(t, b, s, u.ID, "next"), []byte("mine")))
		}
		wantErr(t, "no user", s.RevokePassword(ctx, "usr_x", store.Cause{}), store.ErrNotFound)
	})
}

// One link sets one password, however many click at once.
func TestInviteRace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		u := add(t, replicas[0], "a@example.com")
		for range 3 {
			code := invite(t, b, replicas[0], u.ID, "code")
			errs := make([]error, 8)
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() { errs[i] = replicas[i%2].RedeemInvite(t.Context(), u.ID, code, fmt.Append(nil, i)) })
			}
			all.Wait()
			winner := -1
			for i, err := range errs {
				switch {
				case err == nil && winner >= 0:
					t.Errorf("%d and %d both set the password", winner, i)
				case err == nil:
					winner = i
				case !errors.Is(err, store.ErrNotFound):
					t.Error(err)
				}
			}
			if got := string(read(t, replicas[1], u.ID).Password); got != fmt.Sprint(winner) {
				t.Errorf("the password is %q, and %d was told that it is theirs", got, winner)
			}
		}
	})
}
