package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// enter signs a user in under a cookie.
func enter(t *testing.T, s *store.Store, userID, cookie string) store.Digest {
	t.Helper()
	d := store.DigestOf(cookie)
	must(t, s.CreateSession(t.Context(), &store.Session{Digest: d, UserID: userID, Address: "192.0.2.7", Agent: "browser of " + cookie}, read(t, s, userID)))
	return d
}

// setPassword changes a password as its owner does, in a session of today.
func setPassword(t *testing.T, s *store.Store, userID, sealed string) error {
	t.Helper()
	u := read(t, s, userID)
	return s.SetPassword(t.Context(), &store.Session{UserID: userID, Generation: u.Sessions}, u, []byte(sealed))
}

// in is whether a session is valid.
func in(t *testing.T, s *store.Store, d store.Digest) bool {
	t.Helper()
	_, _, err := s.Session(t.Context(), d)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// agents are the browsers of a user's sessions, the last used first.
func agents(t *testing.T, s *store.Store, userID string) (names []string) {
	t.Helper()
	sessions, err := s.Sessions(t.Context(), read(t, s, userID))
	must(t, err)
	for _, sess := range sessions {
		names = append(names, strings.TrimPrefix(sess.Agent, "browser of "))
	}
	return names
}

func TestSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		began := b.Clock.Now().UTC()
		one := enter(t, s, u.ID, "one")
		got, who, err := other.Session(ctx, one)
		must(t, err)
		want := &store.Session{
			Digest: one, UserID: u.ID, Generation: got.Generation, CreatedAt: began, SeenAt: began, Address: "192.0.2.7", Agent: "browser of one",
		}
		if diff := cmp.Diff(want, got); diff != "" || who.ID != u.ID || got.Generation == (store.Generation{}) {
			t.Errorf("%s's (-want +got)\n%s", who.ID, diff)
		}

		// Its last use is written once a minute.
		for _, step := range []struct {
			after time.Duration
			seen  time.Duration
		}{{59 * time.Second, 0}, {time.Second, time.Minute}, {30 * time.Second, time.Minute}, {31 * time.Second, 2*time.Minute + time.Second}} {
			b.Clock.Advance(step.after)
			if !in(t, s, one) {
				t.Fatal("it has ended")
			}
			got, _, err := other.Session(ctx, one)
			must(t, err)
			if since := got.SeenAt.Sub(began); since != step.seen {
				t.Errorf("seen %v after it began, want %v", since, step.seen)
			}
		}

		b.Clock.Advance(time.Minute)
		two := enter(t, other, u.ID, "two")
		if diff := cmp.Diff([]string{"two", "one"}, agents(t, s, u.ID)); diff != "" {
			t.Error(diff)
		}
		must(t, other.RevokeSession(ctx, u.ID, one, store.Cause{}))
		must(t, other.RevokeSession(ctx, u.ID, one, store.Cause{}))
		if in(t, s, one) || !in(t, s, two) {
			t.Error("the wrong one has ended")
		}
		if diff := cmp.Diff([]string{"two"}, agents(t, s, u.ID)); diff != "" {
			t.Error(diff)
		}
		for what, d := range map[string]store.Digest{"unknown": store.DigestOf("x"), "none": {}} {
			_, _, err := s.Session(ctx, d)
			wantErr(t, what, err, store.ErrNotFound)
		}
		wantErr(t, "nobody's", s.CreateSession(ctx, &store.Session{UserID: "nobody"}, u), store.ErrNotFound)
		must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
		wantErr(t, "a disabled person's", s.CreateSession(ctx, &store.Session{UserID: u.ID}, u), store.ErrNotFound)
	})
}

