package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// lasting opens a store whose revocations wait for what d says.
func lasting(t *testing.T, b *storetest.Backend, d config.Durability, change ...func(*store.Options)) *store.Store {
	t.Helper()
	return b.Open(t, append(change, func(o *store.Options) { o.Durability = d })...)
}

// hurry is a deadline as a request has one, and longer, for a busy machine.
func hurry(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// revocations creates one of everything that can be revoked, and returns its revocation by name. Each may be repeated:
// the second time, there may be nothing left to revoke.
func revocations(t *testing.T, b *storetest.Backend, s *store.Store) map[string]func(context.Context) error {
	t.Helper()
	made := b.Open(t) // without a barrier
	people, keys := map[string]*store.User{}, map[string]*store.APIKey{}
	for _, id := range []string{"disabled", "demoted", "deleted", "ended", "several", "leaked", "out", "one", "invited", "reset"} {
		create(t, made, id)
		people[id] = add(t, made, id+"@example.com")
		keys[id] = makeKey(t, b, made, people[id], id, 0)
	}
	token := issue(t, b, made, "ended", "token")
	leakedSecret := secret(b, "sec_2")
	_, err := made.AddSecret(t.Context(), "leaked", leakedSecret, b.Clock.Now().Add(time.Hour), store.Cause{})
	must(t, err)
	session := &store.Session{Digest: store.DigestOf("session"), UserID: people["one"].ID}
	must(t, made.CreateSession(t.Context(), session, people["one"]))
	must(t, made.ReplaceKeyring(t.Context(), nil, keyring("a")))
	at, found := ended(b, "test"), []store.Digest{keys["leaked"].Digest, leakedSecret.Digest}
	ends := map[string]func(context.Context) error{
		"disable a client":  func(ctx context.Context) error { return s.DisableClient(ctx, "disabled", store.Cause{}) },
		"delete a client":   func(ctx context.Context) error { return s.DeleteClient(ctx, "deleted", store.Cause{}) },
		"end tokens":        func(ctx context.Context) error { return s.RevokeClientTokens(ctx, "ended", store.Cause{}) },
		"end a secret":      func(ctx context.Context) error { return s.RevokeSecret(ctx, "one", "sec_1", store.Cause{}) },
		"end a token":       func(ctx context.Context) error { return s.RevokeToken(ctx, token, store.Cause{}) },
		"disable a person":  func(ctx context.Context) error { return s.DisableUser(ctx, people["disabled"].ID, store.Cause{}) },
		"demote a person":   func(ctx context.Context) error { return s.DemoteUser(ctx, people["demoted"].ID, store.Cause{}) },
		"delete a person":   func(ctx context.Context) error { return s.DeleteUser(ctx, people["deleted"].ID, at) },
		"sign a person out": func(ctx context.Context) error { return s.RevokeSessions(ctx, people["out"].ID, store.Cause{}) },
		"reset a password":  func(ctx context.Context) error { return s.RevokePassword(ctx, people["reset"].ID, store.Cause{}) },
		"end a session": func(ctx context.Context) error {
			return s.RevokeSession(ctx, session.UserID, session.Digest, store.Cause{})
		},
		"end a key":       func(ctx context.Context) error { _, err := s.RevokeKey(ctx, keys["ended"].ID, at); return err },
		"end what leaked": func(ctx context.Context) error { _, err := s.RevokeLeaked(ctx, found, at); return err },
		"replace an invite": func(ctx context.Context) error {
			return s.InviteUser(ctx, people["invited"].ID, store.Invite{}, store.Cause{})
		},
		"say that it is gone": func(ctx context.Context) error {
			return s.ConfirmRevoked(ctx, store.DigestOf("an unknown token"), true, "a")
		},
		"say that it holds": func(ctx context.Context) error { return s.Confirm(ctx) },
	}
	ends["end keys"] = func(ctx context.Context) error {
		_, err := s.RevokeKeys(ctx, []*store.APIKey{keys["several"]}, at)
		return err
	}
	ends["narrow a key"] = func(ctx context.Context) error {
		_, err := s.UpdateKey(ctx, keys["out"], at, func(k *store.APIKey) error { k.Scope = "read"; return nil })
		return err
	}
	ends["disable a key"] = func(ctx context.Context) error { return s.DisableKey(ctx, keys["invited"], at) }
	ends["replace the signing keys"] = func(ctx context.Context) error {
		ring, err := made.Keyring(ctx)
		must(t, err)
		return s.ReplaceKeyring(ctx, ring, keyring("b"))
	}
	ends["narrow a client"] = func(ctx context.Context) error {
		_, err := s.UpdateClient(ctx, "out", store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.Scope = ""; return true, nil })
		return err
	}
	return ends
}

