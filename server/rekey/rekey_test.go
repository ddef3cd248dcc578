package rekey_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/rekey"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

var (
	oldKey = bytes.Repeat([]byte("o"), seal.KeyBytes)
	newKey = bytes.Repeat([]byte("n"), seal.KeyBytes)
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func hasher(t *testing.T, masterKeys ...[]byte) *password.Hasher {
	t.Helper()
	v, err := seal.New(masterKeys)
	must(t, err)
	return password.New(password.Options{Vault: v, Cost: password.Cost{Memory: 64, Passes: 1, Lanes: 1}})
}

// person adds somebody whose password is text, sealed under key; without a text they have none.
func person(t *testing.T, s *store.Store, id, text string, key []byte) {
	t.Helper()
	u := &store.User{ID: id, Metadata: store.UserMetadata{Email: id + "@example.com", CreatedAt: time.Now().UTC()}}
	if text != "" {
		u.Password = hash(t, id, text, key)
	}
	must(t, s.CreateUser(t.Context(), u))
}

func hash(t *testing.T, id, text string, key []byte) []byte {
	t.Helper()
	sealed, err := hasher(t, key).Hash(t.Context(), id, text)
	must(t, err)
	return sealed
}

// ring is a replica's signing keys under the master keys, made if there are none.
func ring(t *testing.T, b *storetest.Backend, masterKeys ...[]byte) *signing.Ring {
	t.Helper()
	r, err := signing.New(signing.Options{
		Store: b.Open(t), MasterKeys: masterKeys, Algorithm: "ES256", TokenTTLMax: time.Hour, Now: b.Clock.Now,
	})
	must(t, err)
	must(t, r.Load(t.Context()))
	return r
}

func run(t *testing.T, s *store.Store, masterKeys ...[]byte) rekey.Result {
	t.Helper()
	got, err := rekey.Run(t.Context(), rekey.Options{Store: s, MasterKeys: masterKeys})
	must(t, err)
	return got
}

func wantResult(t *testing.T, when string, got, want rekey.Result) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", when, diff)
	}
}

// opens says whether the password is the person's, with nothing but the master key.
func opens(t *testing.T, s *store.Store, id, text string, key []byte) bool {
	t.Helper()
	u, err := s.User(t.Context(), id)
	must(t, err)
	ok, _, err := hasher(t, key).Verify(t.Context(), id, u.Password, text)
	return ok && err == nil
}

// Everything opens under the new key alone afterwards, and nothing else has changed.
func TestRun(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		r := ring(t, b, oldKey, newKey)
		b.Clock.Advance(time.Hour)
		must(t, r.Rotate(t.Context(), signing.NoKeys)) // there is a retired key too, which has no private part
		person(t, s, "usr_ada", "ada's password", oldKey)
		person(t, s, "usr_bob", "bob's password", newKey)
		person(t, s, "usr_invited", "", nil)

		before := b.Dump(t)
		would, err := rekey.Run(t.Context(), rekey.Options{Store: s, MasterKeys: [][]byte{newKey, oldKey}, DryRun: true})
		must(t, err)
		want := rekey.Result{SigningKeys: rekey.Count{Resealed: 2}, Passwords: rekey.Count{Resealed: 1, Current: 1}}
		wantResult(t, "dry run", would, want)
		if diff := cmp.Diff(before, b.Dump(t)); diff != "" {
			t.Errorf("a dry run changed something:\n%s", diff)
		}

		wantResult(t, "first", run(t, s, newKey, oldKey), want)
		after := b.Dump(t)
		for key := range before {
			if changed := !cmp.Equal(before[key], after[key]); changed != (key == "mk:signing-keys" || key == "mk:p:usr_ada") {
				t.Errorf("%s: changed is %v", key, changed)
			}
		}
		wantResult(t, "again, with the new key alone", run(t, s, newKey),
			rekey.Result{SigningKeys: rekey.Count{Current: 2}, Passwords: rekey.Count{Current: 2}})
		if diff := cmp.Diff(after, b.Dump(t)); diff != "" {
			t.Errorf("the second run changed something:\n%s", diff)
		}
		if !opens(t, s, "usr_ada", "ada's password", newKey) || !opens(t, s, "usr_bob", "bob's password", newKey) {
			t.Error("a password does not open under the new key alone")
		}
		if diff := cmp.Diff(r.Keys(), ring(t, b, newKey).Keys()); diff != "" {
			t.Errorf("the signing keys are others under the new key (-before +after)\n%s", diff)
		}
		must(t, r.Tick(t.Context())) // a replica that was there before signs on
		if _, err := r.Sign([]byte("{}")); err != nil {
			t.Errorf("a replica from before: %v", err)
		}
	})
}