// A session expires when it was not used for twelve hours, and after a week in any case. Then nothing is left of it.
func TestSessionExpires(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		idle, used := enter(t, s, u.ID, "idle"), enter(t, s, u.ID, "used")
		b.Clock.Advance(store.SessionIdle - time.Minute)
		if !in(t, s, used) {
			t.Error("a session has ended before its time")
		}
		b.Clock.Advance(time.Minute)
		if in(t, s, idle) || !in(t, s, used) {
			t.Errorf("after 12 hours: idle %v, used %v", in(t, s, idle), in(t, s, used))
		}
		if diff := cmp.Diff([]string{"used"}, agents(t, s, u.ID)); diff != "" {
			t.Error(diff)
		}
		for range 14 {
			b.Clock.Advance(11 * time.Hour)
			in(t, s, used)
		}
		b.Clock.Advance(2*time.Hour - time.Minute) // of 168 hours, all but a minute
		if !in(t, s, used) {
			t.Error("a session in use has ended before its time")
		}
		b.Clock.Advance(time.Minute)
		if in(t, s, used) {
			t.Error("a session is older than a week")
		}
		must(t, s.DeleteUser(ctx, u.ID, ended(b, "")))
		b.Clock.Advance(time.Second)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// What revokes a user's sessions revokes all of them, at once and for every replica, and no later session makes them
// valid again.
func TestSessionsAreRevoked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u, friend := add(t, s, "a@example.com"), add(t, s, "b@example.com")
		theirs := enter(t, s, friend.ID, "theirs")
		seen := map[store.Generation]string{}
		var dead []store.Digest
		for what, end := range map[string]func() error{
			"everywhere": func() error { return s.RevokeSessions(ctx, u.ID, store.Cause{}) },
			"disabled": func() error {
				return errors.Join(s.DisableUser(ctx, u.ID, store.Cause{}), s.EnableUser(ctx, u.ID, store.Cause{}))
			},
			"password": func() error { return setPassword(t, s, u.ID, "another") },
			"invite":   func() error { return s.RedeemInvite(ctx, u.ID, invite(t, b, s, u.ID, "code"), []byte("another")) },
		} {
			for i := range 3 {
				dead = append(dead, enter(t, []*store.Store{s, other}[i%2], u.ID, fmt.Sprint(what, i)))
			}
			g := read(t, s, u.ID).Sessions
			if before, used := seen[g]; used || g == (store.Generation{}) {
				t.Errorf("%s: the generation is that of %q", what, before)
			}
			seen[g] = what
			before := b.Dump(t)
			must(t, end())
			// A record that was left behind is invalid too.
			for _, d := range dead {
				key := "mk:s:" + string(d[:])
				if record := before[key]; record != nil {
					b.Do("SET", key, record[0], "EX", "60")
				}
				for _, replica := range []*store.Store{s, other} {
					if in(t, replica, d) {
						t.Errorf("%s: a session lives", what)
					}
				}
			}
			enter(t, s, u.ID, "next")
			for _, d := range dead {
				if in(t, other, d) {
					t.Errorf("%s: a session has come back", what)
				}
			}
			if diff := cmp.Diff([]string{"next"}, agents(t, other, u.ID)); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
			must(t, s.RevokeSession(ctx, u.ID, store.DigestOf("next"), store.Cause{}))
			must(t, s.RevokeSessions(ctx, u.ID, store.Cause{}))
		}
		if !in(t, other, theirs) {
			t.Error("somebody else is signed out")
		}
		last := enter(t, s, u.ID, "last")
		must(t, s.DeleteUser(ctx, u.ID, ended(b, "")))
		if in(t, other, last) {
			t.Error("a deleted person is signed in")
		}
		wantErr(t, "end, nobody", s.RevokeSessions(ctx, u.ID, store.Cause{}), store.ErrNotFound)
		wantErr(t, "password, nobody", s.SetPassword(ctx, &store.Session{UserID: u.ID}, u, []byte("x")), store.ErrNotFound)
		b.Clock.Advance(time.Minute)
		if keys := b.Dump(t).Find(u.ID); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// A sign-in at the moment of a password change succeeds with the new password, or not at all.
func TestSessionRace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas, ctx := []*store.Store{b.Open(t), b.Open(t)}, t.Context()
		u := add(t, replicas[0], "a@example.com")
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				err := replicas[i%2].CreateSession(ctx, &store.Session{Digest: store.DigestOf(fmt.Sprint(i)), UserID: u.ID}, u)
				if err != nil && !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		must(t, setPassword(t, replicas[0], u.ID, "another"))
		for i := range 8 {
			if in(t, replicas[i%2], store.DigestOf(fmt.Sprint(i))) {
				t.Error("a session has outlived the password")
			}
		}
	})
}