// all runs the revocations at the same time, each with the deadline of a request, and returns the error of each.
func all(t *testing.T, ends map[string]func(context.Context) error) map[string]error {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	came := map[string]error{}
	for what, end := range ends {
		wg.Go(func() {
			began := time.Now()
			err := end(hurry(t))
			if took := time.Since(began); took > 10*time.Second { // 0.4 s, on a machine that has nothing else to do
				t.Errorf("%s took %v", what, took)
			}
			mu.Lock()
			defer mu.Unlock()
			came[what] = err
		})
	}
	wg.Wait()
	return came
}

// TestReplicasConfirm cuts the link to the replica: a revocation is acknowledged only when the replica has it.
func TestReplicasConfirm(t *testing.T) {
	t.Parallel()
	primary := storetest.Redis(t)
	replica := storetest.Replica(t, primary.Addr())
	primary.AwaitReplicas(1)
	b := primary.Backend(t)
	s := lasting(t, b, config.Durability{Replicas: 1})
	ends := revocations(t, b, s)
	must(t, s.CheckDurability(t.Context()))

	replica.Freeze()
	for what, err := range all(t, ends) {
		wantErr(t, what, err, store.ErrUnavailable)
		// With nothing to apply, or too late, it revoked nothing now.
		if waited := strings.HasPrefix(what, "say "); errors.Is(err, store.ErrUnconfirmed) == waited && what != "say that it holds" {
			t.Errorf("%s: carried out %v: %v", what, !waited, err)
		}
	}
	for what, err := range all(t, ends) {
		wantErr(t, what+" again", err, store.ErrUnavailable) // though there is nothing left to revoke
	}
	if live(t, s, "ended", store.DigestOf("token")) {
		t.Error("a token that was ended, and not confirmed, is live")
	}

	// A new secret is shown once, and is not lost for want of a replica. A revocation that is part of it waits.
	create(t, s, "fresh")
	rotate := func(id string, overlap time.Duration) error {
		_, err := s.AddSecret(hurry(t), "fresh", secret(b, id), b.Clock.Now().Add(overlap), store.Cause{})
		return err
	}
	for _, id := range []string{"sec_b", "sec_c"} {
		wantErr(t, "rotate at once to "+id, rotate(id, 0), store.ErrUnconfirmed)
	}
	must(t, rotate("sec_d", time.Hour))

	replica.Thaw()
	replica.Await("the last write", func(ctx context.Context, rdb *redis.Client) bool {
		n, err := rdb.Exists(ctx, "mk:c:deleted").Result()
		return err == nil && n == 0
	})
	for what, end := range ends {
		await(t, what+", when the replica is back", func() error { // which on a busy machine may be late once more
			if err := end(hurry(t)); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return nil
		})
	}
}

