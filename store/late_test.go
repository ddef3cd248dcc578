package store_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// twoReplicas are two stores on one Redis. What late sends can be held.
type twoReplicas struct {
	*storetest.Backend
	p           *storetest.LateProxy
	late, other *store.Store
}

// eachLate runs f on a redis-server and on a cluster, each its own.
func eachLate(t *testing.T, f func(t *testing.T, r twoReplicas)) {
	t.Helper()
	eachLateKilled(t, func(*storetest.Server) {}, f)
}

// eachLateAlive is eachLate, and once more where the store may not close its connections at the server.
func eachLateAlive(t *testing.T, f func(t *testing.T, r twoReplicas)) {
	t.Helper()
	eachLate(t, f)
	t.Run("without CLIENT KILL", func(t *testing.T) {
		eachLateKilled(t, func(s *storetest.Server) { s.Do("ACL", "SETUSER", "default", "-client|kill") }, f)
	})
}

func eachLateKilled(t *testing.T, prepare func(*storetest.Server), f func(t *testing.T, r twoReplicas)) {
	t.Helper()
	servers := map[string]func(testing.TB, ...string) *storetest.Server{"redis": storetest.Redis, "cluster": storetest.Cluster}
	together(t, servers, func(t *testing.T, _ string, start func(testing.TB, ...string) *storetest.Server) {
		lateAtOnce <- struct{}{}
		defer func() { <-lateAtOnce }()
		server := start(t)
		prepare(server)
		b, p := server.Backend(t), storetest.NewLateProxy(t, server)
		f(t, twoReplicas{b, p, b.Through(p).Open(t), b.Open(t)})
	})
}

// lateAtOnce has a place for each Redis that runs at once.
var lateAtOnce = make(chan struct{}, 12)

// together runs subtests at the same time, whatever -parallel says, because mostly they wait.
func together[T any](t *testing.T, subtests map[string]T, f func(t *testing.T, name string, sub T)) {
	t.Helper()
	var all sync.WaitGroup
	for name, sub := range subtests {
		all.Go(func() { t.Run(name, func(t *testing.T) { f(t, name, sub) }) })
	}
	all.Wait()
}

// request is a context as the server gives one to a request.
func request(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), budget)
	t.Cleanup(cancel)
	return ctx
}

// transaction matches what is sent from MULTI to EXEC.
func transaction(piece [][]string) bool { return piece[len(piece)-1][0] == "exec" }

// A credential that was handed out and then revoked stays revoked, though a command that created it arrives afterwards.
func TestLateDuplicate(t *testing.T) {
	t.Parallel()
	type credential struct {
		key            string // of its record
		create, revoke func(context.Context) error
		active         func(*testing.T, *store.Store) bool
	}
	together(t, map[string]func(*testing.T, twoReplicas) credential{
		"token": func(t *testing.T, r twoReplicas) credential {
			c, d := create(t, r.other, "a"), store.DigestOf("token")
			return credential{
				key: recordKey(d),
				create: func(ctx context.Context) error {
					return r.late.SaveToken(ctx, d, store.Credential{Generation: c.Generation}, r.Clock.Now().Add(time.Hour), nil)
				},
				revoke: func(ctx context.Context) error { return r.other.RevokeToken(ctx, d, store.Cause{}) },
				active: func(t *testing.T, s *store.Store) bool { return live(t, s, "a", d) },
			}
		},
		"key": func(t *testing.T, r twoReplicas) credential {
			u := add(t, r.other, "a@example.com")
			k := key(r.Backend, u, "key", 0)
			return credential{
				key:    recordKey(k.Digest),
				create: func(ctx context.Context) error { return r.late.CreateKey(ctx, k, u) },
				revoke: func(ctx context.Context) error {
					_, err := r.other.RevokeKey(ctx, k.ID, ended(r.Backend, "revoked"))
					return err
				},
				active: func(t *testing.T, s *store.Store) bool { return opens(t, r.Backend, s, k) },
			}
		},
		"session": func(t *testing.T, r twoReplicas) credential {
			u, d := add(t, r.other, "a@example.com"), store.DigestOf("cookie")
			enter(t, r.other, u.ID, "another")
			return credential{
				key: "mk:s:" + string(d[:]),
				create: func(ctx context.Context) error {
					return r.late.CreateSession(ctx, &store.Session{Digest: d, UserID: u.ID}, u)
				},
				revoke: func(ctx context.Context) error { return r.other.RevokeSession(ctx, u.ID, d, store.Cause{}) },
				active: func(t *testing.T, s *store.Store) bool { return in(t, s, d) },
			}
		},
	}, func(t *testing.T, _ string, of func(*testing.T, twoReplicas) credential) {
		eachLateAlive(t, func(t *testing.T, r twoReplicas) {
			c := of(t, r)
			held := r.p.Hold(storetest.Command("set", c.key))
			created := c.create(request(t))
			held.Await()
			if created != nil { // it is nobody's
				wantErr(t, "created", created, store.ErrUnavailable)
				return
			}
			must(t, c.revoke(t.Context()))
			if c.active(t, r.late) || c.active(t, r.other) {
				t.Error("it is active after its revocation")
			}
			delivered := held.Release()
			for which, s := range map[string]*store.Store{"late": r.late, "other": r.other} {
				if c.active(t, s) {
					t.Errorf("%s: it is active again, after a command that created it came late (%v)", which, delivered)
				}
			}
		})
	})
}

