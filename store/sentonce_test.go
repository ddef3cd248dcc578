package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// writes are the commands that change something.
const writes = `set getdel setex del unlink hset hsetnx hsetex hdel hincrby zadd zrem zremrangebyscore zremrangebyrank
	expire pexpire persist incr xadd xtrim`

// writesIn are the writes of a piece, as text.
func writesIn(piece [][]string) (list []string) {
	for _, words := range piece {
		if slices.Contains(strings.Fields(writes), words[0]) {
			list = append(list, fmt.Sprintf("%.200q", words))
		}
	}
	return list
}

// pieces notes the pieces with writes that pass a proxy, and holds the nth; -1: none.
type pieces struct {
	held *storetest.Held

	mu     sync.Mutex
	writes [][]string // of each piece
}

func watchPieces(p *storetest.LateProxy, n int) *pieces {
	w := &pieces{}
	w.held = p.Hold(func(piece [][]string) bool {
		list := writesIn(piece)
		if len(list) == 0 {
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.writes = append(w.writes, list)
		return len(w.writes) == n+1
	})
	// What follows the piece that is held.
	p.Hold(func(piece [][]string) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if list := writesIn(piece); n >= 0 && len(w.writes) > n && len(list) > 0 {
			w.writes = append(w.writes, list)
		}
		return false
	})
	return w
}

func (w *pieces) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.writes)
}

// repeated are the writes of the nth piece that were sent again.
func (w *pieces) repeated(n int) (repeated []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, write := range w.writes[n] {
		if slices.Contains(slices.Concat(w.writes[n+1:]...), write) {
			repeated = append(repeated, write)
		}
	}
	return repeated
}

// methodOf makes a call of a method through the late replica. It prepares what the call needs through the other one.
type methodOf func(t *testing.T, r twoReplicas, name string) func(ctx context.Context) error

func byClient(f func(ctx context.Context, s *store.Store, id string) error) methodOf {
	return func(t *testing.T, r twoReplicas, name string) func(context.Context) error {
		create(t, r.other, name)
		return func(ctx context.Context) error { return f(ctx, r.late, name) }
	}
}

func byUser(f func(ctx context.Context, s *store.Store, u *store.User) error) methodOf {
	return func(t *testing.T, r twoReplicas, name string) func(context.Context) error {
		u := add(t, r.other, name+"@example.com")
		return func(ctx context.Context) error { return f(ctx, r.late, u) }
	}
}

func byKey(exists bool, f func(ctx context.Context, s *store.Store, k *store.APIKey, u *store.User) error) methodOf {
	return func(t *testing.T, r twoReplicas, name string) func(context.Context) error {
		u := add(t, r.other, name+"@example.com")
		k := key(r.Backend, u, "key", time.Hour)
		if exists {
			must(t, r.other.CreateKey(t.Context(), k, u))
		}
		return func(ctx context.Context) error { return f(ctx, r.late, k, u) }
	}
}

func usedBy(id string) *store.ReplayRecord {
	return store.NewReplayRecord("client", id, "one", time.Now(), time.Now().Add(time.Minute))
}

