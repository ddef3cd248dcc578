package store_test

import (
	"context"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// scene is a store with the objects that the methods of the table revoke.
type scene struct {
	t    *testing.T
	b    *storetest.Backend
	s    *store.Store
	keys map[string]store.Digest // user → their key

	loss   loss
	reject rejecting
}

func newScene(t *testing.T, b *storetest.Backend) *scene {
	t.Helper()
	sc := &scene{t: t, b: b, keys: map[string]store.Digest{}}
	sc.s = b.Open(t, func(o *store.Options) {
		o.Feed = true
		before := o.Instrument
		o.Instrument = func(rdb redis.UniversalClient) {
			if before != nil {
				before(rdb)
			}
			rdb.AddHook(&sc.loss)
			rdb.AddHook(&sc.reject)
		}
	})
	return sc
}

// user is a user with an invite, a password and a session.
func (sc *scene) user(name string) (u *store.User, sess *store.Session) {
	sc.t.Helper()
	u = person(name + "@example.com")
	u.Invite.ExpiresAt = sc.b.Clock.Now().Add(time.Hour)
	must(sc.t, sc.s.CreateUser(sc.t.Context(), u))
	sess = &store.Session{Digest: store.DigestOf("session of " + name), UserID: u.ID}
	must(sc.t, sc.s.CreateSession(sc.t.Context(), sess, u))
	return u, sess
}

// row is a method of the table in doc.go. prepare makes its object, and returns what a revocation is about and a call of
// the method.
type row struct {
	prepare func(sc *scene, name string) (about string, call func(context.Context) error)
	// loses and after are the pipeline whose answer is lost: what it begins with, and how many of those pass before.
	loses string
	after int
	// replayed is whether there is a deletion, here or in what prepare does, so that it is appended again after a rollback.
	replayed bool
}

// onClient is a row of a method that is given the id of a client.
func onClient(loses string, replayed bool, prepare func(*scene, string), method func(*store.Store) func(context.Context, string, store.Cause) error) row {
	return row{func(sc *scene, name string) (string, func(context.Context) error) {
		create(sc.t, sc.s, name)
		if prepare != nil {
			prepare(sc, name)
		}
		return name, func(ctx context.Context) error { return method(sc.s)(ctx, name, store.Cause{}) }
	}, loses, 0, replayed}
}

// onUser is a row of a method that is given a user.
func onUser(loses string, after int, replayed bool, call func(ctx context.Context, sc *scene, u *store.User, sess *store.Session) error) row {
	return row{func(sc *scene, name string) (string, func(context.Context) error) {
		u, sess := sc.user(name)
		return u.ID, func(ctx context.Context) error { return call(ctx, sc, u, sess) }
	}, loses, after, replayed}
}

func onKey(loses string, call func(ctx context.Context, sc *scene, k *store.APIKey) error) row {
	return row{func(sc *scene, name string) (string, func(context.Context) error) {
		u, _ := sc.user(name)
		k := makeKey(sc.t, sc.b, sc.s, u, name, time.Hour)
		sc.keys[u.ID] = k.Digest
		return u.ID, func(ctx context.Context) error { return call(ctx, sc, k) }
	}, loses, 0, true}
}

// rows are the table of doc.go, but for the methods that revoke all of something.
var rows = map[string]row{
	"CreateClient": {func(sc *scene, name string) (string, func(context.Context) error) {
		return name, func(ctx context.Context) error { return sc.s.CreateClient(ctx, client(name)) }
	}, "multi", 0, false},
	"UpdateClient": onClient("multi", true, func(sc *scene, name string) { setKeys(sc.t, sc.s, name, "", "one") }, func(s *store.Store) func(context.Context, string, store.Cause) error {
		return func(ctx context.Context, id string, cause store.Cause) error {
			_, err := s.UpdateClient(ctx, id, cause, func(m *store.ClientMetadata) (bool, error) {
				narrower := m.Scope != "less"
				m.Scope, m.JWKS = "less", nil
				return narrower, nil
			})
			return err
		}
	}),
	"EnableClient": onClient("multi", true, func(sc *scene, name string) {
		must(sc.t, sc.s.DisableClient(sc.t.Context(), name, store.Cause{}))
	}, func(s *store.Store) func(context.Context, string, store.Cause) error { return s.EnableClient }),
	"DisableClient":      onClient("hdel", true, nil, func(s *store.Store) func(context.Context, string, store.Cause) error { return s.DisableClient }),
	"RevokeClientTokens": onClient("hdel", true, nil, func(s *store.Store) func(context.Context, string, store.Cause) error { return s.RevokeClientTokens }),
	"DeleteClient":       onClient("del", true, nil, func(s *store.Store) func(context.Context, string, store.Cause) error { return s.DeleteClient }),
	"AddSecret": onClient("multi", true, nil, func(s *store.Store) func(context.Context, string, store.Cause) error {
		return func(ctx context.Context, id string, cause store.Cause) error {
			next := store.Secret{ID: "sec_2", Digest: store.DigestOf("next of " + id)}
			_, err := s.AddSecret(ctx, id, next, time.Time{}, cause)
			return err
		}
	}),
	"RevokeSecret": onClient("hdel", true, nil, func(s *store.Store) func(context.Context, string, store.Cause) error {
		return func(ctx context.Context, id string, cause store.Cause) error {
			return s.RevokeSecret(ctx, id, "sec_1", cause)
		}
	}),
	"RevokeToken": {func(sc *scene, name string) (string, func(context.Context) error) {
		create(sc.t, sc.s, name)
		d := issue(sc.t, sc.b, sc.s, name, name)
		return string(d[:]), func(ctx context.Context) error { return sc.s.RevokeToken(ctx, d, store.Cause{}) }
	}, "del", 0, true},
	"RevokeKey": onKey("del", func(ctx context.Context, sc *scene, k *store.APIKey) error {
		_, err := sc.s.RevokeKey(ctx, k.ID, store.Cause{At: sc.b.Clock.Now()})
		return err
	}),
	"RevokeKeys": onKey("del", func(ctx context.Context, sc *scene, k *store.APIKey) error {
		_, err := sc.s.RevokeKeys(ctx, []*store.APIKey{k}, store.Cause{At: sc.b.Clock.Now()})
		return err
	}),
	"ExpireKey": onKey("multi", func(ctx context.Context, sc *scene, k *store.APIKey) error {
		return sc.s.ExpireKey(ctx, k, sc.b.Clock.Now(), "key_next", store.Cause{})
	}),
	"UpdateKey": onKey("multi", func(ctx context.Context, sc *scene, k *store.APIKey) error {
		_, err := sc.s.UpdateKey(ctx, k, store.Cause{}, func(k *store.APIKey) error { k.Scope = "read"; return nil })
		return err
	}),
	"DisableKey": onKey("multi", func(ctx context.Context, sc *scene, k *store.APIKey) error {
		return sc.s.DisableKey(ctx, k, store.Cause{At: sc.b.Clock.Now()})
	}),
	"EnableKey": {func(sc *scene, name string) (string, func(context.Context) error) {
		u, _ := sc.user(name)
		k := makeKey(sc.t, sc.b, sc.s, u, name, time.Hour)
		sc.keys[u.ID] = k.Digest
		must(sc.t, sc.s.DisableKey(sc.t.Context(), k, store.Cause{At: sc.b.Clock.Now()}))
		return u.ID, func(ctx context.Context) error { return sc.s.EnableKey(ctx, k, store.Cause{At: sc.b.Clock.Now()}) }
	}, "multi", 0, false},
	"RevokeLeaked": {func(sc *scene, name string) (string, func(context.Context) error) {
		u, _ := sc.user(name)
		u.ID = u.ID[:len(u.ID)-len(name)] + strings.ToLower(name) // one id for the key's user and the secret's client
		must(sc.t, sc.s.CreateUser(sc.t.Context(), &store.User{ID: u.ID, Metadata: store.UserMetadata{Email: "2" + u.Metadata.Email}}))
		k := makeKey(sc.t, sc.b, sc.s, read(sc.t, sc.s, u.ID), name, time.Hour)
		sc.keys[u.ID] = k.Digest
		create(sc.t, sc.s, u.ID)
		return u.ID, func(ctx context.Context) error {
			_, err := sc.s.RevokeLeaked(ctx, []store.Digest{k.Digest, store.DigestOf("secret of " + u.ID)}, store.Cause{At: sc.b.Clock.Now()})
			return err
		}
	}, "del", 0, true},
	"DisableUser": onUser("hdel", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.DisableUser(ctx, u.ID, store.Cause{})
	}),
	"EnableUser": onUser("multi", 0, false, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.EnableUser(ctx, u.ID, store.Cause{})
	}),
	"PromoteUser": {func(sc *scene, name string) (string, func(context.Context) error) {
		u, _ := sc.user(name)
		must(sc.t, sc.s.DemoteUser(sc.t.Context(), u.ID, store.Cause{}))
		return u.ID, func(ctx context.Context) error { return sc.s.PromoteUser(ctx, u.ID, store.Cause{}) }
	}, "multi", 0, true},
	"DemoteUser": onUser("hdel", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.DemoteUser(ctx, u.ID, store.Cause{})
	}),
	"DeleteUser": onUser("del", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.DeleteUser(ctx, u.ID, store.Cause{At: sc.b.Clock.Now()})
	}),
	"UpdateUser": onUser("multi", 1, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		_, err := sc.s.UpdateUser(ctx, u.ID, store.Cause{}, func(m *store.UserMetadata) error {
			m.Email = "moved-" + u.Metadata.Email
			return nil
		})
		return err
	}),
	"InviteUser": onUser("multi", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.InviteUser(ctx, u.ID, store.Invite{Digest: store.DigestOf("again"), ExpiresAt: sc.b.Clock.Now().Add(time.Hour)}, store.Cause{})
	}),
	"RevokePassword": onUser("hdel", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.RevokePassword(ctx, u.ID, store.Cause{})
	}),
	"RevokeInvite": onUser("hdel", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.RevokeInvite(ctx, u.ID, store.Cause{})
	}),
	"RedeemInvite": onUser("multi", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.RedeemInvite(ctx, u.ID, u.Invite.Digest, []byte("new"))
	}),
	"SetPassword": onUser("multi", 0, true, func(ctx context.Context, sc *scene, u *store.User, sess *store.Session) error {
		return sc.s.SetPassword(ctx, sess, u, []byte("new"))
	}),
	"RevokeSession": onUser("del", 0, true, func(ctx context.Context, sc *scene, u *store.User, sess *store.Session) error {
		return sc.s.RevokeSession(ctx, u.ID, sess.Digest, store.Cause{})
	}),
	"RevokeSessions": onUser("hdel", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.RevokeSessions(ctx, u.ID, store.Cause{})
	}),
}