func TestRehashPassword(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		session := enter(t, s, u.ID, "one")
		must(t, s.RehashPassword(ctx, u.ID, []byte("not this"), []byte("stale")))
		must(t, s.RehashPassword(ctx, u.ID, u.Password, []byte("better")))
		must(t, s.RehashPassword(ctx, u.ID, u.Password, []byte("stale")))
		if got := string(read(t, s, u.ID).Password); got != "better" {
			t.Errorf("got %q", got)
		}
		if !in(t, s, session) {
			t.Error("the session has ended")
		}
		wantErr(t, "nobody", s.RehashPassword(ctx, "nobody", nil, nil), store.ErrNotFound)
	})
}

// A password that another request hashes again meanwhile is still the same: a sign-in and a change with it succeed.
func TestRehashedPasswordIsTheSame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := read(t, s, add(t, s, "a@example.com").ID)
		must(t, other.RehashPassword(ctx, u.ID, u.Password, []byte("better")))
		sess := &store.Session{Digest: store.DigestOf("one"), UserID: u.ID}
		must(t, s.CreateSession(ctx, sess, u))
		must(t, s.SetPassword(ctx, sess, u, []byte("new")))
		wantErr(t, "the old password", s.CreateSession(ctx, sess, u), store.ErrNotFound)
	})
}

func TestFormOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas, ctx := []*store.Store{b.Open(t), b.Open(t)}, t.Context()
		d := store.DigestOf("form")
		firsts := make([]bool, 8)
		var all sync.WaitGroup
		for i := range firsts {
			all.Go(func() {
				first, left, err := replicas[i%2].ClaimIdempotencyKey(ctx, d)
				if firsts[i] = first; err != nil || left != "" {
					t.Errorf("left %q, %v", left, err)
				}
			})
		}
		all.Wait()
		if n := strings.Count(fmt.Sprint(firsts), "true"); n != 1 {
			t.Errorf("%d were the first", n)
		}
		asked := func(what string, d store.Digest, wantFirst bool, wantLeft string) {
			t.Helper()
			if first, left, err := replicas[1].ClaimIdempotencyKey(ctx, d); first != wantFirst || left != wantLeft || err != nil {
				t.Errorf("%s: %v, %q, %v", what, first, left, err)
			}
		}
		replicas[0].CompleteIdempotencyKey(ctx, d, "/there")
		asked("afterwards", d, false, "/there")
		asked("another", store.DigestOf("another"), true, "")
		replicas[0].CompleteIdempotencyKey(ctx, d, "")
		asked("after it came to nothing", d, true, "")
		b.Clock.Advance(time.Hour)
		asked("an hour later", d, true, "")
		b.Clock.Advance(time.Hour)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

// A slow sign-in with the old password fails once there is another, and a slow change does not overrule the password
// that was set meanwhile.
func TestOldPasswordIsRejected(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		must(t, s.RedeemInvite(ctx, u.ID, invite(t, b, s, u.ID, "first"), []byte("old")))
		enter(t, s, u.ID, "thief")
		old := read(t, s, u.ID)
		thief := &store.Session{UserID: u.ID, Generation: old.Sessions}

		must(t, s.RedeemInvite(ctx, u.ID, invite(t, b, s, u.ID, "reset"), []byte("new")))
		slow := &store.Session{Digest: store.DigestOf("slow"), UserID: u.ID}
		wantErr(t, "a session by the old password", s.CreateSession(ctx, slow, old), store.ErrNotFound)
		wantErr(t, "a change by the old password", s.SetPassword(ctx, thief, old, []byte("thief's")), store.ErrNotFound)
		wantErr(t, "a change in an ended session", s.SetPassword(ctx, thief, read(t, s, u.ID), []byte("thief's")), store.ErrNotFound)
		if got := string(read(t, s, u.ID).Password); got != "new" {
			t.Errorf("the password is %q", got)
		}
		must(t, s.CreateSession(ctx, slow, &store.User{Password: []byte("new")}))
	})
}