// A change that got no answer is not applied after a revocation that was acknowledged, though the revocation found
// nothing to do.
func TestLateChange(t *testing.T) {
	t.Parallel()
	type change struct {
		change, revoke func(context.Context) error
		// gone is what revoke answers if there is nothing to revoke.
		gone error
		// honoured is whether what was revoked is honoured.
		honoured func(*testing.T, *store.Store) bool
	}
	ofClient := func(f func(t *testing.T, r twoReplicas) change) func(*testing.T, twoReplicas) change {
		return func(t *testing.T, r twoReplicas) change { create(t, r.other, "a"); return f(t, r) }
	}
	together(t, map[string]func(*testing.T, twoReplicas) change{
		"client enabled": ofClient(func(t *testing.T, r twoReplicas) change {
			must(t, r.other.DisableClient(t.Context(), "a", store.Cause{}))
			return change{
				change: func(ctx context.Context) error { return r.late.EnableClient(ctx, "a", store.Cause{}) },
				revoke: func(ctx context.Context) error { return r.other.DisableClient(ctx, "a", store.Cause{}) },
				honoured: func(t *testing.T, s *store.Store) bool {
					c, err := s.Client(t.Context(), "a")
					must(t, err)
					return c.Enabled
				},
			}
		}),
		"secret added": ofClient(func(t *testing.T, r twoReplicas) change {
			return change{
				change: func(ctx context.Context) error {
					_, err := r.late.AddSecret(ctx, "a", secret(r.Backend, "sec_2"), time.Time{}, store.Cause{})
					return err
				},
				revoke: func(ctx context.Context) error { return r.other.RevokeSecret(ctx, "a", "sec_2", store.Cause{}) },
				gone:   store.ErrNotFound,
				honoured: func(t *testing.T, s *store.Store) bool {
					return slices.Contains(secretIDs(t, r.Backend, s), "sec_2")
				},
			}
		}),
		"client key added": ofClient(func(t *testing.T, r twoReplicas) change {
			update := func(ctx context.Context, s *store.Store, kids ...string) error {
				_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.JWKS = keySet(kids...); return false, nil })
				return err
			}
			return change{
				change: func(ctx context.Context) error { return update(ctx, r.late, "one") },
				revoke: func(ctx context.Context) error { return update(ctx, r.other) },
				honoured: func(t *testing.T, s *store.Store) bool {
					c, err := s.Client(t.Context(), "a")
					must(t, err)
					return c.Metadata.HasKeys()
				},
			}
		}),
		"client created": func(t *testing.T, r twoReplicas) change {
			return change{
				change: func(ctx context.Context) error { return r.late.CreateClient(ctx, client("a")) },
				revoke: func(ctx context.Context) error { return r.other.DeleteClient(ctx, "a", store.Cause{}) },
				gone:   store.ErrNotFound,
				honoured: func(t *testing.T, s *store.Store) bool {
					_, err := s.Client(t.Context(), "a")
					if err != nil {
						wantErr(t, "read", err, store.ErrNotFound)
					}
					return err == nil
				},
			}
		},
		"user enabled": func(t *testing.T, r twoReplicas) change {
			u := add(t, r.other, "a@example.com")
			k := makeKey(t, r.Backend, r.other, u, "key", 0)
			must(t, r.other.DisableUser(t.Context(), u.ID, store.Cause{}))
			return change{
				change:   func(ctx context.Context) error { return r.late.EnableUser(ctx, u.ID, store.Cause{}) },
				revoke:   func(ctx context.Context) error { return r.other.DisableUser(ctx, u.ID, store.Cause{}) },
				honoured: func(t *testing.T, s *store.Store) bool { return opens(t, r.Backend, s, k) },
			}
		},
		"key enabled, and disabled once more": func(t *testing.T, r twoReplicas) change {
			k := disabledKey(t, r)
			return change{
				change: func(ctx context.Context) error { return r.late.EnableKey(ctx, k, ended(r.Backend, "")) },
				revoke: func(ctx context.Context) error {
					return r.other.DisableKey(ctx, describe(t, r.other, k.ID), ended(r.Backend, ""))
				},
				honoured: func(t *testing.T, s *store.Store) bool {
					return opens(t, r.Backend, s, k) || describe(t, s, k.ID).Disabled == nil
				},
			}
		},
		"key enabled, and revoked": func(t *testing.T, r twoReplicas) change {
			k := disabledKey(t, r)
			return change{
				change: func(ctx context.Context) error { return r.late.EnableKey(ctx, k, ended(r.Backend, "")) },
				revoke: func(ctx context.Context) error {
					_, err := r.other.RevokeKeys(ctx, []*store.APIKey{describe(t, r.other, k.ID)}, ended(r.Backend, ""))
					return err
				},
				honoured: func(t *testing.T, s *store.Store) bool {
					return opens(t, r.Backend, s, k) || describe(t, s, k.ID).Tombstone == nil
				},
			}
		},
		"key renamed, and narrowed": func(t *testing.T, r twoReplicas) change {
			k := makeKey(t, r.Backend, r.other, add(t, r.other, "a@example.com"), "key", 0)
			return change{
				change: func(ctx context.Context) error { return renameKey(ctx, r.late, k, "late") },
				revoke: func(ctx context.Context) error {
					_, err := r.other.UpdateKey(ctx, k, ended(r.Backend, ""), func(k *store.APIKey) error { k.Scope = "read"; return nil })
					return err
				},
				honoured: func(t *testing.T, s *store.Store) bool {
					c, err := s.Credential(t.Context(), k.Digest)
					must(t, err)
					return c.Key.Scope != "read"
				},
			}
		},
		"key narrowed, and disabled": func(t *testing.T, r twoReplicas) change {
			k := makeKey(t, r.Backend, r.other, add(t, r.other, "a@example.com"), "key", 0)
			return change{
				change:   func(ctx context.Context) error { return renameKey(ctx, r.late, k, "late") },
				revoke:   func(ctx context.Context) error { return r.other.DisableKey(ctx, k, ended(r.Backend, "")) },
				honoured: func(t *testing.T, s *store.Store) bool { return opens(t, r.Backend, s, k) },
			}
		},
		"user promoted": func(t *testing.T, r twoReplicas) change {
			u := add(t, r.other, "a@example.com")
			must(t, r.other.DemoteUser(t.Context(), u.ID, store.Cause{}))
			return change{
				change:   func(ctx context.Context) error { return r.late.PromoteUser(ctx, u.ID, store.Cause{}) },
				revoke:   func(ctx context.Context) error { return r.other.DemoteUser(ctx, u.ID, store.Cause{}) },
				honoured: func(t *testing.T, s *store.Store) bool { return read(t, s, u.ID).Role() == store.Operator },
			}
		},
		"user invited": func(t *testing.T, r twoReplicas) change {
			u := add(t, r.other, "a@example.com")
			must(t, r.other.RevokeInvite(t.Context(), u.ID, store.Cause{}))
			return change{
				change: func(ctx context.Context) error {
					invite := store.Invite{Digest: store.DigestOf("code"), ExpiresAt: r.Clock.Now().Add(time.Hour)}
					return r.late.InviteUser(ctx, u.ID, invite, store.Cause{})
				},
				revoke:   func(ctx context.Context) error { return r.other.RevokeInvite(ctx, u.ID, store.Cause{}) },
				honoured: func(t *testing.T, s *store.Store) bool { return read(t, s, u.ID).Invite != nil },
			}
		},
	}, func(t *testing.T, _ string, of func(*testing.T, twoReplicas) change) {
		eachLateAlive(t, func(t *testing.T, r twoReplicas) {
			c := of(t, r)
			held := r.p.Hold(transaction)
			wantErr(t, "the change", c.change(request(t)), store.ErrUnavailable)
			held.Await()
			wantErr(t, "the revocation", c.revoke(t.Context()), c.gone)
			delivered := held.Release()
			for which, s := range map[string]*store.Store{"late": r.late, "other": r.other} {
				if c.honoured(t, s) {
					t.Errorf("%s: the change was applied after the revocation (%v)", which, delivered)
				}
			}
		})
	})
}