// table is the methods of doc.go, and the kinds of each.
func table(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "method              kinds")
	kinds := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^//\t([A-Z]\w+) +([a-z]+(?:, [a-z]+)*)  `).FindAllStringSubmatch(rest, -1) {
		kinds[m[1]] = strings.Split(m[2], ", ")
	}
	return kinds
}

// played is a scene in which each row's object is there, and the feed is empty.
func played(t *testing.T, b *storetest.Backend) (sc *scene, abouts map[string]string, calls map[string]func(context.Context) error) {
	t.Helper()
	sc, abouts, calls = newScene(t, b), map[string]string{}, map[string]func(context.Context) error{}
	if b.Server != nil {
		sc.s.Heartbeat(t.Context())
	}
	for name, r := range rows {
		abouts[name], calls[name] = r.prepare(sc, name)
	}
	if b.Server != nil {
		sc.s.Heartbeat(t.Context())
	}
	b.Do("DEL", feedKey)
	return sc, abouts, calls
}

// want is that the feed has what the rows void, and nothing else.
func (sc *scene) want(abouts map[string]string, kinds map[string][]string) {
	sc.t.Helper()
	if diff := cmp.Diff(sc.labels(abouts, kinds), sc.label(abouts, readFeed(sc.t, sc.b).voids)); diff != "" {
		sc.t.Errorf("in the feed (-want +got)\n%s", diff)
	}
}