// TestReplicasAreCounted requires more replicas than there are.
func TestReplicasAreCounted(t *testing.T) {
	t.Parallel()
	primary := storetest.Redis(t)
	storetest.Replica(t, primary.Addr())
	primary.AwaitReplicas(1)
	s := lasting(t, primary.Backend(t), config.Durability{Replicas: 2})
	err := s.RevokeToken(hurry(t), store.DigestOf("token"), store.Cause{})
	wantErr(t, "an end", err, store.ErrUnconfirmed)
	if want := "1 of 2 replicas have it"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}
	err = s.CheckDurability(t.Context())
	wantErr(t, "the check", err, store.ErrDurability)
	const want = "MINTKEEP_REVOKE_DURABILITY=replicas:2 needs 2 connected replicas, and this Redis has 1: start another (REPLICAOF), or set a smaller N"
	if err.Error() != want {
		t.Errorf("got  %q\nwant %q", err, want)
	}
	if errors.Is(err, store.ErrUnavailable) {
		t.Error("what is not there, and will not come, is only unavailable")
	}
}

// TestConfirmingLeavesConnections: while revocations wait in vain for a replica, everything else is answered.
func TestConfirmingLeavesConnections(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	create(t, b.Open(t), "a")
	s := lasting(t, b, config.Durability{Replicas: 1})
	ctx, stop := context.WithCancel(hurry(t))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			wantErr(t, "an end", s.RevokeToken(ctx, store.DigestOf(fmt.Sprint(i)), store.Cause{}), store.ErrUnavailable)
		})
	}
	for range 50 {
		if _, err := s.Client(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	wg.Wait()
	if p := s.PoolStats(); p.Timeouts > 0 {
		t.Errorf("%d calls found no connection", p.Timeouts)
	}
}

// TestFsyncByAlways changes the settings of Redis while revocations are applied.
func TestFsyncByAlways(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	b := server.Backend(t)
	s := lasting(t, b, config.Durability{Fsync: true})
	must(t, s.CheckDurability(t.Context()))
	ends := revocations(t, b, s)
	for _, wrong := range [][3]string{
		{"appendfsync", "everysec", "always"}, {"no-appendfsync-on-rewrite", "yes", "no"}, {"appendonly", "no", "yes"},
	} {
		must(t, server.Client().ConfigSet(t.Context(), wrong[0], wrong[1]).Err())
		for what, err := range all(t, ends) {
			wantErr(t, fmt.Sprintf("%s with %s %s", what, wrong[0], wrong[1]), err, store.ErrUnavailable)
		}
		err := s.CheckDurability(t.Context())
		wantErr(t, "the check", err, store.ErrDurability)
		want := fmt.Sprintf("MINTKEEP_REVOKE_DURABILITY=fsync needs appendonly yes and appendfsync always, and this Redis has %s %s: "+
			"CONFIG SET %s %s, and write it to redis.conf", wrong[0], wrong[1], wrong[0], wrong[2])
		if err.Error() != want {
			t.Errorf("got  %q\nwant %q", err, want)
		}
		must(t, server.Client().ConfigSet(t.Context(), wrong[0], wrong[2]).Err())
		must(t, s.CheckDurability(t.Context()))
	}
	for what, err := range all(t, ends) {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s, when all is as it was: %v", what, err)
		}
	}
}

// TestFsyncFails: a disk that fails stops Redis before it answers, and the revocation is not acknowledged.
func TestFsyncFails(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	b := server.Backend(t)
	s := lasting(t, b, config.Durability{Fsync: true})
	create(t, s, "a")
	d := issue(t, b, s, "a", "token")
	server.FailSync()
	wantErr(t, "an end", s.RevokeToken(hurry(t), d, store.Cause{}), store.ErrUnavailable)
	server.AwaitDeath()
}