// A user has a limited number of sessions: of more, the oldest are to be revoked.
func TestSessionsAreBounded(t *testing.T) {
	s := storetest.Embedded(t)
	u := add(t, s.Open(t), "a@example.com")
	for i := range store.MaxSessions + 2 {
		enter(t, s.Open(t), u.ID, fmt.Sprint(i))
		s.Clock.Advance(time.Second)
		if i == store.MaxSessions-1 {
			wantSurplus(t, s.Open(t), u.ID)
		}
	}
	wantSurplus(t, s.Open(t), u.ID, "0", "1")
}

// An invite is invalid once its user has another address or password, or was disabled.
func TestWhatRevokesAnInvite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		for what, do := range map[string]func() error{
			"another address": func() error {
				_, err := s.UpdateUser(ctx, u.ID, store.Cause{}, func(m *store.UserMetadata) error { m.Email = "new@example.com"; return nil })
				return err
			},
			"another password": func() error { enter(t, s, u.ID, "x"); return setPassword(t, s, u.ID, "p") },
			"disabled": func() error {
				return errors.Join(s.DisableUser(ctx, u.ID, store.Cause{}), s.EnableUser(ctx, u.ID, store.Cause{}))
			},
		} {
			code := invite(t, b, s, u.ID, "code")
			must(t, do())
			wantErr(t, what, s.RedeemInvite(ctx, u.ID, code, []byte("x")), store.ErrNotFound)
		}
		code := invite(t, b, s, u.ID, "code")
		_, err := s.UpdateUser(ctx, u.ID, store.Cause{}, func(m *store.UserMetadata) error { m.Name = "Ada"; return nil })
		must(t, err)
		must(t, s.RedeemInvite(ctx, u.ID, code, []byte("x")))
	})
}

// An entry of a user's list that is no digest is skipped: it keeps neither the page nor a revocation from the others.
func TestDamagedSessionEntry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := add(t, s, "a@example.com")
		one := enter(t, s, u.ID, "one")
		damage := func() {
			for _, member := range []string{"", "short", strings.Repeat("x", 33)} {
				b.Do("ZADD", "mk:ps:"+u.ID, 0, member)
			}
		}
		damage()
		if diff := cmp.Diff([]string{"one"}, agents(t, s, u.ID)); diff != "" {
			t.Errorf("sessions (-want +got)\n%s", diff)
		}
		must(t, s.DisableUser(ctx, u.ID, ended(b, "")))
		if in(t, s, one) {
			t.Error("the session of a disabled user is valid")
		}
		if n := b.Do("EXISTS", "mk:ps:"+u.ID); n != int64(0) {
			t.Error("the list of sessions stays")
		}
		must(t, s.EnableUser(ctx, u.ID, ended(b, "")))
		damage()
		must(t, s.RevokeSessions(ctx, u.ID, ended(b, "")))
		for i := range store.MaxSessions + 2 { // more than a user may have: the oldest are revoked
			if i == 0 || i == store.MaxSessions {
				for _, member := range []string{"", "short", strings.Repeat("x", 33)} {
					b.Do("ZADD", "mk:ps:"+u.ID, b.Clock.Now().Add(time.Hour).UnixMilli(), member)
				}
			}
			enter(t, s, u.ID, fmt.Sprint(i))
		}
	})
}

// wantSurplus fails the test unless these are the cookies of the sessions that are too many.
func wantSurplus(t *testing.T, s *store.Store, userID string, cookies ...string) {
	t.Helper()
	var want []store.Digest
	for _, cookie := range cookies {
		want = append(want, store.DigestOf(cookie))
	}
	got, err := s.SurplusSessions(t.Context(), userID)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("%d sessions are too many, want those of %q", len(got), cookies)
	}
}