// label is what handles of the feed are of: "UpdateClient clientkey".
func (sc *scene) label(abouts map[string]string, voids map[feed.Handle]int) map[string]bool {
	names := map[feed.Handle]string{}
	for name, about := range abouts {
		for _, kind := range tableOf(sc.t)[name] {
			if h, voids := sc.handleOf(kind, about); voids {
				names[h] = name + " " + kind
			}
		}
	}
	labels := map[string]bool{}
	for h := range voids {
		if names[h] == "" {
			names[h] = "something else: " + h.String()
		}
		labels[names[h]] = true
	}
	return labels
}

// labels are those of all handles of the rows.
func (sc *scene) labels(abouts map[string]string, kinds map[string][]string) map[string]bool {
	labels := map[string]bool{}
	for name, about := range abouts {
		for _, kind := range kinds[name] {
			if _, voids := sc.handleOf(kind, about); voids {
				labels[name+" "+kind] = true
			}
		}
	}
	return labels
}

// handleOf is what a revocation of a kind voids; false: nothing.
func (sc *scene) handleOf(kind, about string) (h feed.Handle, voids bool) {
	switch kind {
	case "token":
		return feed.OfCredential([32]byte([]byte(about))), true
	case "key":
		return feed.OfCredential(sc.keys[about]), true
	case "client":
		return feed.OfClient(about), true
	case "user":
		return feed.OfUser(about), true
	case "secret", "clientkey":
		return feed.OfAuthentication(about), true
	case "invite", "password", "session":
	default:
		sc.t.Errorf("the kind %s is not known", kind)
	}
	return h, false
}

// tableOf is table for the rows; a leaked token is like any other.
func tableOf(t *testing.T) map[string][]string {
	kinds := table(t)
	for _, all := range []string{"RevokeAllTokens", "RevokeAllSessions"} {
		if !slices.Equal(kinds[all], []string{"all"}) {
			t.Errorf("%s has the kinds %v", all, kinds[all])
		}
		delete(kinds, all)
	}
	got, want := slices.Sorted(maps.Keys(rows)), slices.Sorted(maps.Keys(kinds))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the methods that are tried are not those of doc.go (-doc +tried)\n%s", diff)
	}
	kinds["RevokeLeaked"] = slices.DeleteFunc(kinds["RevokeLeaked"], func(k string) bool { return k == "token" })
	return kinds
}