// What does not open, and what cannot be read, is named; the rest is sealed anew all the same.
func TestProblems(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		ring(t, b, oldKey)
		lost := bytes.Repeat([]byte("l"), seal.KeyBytes)
		person(t, s, "usr_ada", "ada's password", oldKey)
		person(t, s, "usr_damaged", "a password", oldKey)
		person(t, s, "usr_lost", "a password", lost)
		person(t, s, "usr_newer", "a password", oldKey)
		person(t, s, "usr_type", "a password", oldKey)
		person(t, s, "usr_zoe", "zoe's password", oldKey)
		b.Do("HSET", "mk:p:usr_damaged", "meta", "1{")
		b.Do("HSET", "mk:p:usr_newer", "meta", "2{}")
		b.Do("DEL", "mk:p:usr_type")
		b.Do("SET", "mk:p:usr_type", "x")

		got := run(t, s, newKey, oldKey)
		if want := (rekey.Count{Resealed: 2}); got.SigningKeys != want || got.Passwords != want {
			t.Errorf("sealed anew: %+v and %+v, want %+v of each", got.SigningKeys, got.Passwords, want)
		}
		wantProblems(t, got.Problems, map[string]error{
			"password of usr_damaged": store.ErrUnavailable, "password of usr_newer": store.ErrNewerRecord,
			"password of usr_type": store.ErrUnavailable, "password of usr_lost": seal.ErrMasterKey,
		})
		if b.Do("HGET", "mk:p:usr_newer", "meta") != "2{}" || !opens(t, s, "usr_zoe", "zoe's password", newKey) {
			t.Error("what cannot be read was changed, or stopped the walk")
		}

		// The signing keys, likewise.
		got = run(t, s, lost)
		wantProblems(t, got.Problems[:2], map[string]error{
			"signing key " + keyIDs(t, s)[0]: seal.ErrMasterKey, "signing key " + keyIDs(t, s)[1]: seal.ErrMasterKey,
		})
		for record, want := range map[string]error{`{"v":2}`: store.ErrNewerRecord, `{"v":1`: store.ErrKeyringDamaged} {
			b.Do("SET", "mk:signing-keys", record)
			wantProblems(t, run(t, s, newKey, oldKey).Problems[:1], map[string]error{"the signing keys": want})
			if b.Do("GET", "mk:signing-keys") != record {
				t.Errorf("%s was overwritten", record)
			}
		}
	})
}

func keyIDs(t *testing.T, s *store.Store) (ids []string) {
	t.Helper()
	ring, err := s.Keyring(t.Context())
	must(t, err)
	for _, k := range ring.Keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func wantProblems(t *testing.T, got []rekey.Problem, want map[string]error) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %v, want %d problems", got, len(want))
	}
	for _, p := range got {
		if want[p.Of] == nil || !errors.Is(p.Err, want[p.Of]) {
			t.Errorf("%s: got %v, want %v", p.Of, p.Err, want[p.Of])
		}
	}
}

// interrupted opens a store after whose nth command of a name from then on something else happens.
func interrupted(t *testing.T, b *storetest.Backend) (s *store.Store, after func(nth int, command string, do func())) {
	t.Helper()
	var left int
	var command string
	var do func()
	s = b.Open(t, func(o *store.Options) {
		o.Observe = func(cmd string, _ time.Duration, _ error) {
			if cmd == command {
				left--
			}
			if now := do; now != nil && left == 0 {
				do = nil
				now()
			}
		}
	})
	t.Cleanup(func() {
		if do != nil {
			t.Errorf("there was no %s to come after", command)
		}
	})
	return s, func(n int, name string, f func()) { left, command, do = n, name, f }
}

// moments are when somebody may come in between while a password is sealed anew.
var moments = map[string]struct {
	nth     int
	command string
}{
	"after the page was read": {1, "pipeline"},
	"before it is written":    {1, "hgetall"}, // of RehashPassword, which watches
}