// disabledKey is a key that the other replica has disabled.
func disabledKey(t *testing.T, r twoReplicas) *store.APIKey {
	t.Helper()
	k := makeKey(t, r.Backend, r.other, add(t, r.other, "a@example.com"), "key", 0)
	must(t, r.other.DisableKey(t.Context(), k, ended(r.Backend, "")))
	return describe(t, r.other, k.ID)
}

// A key is not active that was revoked while it was created: its description, by which it is revoked, is there before its
// record.
func TestKeyRevokedWhileItIsCreated(t *testing.T) {
	t.Parallel()
	together(t, map[string]func(*storetest.LateProxy, storetest.Match) *storetest.Held{
		"the record is late": (*storetest.LateProxy).Hold,
		"its answer is late": (*storetest.LateProxy).HoldAnswer,
	}, func(t *testing.T, name string, hold func(*storetest.LateProxy, storetest.Match) *storetest.Held) {
		eachLateAlive(t, func(t *testing.T, r twoReplicas) {
			u := add(t, r.other, "a@example.com")
			k := key(r.Backend, u, "key", 0)
			held := hold(r.p, storetest.Command("set", recordKey(k.Digest)))
			create := func() error { return r.late.CreateKey(request(t), k, u) }
			if name == "the record is late" { // and not given up: no caller would have the key
				late := r.Through(r.p).Patient().Open(t)
				create = func() error { return late.CreateKey(t.Context(), k, u) }
			}
			created := make(chan error, 1)
			go func() { created <- create() }()
			held.Await()
			_, err := r.other.RevokeKey(t.Context(), k.ID, ended(r.Backend, "revoked"))
			must(t, err)
			if name == "the record is late" {
				held.Release()
			}
			err = <-created
			if opens(t, r.Backend, r.other, k) {
				t.Errorf("a key is active that was revoked while it was created; its creation was answered %v", err)
			}
		})
	})
}

