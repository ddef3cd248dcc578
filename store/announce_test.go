package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const feedKey = "mk:feed"

var errNotAppended = errors.New("the feed is away")

// feed announces revocations with one XADD.
type feed struct{ fails atomic.Bool }

func (f *feed) announce() *store.Announce {
	return &store.Announce{
		Append: func(ctx context.Context, revocations []store.Revocation) []redis.Cmder {
			args := []any{"xadd", feedKey, "*"}
			for i, r := range revocations {
				about := r.ClientID + r.UserID
				if about == "" {
					about = string(r.Digest[:])
				}
				args = append(args, i, string(r.Kind)+" "+about)
			}
			return []redis.Cmder{redis.NewStringCmd(ctx, args...)}
		},
		Check: func(answers []redis.Cmder) error {
			if f.fails.Load() {
				return errNotAppended
			}
			return answers[0].Err()
		},
	}
}

// read is which kinds were announced, by what they are about.
func (f *feed) read(t *testing.T, b *storetest.Backend) map[string][]string {
	t.Helper()
	entries, ok := b.Do("XRANGE", feedKey, "-", "+").([]any)
	if !ok {
		t.Fatal("there is no feed")
	}
	kinds := map[string][]string{}
	for _, e := range entries {
		values := e.([]any)[1].([]any)
		for i := 1; i < len(values); i += 2 {
			kind, about, _ := strings.Cut(values[i].(string), " ")
			if !slices.Contains(kinds[about], kind) {
				kinds[about] = append(kinds[about], kind)
			}
		}
	}
	for about := range kinds {
		slices.Sort(kinds[about])
	}
	return kinds
}

// loss is a hook that loses the answer to one pipeline that begins with a command, once some of them have passed.
type loss struct {
	begins string
	after  int
	armed  atomic.Bool
}

func (l *loss) arm(begins string, after int) {
	l.begins, l.after = begins, after
	l.armed.Store(true)
}

func (l *loss) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (l *loss) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (l *loss) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if !l.armed.Load() || cmds[0].Name() != l.begins {
			return err
		}
		if l.after--; l.after >= 0 {
			return err
		}
		l.armed.Store(false)
		for _, cmd := range cmds {
			cmd.SetErr(io.EOF)
		}
		return io.EOF
	}
}

// scene is a store with the objects that the methods of the table revoke.
type scene struct {
	t    *testing.T
	b    *storetest.Backend
	s    *store.Store
	feed feed
	loss loss
}