func eachMoment(t *testing.T, f func(t *testing.T, b *storetest.Backend, nth int, command string)) {
	for name, m := range moments {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				if b.Name == "cluster" && m.command == "hgetall" {
					t.Skip("nobody is told of a cluster's commands under WATCH")
				}
				f(t, b, m.nth, m.command)
			})
		})
	}
}

// A password that somebody sets while theirs is sealed anew is the one that holds, and it is under the new key
// afterwards even if a replica sealed it under the old one.
func TestPasswordSetMeanwhile(t *testing.T) {
	eachMoment(t, func(t *testing.T, b *storetest.Backend, nth int, command string) {
		s, after := interrupted(t, b)
		other, code := b.Open(t), store.DigestOf("code")
		for id, key := range map[string][]byte{"usr_ada": oldKey, "usr_bob": newKey} {
			person(t, s, id, "the old password", oldKey)
			after(nth, command, func() {
				must(t, other.InviteUser(t.Context(), id, store.Invite{Digest: code, ExpiresAt: b.Clock.Now().Add(time.Hour)}, store.Cause{}))
				must(t, other.RedeemInvite(t.Context(), id, code, hash(t, id, "the new password", key)))
			})
			if got := run(t, s, newKey, oldKey); len(got.Problems) > 0 || got.Passwords != (rekey.Count{Resealed: 1}) {
				t.Errorf("%s: got %+v", id, got)
			}
			if !opens(t, s, id, "the new password", newKey) {
				t.Errorf("%s: the new password does not open under the new key", id)
			}
			must(t, s.DeleteUser(t.Context(), id, store.Cause{}))
		}
	})
}

// Nothing comes back of a person who is deleted while their password is sealed anew.
func TestDeletedMeanwhile(t *testing.T) {
	eachMoment(t, func(t *testing.T, b *storetest.Backend, nth int, command string) {
		s, after := interrupted(t, b)
		other := b.Open(t)
		person(t, s, "usr_ada", "the old password", oldKey)
		after(nth, command, func() { must(t, other.DeleteUser(t.Context(), "usr_ada", store.Cause{})) })
		wantResult(t, "deleted meanwhile", run(t, s, newKey, oldKey), rekey.Result{})
		if left := b.Dump(t).Keys(); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// A rotation while the ring is sealed anew holds, and its keys are under the new master key too.
func TestRotatedMeanwhile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, after := interrupted(t, b)
		r := ring(t, b, oldKey)
		after(1, "get", func() { must(t, r.Rotate(t.Context(), signing.CurrentKeys)) }) // sealed by a replica that has the old key in front
		got := run(t, s, newKey, oldKey)
		wantResult(t, "rotated meanwhile", got, rekey.Result{SigningKeys: rekey.Count{Resealed: 2}})
		if diff := cmp.Diff(r.Keys(), ring(t, b, newKey).Keys()); diff != "" {
			t.Errorf("the rotation was undone (-rotated +now)\n%s", diff)
		}
	})
}

// Many people are walked in pages, all of them, and the progress says so.
func TestPages(t *testing.T) {
	b := storetest.Embedded(t)
	s := b.Open(t)
	const people = 1100
	sealed := hash(t, "usr_0000", "password", oldKey)
	for i := range people {
		id := fmt.Sprintf("usr_%04d", i)
		must(t, s.CreateUser(t.Context(), &store.User{ID: id, Password: sealed, Metadata: store.UserMetadata{Email: id + "@example.com"}}))
	}
	var told []string
	got, err := rekey.Run(t.Context(), rekey.Options{
		Store: s, MasterKeys: [][]byte{newKey, oldKey}, Progress: func(done, all int64) { told = append(told, fmt.Sprintf("%d of %d", done, all)) },
	})
	must(t, err)
	// The hash is bound to its owner, so that it opens for the first person alone.
	if got.Passwords != (rekey.Count{Resealed: 1}) || len(got.Problems) != people-1 {
		t.Errorf("got %+v and %d problems, want 1 and %d", got.Passwords, len(got.Problems), people-1)
	}
	if want := []string{"500 of 1100", "1000 of 1100", "1100 of 1100"}; !cmp.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// A user whom the list of users lacks is not left behind: without the old key their password could not be checked any more.
func TestUnlisted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		person(t, s, "usr_ada", "a password", oldKey)
		person(t, s, "usr_ben", "another password", oldKey)
		b.Do("ZREM", "mk:users:id", "usr_ada")
		wantResult(t, "old to new", run(t, s, newKey, oldKey), rekey.Result{Passwords: rekey.Count{Resealed: 2}})
		if !opens(t, s, "usr_ada", "a password", newKey) {
			t.Error("the password of a user who is not listed opens under the old key alone")
		}
	})
}