// A key is not active either that was revoked between its listing and the last write of its description.
func TestKeyRevokedWhileItIsDescribed(t *testing.T) {
	t.Parallel()
	eachLateAlive(t, func(t *testing.T, r twoReplicas) {
		u := add(t, r.other, "a@example.com")
		k := key(r.Backend, u, "key", 0)
		description := storetest.Command("", "mk:k:"+k.ID)
		first := r.p.Hold(description)
		created := make(chan error, 1)
		go func() { created <- r.late.CreateKey(request(t), k, u) }()
		first.Await()
		last := r.p.Hold(description)
		first.Release()
		last.Await()
		_, err := r.other.RevokeKey(t.Context(), k.ID, ended(r.Backend, "revoked"))
		must(t, err)
		last.Release()
		err = <-created
		if opens(t, r.Backend, r.other, k) {
			t.Errorf("a key is active that was revoked while it was described; its creation was answered %v", err)
		}
		if now, err := r.other.Key(t.Context(), k.ID); err != nil || now.Tombstone == nil || now.Tombstone.Reason != "revoked" {
			t.Errorf("the key is %+v (%v), want the tombstone of its revocation", now, err)
		}
	})
}

// The revocation of a key that was being created is confirmed as any other: also the deletion of what the creation wrote
// after the revocation had found nothing.
func TestRevocationOfANewKeyIsConfirmed(t *testing.T) {
	t.Parallel()
	primary := storetest.Redis(t)
	replica := storetest.Replica(t, primary.Addr())
	primary.AwaitReplicas(1)
	b, creating, revoking := primary.Backend(t), storetest.NewLateProxy(t, primary), storetest.NewLateProxy(t, primary)
	creator, revoker := b.Through(creating).Open(t), lasting(t, b.Through(revoking), config.Durability{Replicas: 1})
	k := key(b, add(t, creator, "a@example.com"), "key", 0)
	record := creating.Hold(storetest.Command("set", recordKey(k.Digest)))
	created, revoked := make(chan error, 1), make(chan error, 1)
	go func() { created <- creator.CreateKey(t.Context(), k, read(t, creator, k.UserID)) }()
	record.Await()
	tombstone := revoking.Hold(storetest.Command("set", "mk:k:"+k.ID))
	go func() { _, err := revoker.RevokeKey(t.Context(), k.ID, ended(b, "revoked")); revoked <- err }()
	tombstone.Await()
	record.Release()
	must(t, <-created)
	replica.Freeze()
	tombstone.Release()
	wantErr(t, "a revocation that no replica has", <-revoked, store.ErrUnconfirmed)
}