// TestDurabilityRights: an ACL that hides a setting is told apart from a Redis that lacks it.
func TestDurabilityRights(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	storetest.Replica(t, server.Addr())
	server.AwaitReplicas(1)
	acl := func(user string, rules ...any) string {
		_, err := server.Do(append([]any{"ACL", "SETUSER", user, "on", ">pw", "~mk:*", "+@all"}, rules...)...)
		must(t, err)
		return "redis://" + user + ":pw@" + server.Addr()
	}
	open := func(url string, d config.Durability) *store.Store {
		return lasting(t, server.Backend(t), d, func(o *store.Options) { o.URL = url })
	}
	blind := acl("blind", "-config")
	s := open(blind, config.Durability{Fsync: true})
	err := s.CheckDurability(t.Context())
	wantErr(t, "without CONFIG", err, store.ErrDurability)
	if want := "ACL SETUSER blind +config|get"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %q, want %q at its end", err, want)
	}
	err = s.RevokeToken(hurry(t), store.DigestOf("token"), store.Cause{})
	wantErr(t, "an end without CONFIG", err, store.ErrUnconfirmed)

	mute := acl("mute", "-info")
	must(t, open(mute, config.Durability{Replicas: 1}).CheckDurability(t.Context()))
	err = open(mute, config.Durability{Replicas: 2}).CheckDurability(t.Context())
	wantErr(t, "without INFO", err, store.ErrDurability)
	if want := "has 1 that answer"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}
	if _, err := open(mute, config.Durability{}).KeepsLog(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("whether there is a log, without INFO: %v", err)
	}
	wantErr(t, "an end without WAIT", open(acl("deaf", "-wait"), config.Durability{Replicas: 1}).RevokeToken(hurry(t), store.DigestOf("x"), store.Cause{}), store.ErrUnconfirmed)
}

// TestDurabilityUnknown: an unavailable Redis is not one that lacks something.
func TestDurabilityUnknown(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	one, disk := lasting(t, server.Backend(t), config.Durability{Replicas: 1}), lasting(t, server.Backend(t), config.Durability{Fsync: true})
	if kept, err := one.KeepsLog(t.Context()); kept || err != nil {
		t.Errorf("a log is kept: %v, %v; want none", kept, err)
	}
	server.Config("appendonly", "yes")
	if kept, err := one.KeepsLog(t.Context()); !kept || err != nil {
		t.Errorf("a log is kept: %v, %v; want one", kept, err)
	}
	server.Kill()
	for _, s := range []*store.Store{one, disk} {
		err := s.CheckDurability(hurry(t))
		wantErr(t, "stopped", err, store.ErrUnavailable)
		if errors.Is(err, store.ErrDurability) {
			t.Errorf("a Redis that is not there lacks something: %v", err)
		}
	}
}

// TestAckAsksNothing: where Redis's own answer is enough, no further command is sent. What is not there is read, and
// changes of it that are on their way are stopped.
func TestAckAsksNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		o := &observed{}
		s, ctx := b.Open(t, func(options *store.Options) { options.Observe = o.observe }), t.Context()
		must(t, s.Ping(ctx))
		for what, tt := range map[string]struct {
			trips int
			do    func() error
		}{
			"checks": {0, func() error {
				return errors.Join(s.CheckDurability(ctx), s.Confirm(ctx), s.ConfirmRevoked(ctx, store.DigestOf("x"), true, "a"))
			}},
			"end no secret":     {2, func() error { return s.RevokeSecret(ctx, "nobody", "sec_1", store.Cause{}) }},
			"disable nobody":    {2, func() error { return s.DisableClient(ctx, "nobody", store.Cause{}) }},
			"delete nobody":     {2, func() error { return s.DeleteClient(ctx, "nobody", store.Cause{}) }},
			"end no token":      {1, func() error { return s.RevokeToken(ctx, store.DigestOf("x"), store.Cause{}) }},
			"end no key":        {1, func() error { _, err := s.RevokeKey(ctx, "key_nobody", store.Cause{}); return err }},
			"disable no person": {2, func() error { return s.DisableUser(ctx, "usr_nobody", store.Cause{}) }},
			"delete no person":  {2, func() error { return s.DeleteUser(ctx, "usr_nobody", store.Cause{}) }},
			"end no session":    {2, func() error { return s.RevokeSession(ctx, "nobody", store.DigestOf("x"), store.Cause{}) }},
		} {
			o.take()
			if err := tt.do(); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			if got := o.take(); len(got) != tt.trips {
				t.Errorf("%s: got the commands %q, want %d", what, got, tt.trips)
			}
		}
	})
}