var writingMethods = map[string]methodOf{
	"SaveToken": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.SaveToken(ctx, store.DigestOf(id), store.Credential{Generation: store.Generation{1}}, time.Now().Add(time.Hour), nil)
	}),
	"SaveToken by an assertion": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.SaveToken(ctx, store.DigestOf(id), store.Credential{Generation: store.Generation{1}}, time.Now().Add(time.Hour), usedBy(id))
	}),
	"UseOnce": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.UseOnce(ctx, usedBy(id))
	}),
	"ClientOnce": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return second(s.ClientOnce(ctx, id, usedBy(id)))
	}),
	"UserOnce": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return second(s.UserOnce(ctx, u.ID, usedBy(u.ID)))
	}),
	"RevokeToken": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.RevokeToken(ctx, store.DigestOf(id), store.Cause{})
	}),
	"CreateClient": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.CreateClient(ctx, client("another-"+id))
	}),
	"UpdateClient": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return second(s.UpdateClient(ctx, id, store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
			m.Name = "renamed"
			return true, nil
		}))
	}),
	"DisableClient": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.DisableClient(ctx, id, store.Cause{})
	}),
	"EnableClient": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.EnableClient(ctx, id, store.Cause{})
	}),
	"RevokeClientTokens": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.RevokeClientTokens(ctx, id, store.Cause{})
	}),
	"DeleteClient": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.DeleteClient(ctx, id, store.Cause{})
	}),
	"AddSecret": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return second(s.AddSecret(ctx, id, store.Secret{ID: "sec_2", Digest: store.DigestOf(id), LastFour: "abcd"}, time.Time{}, store.Cause{}))
	}),
	"RevokeSecret": byClient(func(ctx context.Context, s *store.Store, id string) error {
		return s.RevokeSecret(ctx, id, "sec_1", store.Cause{})
	}),
	"CreateUser": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return s.CreateUser(ctx, person("another-"+u.Metadata.Email))
	}),
	"UpdateUser": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return second(s.UpdateUser(ctx, u.ID, store.Cause{}, func(m *store.UserMetadata) error { m.Email = "new-" + u.Metadata.Email; return nil }))
	}),
	"DisableUser": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return s.DisableUser(ctx, u.ID, store.Cause{})
	}),
	"EnableUser": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return s.EnableUser(ctx, u.ID, store.Cause{})
	}),
	"PromoteUser": func(t *testing.T, r twoReplicas, name string) func(context.Context) error {
		u := add(t, r.other, name+"@example.com")
		must(t, r.other.DemoteUser(t.Context(), u.ID, store.Cause{}))
		return func(ctx context.Context) error { return r.late.PromoteUser(ctx, u.ID, store.Cause{}) }
	},
	"DemoteUser": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return s.DemoteUser(ctx, u.ID, store.Cause{})
	}),
	"InviteUser": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return s.InviteUser(ctx, u.ID, store.Invite{Digest: store.DigestOf(u.ID), ExpiresAt: time.Now().Add(time.Hour)}, store.Cause{})
	}),
	"DeleteUser": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return s.DeleteUser(ctx, u.ID, store.Cause{})
	}),
	"CreateSession": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		return s.CreateSession(ctx, &store.Session{Digest: store.DigestOf(u.ID), UserID: u.ID}, u)
	}),
	"CreateKey": byKey(false, func(ctx context.Context, s *store.Store, k *store.APIKey, u *store.User) error {
		return s.CreateKey(ctx, k, u)
	}),
	"RevokeKey": byKey(true, func(ctx context.Context, s *store.Store, k *store.APIKey, _ *store.User) error {
		return second(s.RevokeKey(ctx, k.ID, store.Cause{At: time.Now()}))
	}),
	"UpdateKey": byKey(true, func(ctx context.Context, s *store.Store, k *store.APIKey, _ *store.User) error {
		return second(s.UpdateKey(ctx, k, store.Cause{}, func(k *store.APIKey) error {
			k.Name, k.Scope, k.ExpiresAt = "another", "read", k.ExpiresAt.Add(-time.Minute)
			return nil
		}))
	}),
	"DisableKey": byKey(true, func(ctx context.Context, s *store.Store, k *store.APIKey, _ *store.User) error {
		return s.DisableKey(ctx, k, store.Cause{At: time.Now()})
	}),
	"EnableKey": byKey(true, func(ctx context.Context, s *store.Store, k *store.APIKey, _ *store.User) error {
		return s.EnableKey(ctx, k, store.Cause{At: time.Now()})
	}),
	"Audit": byUser(func(ctx context.Context, s *store.Store, _ *store.User) error {
		return s.Audit(ctx, store.Event{Action: "tried"})
	}),
	"Flush": byUser(func(ctx context.Context, s *store.Store, u *store.User) error {
		s.Count(store.TokensIssued)
		s.RecordSecretUse(u.ID, "sec_1")
		return s.Flush(ctx)
	}),
	"Heartbeat": byUser(func(ctx context.Context, s *store.Store, _ *store.User) error {
		s.Heartbeat(ctx)
		return nil
	}),
}

// No write is sent twice, whichever of a method's writes gets no answer: the first may still be carried out, after what
// came later. Each is held in turn.
func TestWritesAreSentOnce(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *storetest.Server{"redis": storetest.Redis, "cluster": storetest.Cluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			b := server.Backend(t)
			other := b.Open(t)
			try := func(name string, n int) (w *pieces, err error) {
				p := storetest.NewLateProxy(t, server)
				do := writingMethods[name](t, twoReplicas{b, p, b.Through(p).Open(t), other}, fmt.Sprintf("%s-%d", strings.ToLower(name), n+1))
				w = watchPieces(p, n)
				err = do(request(t))
				return w, err
			}
			var tries sync.WaitGroup
			defer tries.Wait()
			places := make(chan struct{}, 16)
			for name := range writingMethods {
				w, err := try(name, -1)
				if n := w.count(); err != nil || n == 0 {
					t.Errorf("%s: %d writes, %v", name, n, err)
				}
				for n := range w.count() {
					tries.Go(func() {
						places <- struct{}{}
						defer func() { <-places }()
						w, err := try(name, n)
						w.held.Await()
						w.held.Release()
						if repeated := w.repeated(n); len(repeated) > 0 {
							t.Errorf("%s: without an answer to its write %d (%v), this was sent twice: %s", name, n+1, err, repeated[0])
						}
					})
				}
			}
		})
	}
}