// A heartbeat that arrives late is no rollback: Redis has lost nothing.
func TestLateHeartbeat(t *testing.T) {
	t.Parallel()
	eachLate(t, func(t *testing.T, r twoReplicas) {
		ctx := t.Context()
		for range 3 {
			r.late.Heartbeat(ctx)
		}
		held := r.p.Hold(storetest.Command("hincrby", "mk:epoch"))
		r.late.Heartbeat(ctx)
		held.Await()
		for range 20 { // by when the redo log does not reach back
			r.Clock.Advance(time.Minute)
			r.late.Heartbeat(ctx)
		}
		delivered := held.Release()
		r.late.Heartbeat(ctx)
		if err := r.late.Ping(ctx); err != nil {
			t.Errorf("after a heartbeat that came late (%v): %v", delivered, err)
		}
	})
}

// A client that is registered again is listed, and fenced, though the removal of its predecessor's entry comes late.
func TestLateIndexEntry(t *testing.T) {
	t.Parallel()
	eachLate(t, func(t *testing.T, r twoReplicas) {
		ctx := t.Context()
		create(t, r.other, "ghost")
		create(t, r.other, "plain")
		held := r.p.Hold(storetest.Command("zrem", "mk:clients:id"))
		must(t, r.late.DeleteClient(request(t), "ghost", store.Cause{}))
		held.Await()
		create(t, r.other, "ghost")
		tokens := map[string]store.Digest{}
		for _, id := range []string{"ghost", "plain"} {
			tokens[id] = issue(t, r.Backend, r.other, id, "token of "+id)
		}
		delivered := held.Release()
		must2(t)(r.Open(t).RevokeAllTokens(ctx, store.Cause{}, nil))
		for id, d := range tokens {
			if live(t, r.other, id, d) {
				t.Errorf("a token of %s is active after all tokens were revoked (%v)", id, delivered)
			}
		}
		if ids := list(t, r.other, "", 10); !slices.Equal(ids, []string{"ghost", "plain"}) {
			t.Errorf("listed are %q (%v)", ids, delivered)
		}
	})
}

// A client that is registered again is found by its words after the next upkeep, though the removal of its predecessor's
// words comes late.
func TestLateWords(t *testing.T) {
	t.Parallel()
	eachLate(t, func(t *testing.T, r twoReplicas) {
		create(t, r.other, "ghost-rider")
		held := r.p.Hold(storetest.Command("zrem", "mk:clients:word"))
		must(t, r.late.DeleteClient(request(t), "ghost-rider", store.Cause{}))
		held.Await()
		create(t, r.other, "ghost-rider")
		delivered := held.Release()
		must(t, store.SweepDirectories(t.Context(), r.other))
		if ids := list(t, r.other, "rider", 10); !slices.Equal(ids, []string{"ghost-rider"}) {
			t.Errorf("found are %q (%v)", ids, delivered)
		}
	})
}