func newScene(t *testing.T, b *storetest.Backend) *scene {
	t.Helper()
	sc := &scene{t: t, b: b}
	sc.s = b.Open(t, func(o *store.Options) {
		o.Announce = sc.feed.announce()
		before := o.Instrument
		o.Instrument = func(rdb redis.UniversalClient) {
			if before != nil {
				before(rdb)
			}
			rdb.AddHook(&sc.loss)
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
	must(sc.t, sc.s.CreateSession(sc.t.Context(), sess, u.Password))
	return u, sess
}

// row is a method of the table in doc.go. prepare makes its object, and returns what a revocation is about and a call of
// the method.
type row struct {
	prepare func(sc *scene, name string) (about string, call func(context.Context) error)
	// loses and after are the pipeline whose answer is lost: what it begins with, and how many of those pass before.
	loses string
	after int
	// replayed is whether there is a deletion, here or in what prepare does, so that it is announced again after a rollback.
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
		return u.ID, func(ctx context.Context) error { return call(ctx, sc, k) }
	}, loses, 0, true}
}

// rows are the table of doc.go, but for the methods that revoke all of something.
var rows = map[string]row{
	"CreateClient": {func(sc *scene, name string) (string, func(context.Context) error) {
		return name, func(ctx context.Context) error { return sc.s.CreateClient(ctx, client(name)) }
	}, "multi", 0, false},
	"UpdateClient": onClient("multi", true, nil, func(s *store.Store) func(context.Context, string, store.Cause) error {
		return func(ctx context.Context, id string, cause store.Cause) error {
			_, err := s.UpdateClient(ctx, id, cause, func(m *store.ClientMetadata) (bool, error) {
				narrower := m.Scope != "less"
				m.Scope = "less"
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
	"RevokeLeaked": {func(sc *scene, name string) (string, func(context.Context) error) {
		u, _ := sc.user(name)
		u.ID = u.ID[:len(u.ID)-len(name)] + strings.ToLower(name) // one id for the key's user and the secret's client
		must(sc.t, sc.s.CreateUser(sc.t.Context(), &store.User{ID: u.ID, Metadata: store.UserMetadata{Email: "2" + u.Metadata.Email}}))
		k := makeKey(sc.t, sc.b, sc.s, read(sc.t, sc.s, u.ID), name, time.Hour)
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
	"RevokeInvite": onUser("hdel", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.RevokeInvite(ctx, u.ID, store.Cause{})
	}),
	"RedeemInvite": onUser("multi", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.RedeemInvite(ctx, u.ID, u.Invite.Digest, []byte("new"))
	}),
	"SetPassword": onUser("multi", 0, true, func(ctx context.Context, sc *scene, u *store.User, sess *store.Session) error {
		return sc.s.SetPassword(ctx, sess, u.Password, []byte("new"))
	}),
	"RevokeSession": onUser("del", 0, true, func(ctx context.Context, sc *scene, u *store.User, sess *store.Session) error {
		return sc.s.RevokeSession(ctx, u.ID, sess.Digest, store.Cause{})
	}),
	"RevokeSessions": onUser("hdel", 0, true, func(ctx context.Context, sc *scene, u *store.User, _ *store.Session) error {
		return sc.s.RevokeSessions(ctx, u.ID, store.Cause{})
	}),
	"CreateSession": {func(sc *scene, name string) (string, func(context.Context) error) {
		u, _ := sc.user(name)
		for i := range store.MaxSessions - 1 {
			sess := &store.Session{Digest: store.DigestOf(fmt.Sprint(name, i)), UserID: u.ID}
			must(sc.t, sc.s.CreateSession(sc.t.Context(), sess, u.Password))
		}
		return u.ID, func(ctx context.Context) error {
			sc.b.Clock.Advance(time.Millisecond) // the sessions before are older
			return sc.s.CreateSession(ctx, &store.Session{Digest: store.DigestOf(name), UserID: u.ID}, u.Password)
		}
	}, "del", 0, true},
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

// played is a scene in which each row's object is there, and nothing was announced yet.
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

func (sc *scene) want(abouts map[string]string, kinds map[string][]string) {
	sc.t.Helper()
	names, want, got := map[string]string{}, map[string][]string{}, map[string][]string{}
	for name, about := range abouts {
		names[about] = name
		if len(kinds[name]) > 0 {
			want[name] = kinds[name]
		}
	}
	for about, kinds := range sc.feed.read(sc.t, sc.b) {
		got[names[about]] = kinds
	}
	if diff := cmp.Diff(want, got); diff != "" {
		sc.t.Errorf("announced (-want +got)\n%s", diff)
	}
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

// Each method that revokes something announces its kinds, and nothing else.
func TestEachMethodAnnouncesItsKinds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		kinds := tableOf(t)
		sc, abouts, calls := played(t, b)
		for name, call := range calls {
			if err := call(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		sc.want(abouts, kinds)
	})
}

// A revocation whose answer was lost is announced by a heartbeat, unless its repetition does.
func TestRevocationWithALostAnswerIsAnnounced(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	kinds := tableOf(t)
	sc, abouts, calls := played(t, b)
	for name, call := range calls {
		sc.loss.arm(rows[name].loses, rows[name].after)
		wantErr(t, name, call(ctx), store.ErrUnavailable)
		if sc.loss.armed.Swap(false) {
			t.Errorf("%s sent no pipeline that begins with %s", name, rows[name].loses)
		}
	}
	_ = calls["RevokeLeaked"](ctx) // its caller repeats it, for the secrets behind the keys
	for range 3 {
		sc.s.Heartbeat(ctx)
	}
	if n := sc.s.Pending(); n != 0 {
		t.Errorf("%d deletions are pending", n)
	}
	sc.want(abouts, kinds)
}

// What a rollback has undone is announced again when it is replayed. What is no deletion is not.
func TestReplayAnnouncesAgain(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	kinds := tableOf(t)
	sc, abouts, calls := played(t, b)
	loses(t, srv, sc.s, func() {
		for name, call := range calls {
			if err := call(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		sc.want(abouts, kinds)
	})
	for name, r := range rows {
		if !r.replayed {
			kinds[name] = nil
		}
	}
	sc.want(abouts, kinds)
}

// A revocation that cannot be announced is applied, is not acknowledged, and is announced by the next heartbeat.
func TestRevocationThatIsNotAnnouncedIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	kinds := tableOf(t)
	sc, abouts, calls := played(t, b)
	sc.feed.fails.Store(true)
	for name, call := range calls {
		err := call(ctx)
		if name == "CreateClient" { // the answer has the secret, this once
			must(t, err)
			continue
		}
		wantErr(t, name, err, store.ErrUnavailable)
		wantErr(t, name, err, store.ErrUnconfirmed)
		wantErr(t, name, err, errNotAppended)
	}
	_ = calls["RevokeLeaked"](ctx)
	wantErr(t, "what is gone, while that is not announced", sc.s.Confirm(ctx), store.ErrUnavailable)
	b.Do("DEL", feedKey)
	sc.s.Heartbeat(ctx)
	if sc.s.Pending() != 0 || sc.s.Unannounced() == 0 {
		t.Errorf("%d deletions are pending, %d revocations are not announced; want none, and some", sc.s.Pending(), sc.s.Unannounced())
	}
	wantOpen(t, "not announced", sc.s)
	b.Do("DEL", feedKey)
	sc.feed.fails.Store(false)
	sc.s.Heartbeat(ctx)
	if n := sc.s.Unannounced(); n != 0 {
		t.Errorf("%d revocations are not announced", n)
	}
	must(t, sc.s.Confirm(ctx))
	sc.want(abouts, kinds)
}

// A secret that is shown once is not lost for want of an announcement, nor is a rotation with an overlap.
func TestNewSecretIsShownThoughItCannotBeAnnounced(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	sc := newScene(t, b)
	sc.s.Heartbeat(ctx)
	sc.feed.fails.Store(true)
	create(t, sc.s, "a")
	_, err := sc.s.AddSecret(ctx, "a", store.Secret{ID: "sec_2", Digest: store.DigestOf("next")}, b.Clock.Now().Add(time.Hour), store.Cause{})
	must(t, err)
	if n := sc.s.Unannounced(); n != 2 {
		t.Errorf("%d revocations are to be announced, want 2", n)
	}
	if page, _, err := sc.s.Clients(ctx, "", "", 10); err != nil || len(page) != 1 {
		t.Errorf("the directory has %d clients, %v", len(page), err)
	}
}

// Changes at once are announced in a cluster too, where that takes a pipeline of its own: they do not wait for each
// other's barriers.
func TestManyChangesAreAnnouncedAtOnce(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Cluster(t, "--appendonly", "yes", "--appendfsync", "always").Backend(t), t.Context()
	var f feed
	s := b.Open(t, func(o *store.Options) {
		o.Announce, o.Durability = f.announce(), config.Durability{Fsync: true}
	})
	const many = 32
	for i := range many {
		create(t, s, fmt.Sprint("c", i))
	}
	b.Do("DEL", feedKey)
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			if err := s.EnableClient(ctx, fmt.Sprint("c", i), store.Cause{}); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := len(f.read(t, b)); n != many {
		t.Errorf("%d were announced, want %d", n, many)
	}
}

// unsentBarrier is a hook that rejects the barrier behind a transaction, as an open breaker does.
type unsentBarrier struct{ atomic.Bool }

func (h *unsentBarrier) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *unsentBarrier) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *unsentBarrier) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !h.Load() || cmds[0].Name() != "config" {
			return next(ctx, cmds)
		}
		err := redisdb.Unsent(store.ErrUnavailable)
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

// A transaction that Redis has answered was applied, whatever became of the barrier: it is remembered, and not confirmed.
func TestTransactionWithoutItsBarrierIsUnconfirmed(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "always").Backend(t), t.Context()
	var h unsentBarrier
	s := b.Open(t, func(o *store.Options) {
		o.Durability = config.Durability{Fsync: true}
		o.Instrument = func(rdb redis.UniversalClient) { rdb.AddHook(&h) }
	})
	create(t, s, "a")
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	h.Store(true)
	_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(*store.ClientMetadata) (bool, error) { return true, nil })
	wantErr(t, "narrowed", err, store.ErrUnconfirmed)
	if s.Pending() != 1 {
		t.Errorf("%d deletions are remembered, want that of the old generation", s.Pending())
	}
}

// All tokens and all sessions are announced once a page.
func TestRevokingAllIsAnnounced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		sc, ctx := newScene(t, b), t.Context()
		create(t, sc.s, "a")
		sc.user("u")
		for name, all := range map[string]func() (int, error){
			"tokens":   func() (int, error) { return sc.s.RevokeAllTokens(ctx, store.Cause{}, nil) },
			"sessions": func() (int, error) { return sc.s.RevokeAllSessions(ctx, store.Cause{}, nil) },
		} {
			b.Do("DEL", feedKey)
			n, err := all()
			if n != 1 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
			zero := store.Digest{}
			if diff := cmp.Diff(map[string][]string{string(zero[:]): {"all"}}, sc.feed.read(t, b)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
		}
	})
}

// A deletion and its announcement are one round trip, whatever the durability: MONITOR shows them one behind the other.
func TestRevocationAndAnnouncementAreOneRoundTrip(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	var f feed
	var sent [][]string
	s := b.Open(t, func(o *store.Options) {
		o.Announce = f.announce()
		o.Instrument = func(rdb redis.UniversalClient) {
			rdb.AddHook(recorder(func(names []string) { sent = append(sent, names) }))
		}
	})
	must(t, s.RevokeToken(ctx, store.DigestOf("first"), store.Cause{}))
	sent = nil
	must(t, s.RevokeToken(ctx, store.DigestOf("x"), store.Cause{}))
	if diff := cmp.Diff([][]string{{"del", "xadd"}}, sent); diff != "" {
		t.Errorf("round trips (-want +got)\n%s", diff)
	}
}

// recorder is a hook that is told of each round trip.
type recorder func(names []string)

func (r recorder) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r([]string{cmd.Name()})
		return next(ctx, cmd)
	}
}

func (r recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		names := make([]string, len(cmds))
		for i, cmd := range cmds {
			names[i] = cmd.Name()
		}
		r(names)
		return next(ctx, cmds)
	}
}