// A Redis that goes away ends the walk, and is no verdict about anybody.
func TestUnavailable(t *testing.T) {
	server := storetest.Redis(t)
	b := server.Backend(t)
	s, after := interrupted(t, b)
	person(t, s, "usr_ada", "a password", oldKey)
	after(1, "hgetall", server.Kill)
	got, err := rekey.Run(t.Context(), rekey.Options{Store: s, MasterKeys: [][]byte{newKey, oldKey}})
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "stopped after 0 users") || len(got.Problems) > 0 {
		t.Errorf("got %v, problems %v", err, got.Problems)
	}
}

// After a leak of the master key no signing key that it sealed, now or in an earlier copy of Redis, is published any more.
func TestRunCompromised(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		r := ring(t, b, newKey, oldKey)
		b.Clock.Advance(time.Hour)
		must(t, r.Rotate(t.Context(), signing.NoKeys))
		person(t, s, "usr_ada", "ada's password", oldKey)
		leaked := map[string]bool{}
		for _, k := range r.Keys() {
			leaked[k.ID] = true
		}

		before := b.Dump(t)
		o := rekey.Options{Store: s, MasterKeys: [][]byte{newKey, oldKey}, Compromised: true, DryRun: true, Now: b.Clock.Now}
		want := rekey.Result{SigningKeys: rekey.Count{Current: 2}, Passwords: rekey.Count{Resealed: 1}, Dropped: 3}
		would, err := rekey.Run(t.Context(), o)
		must(t, err)
		wantResult(t, "dry run", would, want)
		if diff := cmp.Diff(before, b.Dump(t)); diff != "" {
			t.Errorf("a dry run changed something:\n%s", diff)
		}

		o.DryRun = false
		got, err := rekey.Run(t.Context(), o)
		must(t, err)
		wantResult(t, "compromised", got, want)
		must(t, r.Tick(t.Context())) // a replica reads the keys again
		keys := r.Keys()
		if len(keys) != 2 {
			t.Errorf("%d keys are published, want a new active and a new next one", len(keys))
		}
		for _, k := range keys {
			if leaked[k.ID] {
				t.Errorf("%s is still published, as %s", k.ID, k.State)
			}
		}
		ring(t, b, newKey) // opens all with the new master key alone
		events, _, err := s.Events(t.Context(), store.EventFilter{Limit: 1})
		must(t, err)
		if len(events) != 1 || events[0].Action != "signing_key.compromised" || events[0].Actor != "operator (mintkeep rekey)" {
			t.Errorf("the audit log has %+v", events)
		}
	})
}

// A key that no master key opens is a mistake in the list: then nothing is dropped.
func TestRunCompromisedWithTheWrongKey(t *testing.T) {
	b := storetest.Embedded(t)
	r := ring(t, b, oldKey)
	before := r.Keys()
	got, err := rekey.Run(t.Context(), rekey.Options{Store: b.Open(t), MasterKeys: [][]byte{newKey}, Compromised: true, Now: b.Clock.Now})
	must(t, err)
	if len(got.Problems) != 2 || got.Dropped != 0 {
		t.Errorf("got %+v", got)
	}
	must(t, r.Tick(t.Context()))
	if diff := cmp.Diff(before, r.Keys()); diff != "" {
		t.Error(diff)
	}
}

// Where no server was started yet there is nothing to drop, and no key is created.
func TestRunCompromisedNothing(t *testing.T) {
	b := storetest.Embedded(t)
	got, err := rekey.Run(t.Context(), rekey.Options{Store: b.Open(t), MasterKeys: [][]byte{newKey}, Compromised: true, Now: b.Clock.Now})
	must(t, err)
	wantResult(t, "nothing", got, rekey.Result{})
	if _, err := b.Open(t).Keyring(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want %v", err, store.ErrNotFound)
	}
}
