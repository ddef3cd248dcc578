package store_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// loses has a server lose what happens, and the store replay it.
func loses(t *testing.T, srv *storetest.Server, s *store.Store, happens func()) {
	t.Helper()
	s.Heartbeat(t.Context())
	s.Heartbeat(t.Context())
	before := backUp(t, srv)
	happens()
	s.Heartbeat(t.Context())
	before.restore()
	s.Heartbeat(t.Context())
	s.Heartbeat(t.Context())
	wantOpen(t, "healed", s)
}

// A password that was changed stays invalid, and so do the sessions that were opened with it, whatever else was lost: the
// invite by which it was changed, or the hash that it had last.
func TestRollbackOfAPassword(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(ctx context.Context, s *store.Store, sess *store.Session, invite store.Invite) error{
		"redeemed": func(ctx context.Context, s *store.Store, sess *store.Session, invite store.Invite) error {
			if err := s.InviteUser(ctx, sess.UserID, invite, store.Cause{}); err != nil {
				return err
			}
			return s.RedeemInvite(ctx, sess.UserID, invite.Digest, []byte("new"))
		},
		"rehashed and set": func(ctx context.Context, s *store.Store, sess *store.Session, _ store.Invite) error {
			if err := s.RehashPassword(ctx, sess.UserID, []byte("old"), []byte("old, hashed again")); err != nil {
				return err
			}
			return s.SetPassword(ctx, sess, &store.User{Password: []byte("old, hashed again")}, []byte("new"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := storetest.Redis(t)
			b, ctx := srv.Backend(t), t.Context()
			s := b.Open(t)
			u := add(t, s, "u@example.com")
			invite := func(code string) store.Invite {
				return store.Invite{Digest: store.DigestOf(code), ExpiresAt: b.Clock.Now().Add(time.Hour)}
			}
			must(t, s.InviteUser(ctx, u.ID, invite("first"), store.Cause{}))
			must(t, s.RedeemInvite(ctx, u.ID, store.DigestOf("first"), []byte("old")))
			sess := &store.Session{Digest: store.DigestOf("cookie"), UserID: u.ID}
			must(t, s.CreateSession(ctx, sess, read(t, s, u.ID)))
			loses(t, srv, s, func() { must(t, change(ctx, s, sess, invite("reset"))) })
			if got := read(t, s, u.ID).Password; len(got) > 0 {
				t.Errorf("the password is %q, want none: what it was changed to is lost", got)
			}
			_, _, err := s.Session(ctx, store.DigestOf("cookie"))
			wantErr(t, "the session from before", err, store.ErrNotFound)
		})
	}
}

// A client that was deleted stays so, whatever happened to it before; a new client with the same id is left alone.
func TestRollbackOfADeletion(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s, other := b.Open(t), b.Open(t)
	for _, id := range []string{"disabled", "enabled-again", "registered-again", "old"} {
		create(t, s, id)
	}
	b.Do("HDEL", "mk:c:old", "life") // as an earlier version wrote it
	loses(t, srv, s, func() {
		must(t, s.DisableClient(ctx, "disabled", store.Cause{}))
		must(t, s.DeleteClient(ctx, "disabled", store.Cause{}))
		must(t, other.DisableClient(ctx, "enabled-again", store.Cause{}))
		must(t, other.EnableClient(ctx, "enabled-again", store.Cause{}))
		must(t, s.DeleteClient(ctx, "enabled-again", store.Cause{}))
		must(t, s.DeleteClient(ctx, "old", store.Cause{}))
	})
	for _, id := range []string{"disabled", "enabled-again", "old"} {
		_, err := s.Client(ctx, id)
		wantErr(t, "the deleted client "+id, err, store.ErrNotFound)
	}
	must(t, s.DeleteClient(ctx, "registered-again", store.Cause{}))
	create(t, other, "registered-again")
	s.Heartbeat(ctx)
	if c, err := s.Client(ctx, "registered-again"); err != nil || !c.Enabled || len(c.Secrets) == 0 {
		t.Errorf("a client that was registered again: %+v, %v", c, err)
	}
}

// A client, user or key that was disabled and enabled again by the same replica is enabled when both are lost. What the
// disabling revoked stays revoked.
func TestRollbackOfEnabling(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx := srv.Backend(t), t.Context()
	s := b.Open(t)
	create(t, s, "a")
	create(t, s, "b")
	d := issue(t, b, s, "a", "token")
	u := add(t, s, "u@example.com")
	k := makeKey(t, b, s, u, "toggled", 0)
	must(t, s.CreateSession(ctx, &store.Session{Digest: store.DigestOf("cookie"), UserID: u.ID}, read(t, s, u.ID)))
	loses(t, srv, s, func() {
		for range 2 {
			must(t, s.DisableClient(ctx, "a", store.Cause{}))
			must(t, s.DisableClient(ctx, "b", store.Cause{}))
			must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
			must(t, s.EnableClient(ctx, "a", store.Cause{}))
			must(t, s.EnableClient(ctx, "b", store.Cause{}))
			must(t, s.EnableUser(ctx, u.ID, store.Cause{}))
			must(t, s.DisableKey(ctx, k, store.Cause{}))
			must(t, s.EnableKey(ctx, k, store.Cause{}))
		}
		must(t, s.DeleteClient(ctx, "b", store.Cause{}))
	})
	if c, err := s.Client(ctx, "a"); err != nil || !c.Enabled || live(t, s, "a", d) {
		t.Errorf("the client that was enabled again: %+v, %v; its token from before is live: %v", c, err, live(t, s, "a", d))
	}
	_, err := s.Client(ctx, "b")
	wantErr(t, "the client that was deleted in the end", err, store.ErrNotFound)
	if !read(t, s, u.ID).Enabled {
		t.Error("the person who was enabled again is disabled")
	}
	if got := describe(t, s, k.ID); !got.Active || !opens(t, b, s, k) {
		t.Errorf("the key that was enabled again is %+v", got)
	}
	_, _, err = s.Session(ctx, store.DigestOf("cookie"))
	wantErr(t, "the session from before", err, store.ErrNotFound)
}

// losesAnswer is a hook that loses one pipeline that begins with this command, or the answer to it.
type losesAnswer struct {
	to    string
	drops bool // the command does not arrive
	armed atomic.Bool
}

func (h *losesAnswer) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *losesAnswer) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *losesAnswer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != h.to || !h.armed.CompareAndSwap(true, false) {
			return next(ctx, cmds)
		}
		if !h.drops {
			_ = next(ctx, cmds)
		}
		for _, cmd := range cmds {
			cmd.SetErr(io.EOF)
		}
		return io.EOF
	}
}

// open opens a store that has the hook.
func (h *losesAnswer) open(t *testing.T, b *storetest.Backend) *store.Store {
	t.Helper()
	return b.Open(t, func(o *store.Options) { o.Instrument = func(c redis.UniversalClient) { c.AddHook(h) } })
}

// A revocation whose answer did not arrive, so that its repetition found nothing to do, is remembered like any other.
func TestRollbackOfAnUnacknowledgedRevocation(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b, ctx, h := srv.Backend(t), t.Context(), &losesAnswer{to: "hdel"}
	s := h.open(t, b)
	create(t, s, "a")
	loses(t, srv, s, func() {
		h.armed.Store(true)
		wantErr(t, "the first time", s.DisableClient(ctx, "a", store.Cause{}), store.ErrUnavailable)
		must(t, s.DisableClient(ctx, "a", store.Cause{}))
	})
	if c, err := s.Client(ctx, "a"); err != nil || c.Enabled {
		t.Errorf("the client that was disabled: %+v, %v", c, err)
	}
}

// A revocation that Redis has lost, while it kept the watermark before it, is not undone for a moment: from the
// heartbeat on that got no answer, nothing is answered until it is replayed. An unacknowledged one does not need that.
func TestRollbackThatKeepsTheWatermark(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			srv := storetest.Redis(t)
			b, ctx := srv.Backend(t), t.Context()
			s := b.Open(t)
			create(t, s, "a")
			d := issue(t, b, s, "a", "token")
			s.Heartbeat(ctx)
			s.Heartbeat(ctx)
			before := backUp(t, srv)
			if told {
				must(t, s.RevokeToken(ctx, d, store.Cause{}))
			}
			srv.Kill()
			if !told {
				wantErr(t, "an end while it is away", s.RevokeToken(ctx, d, store.Cause{}), store.ErrUnavailable)
			}
			s.Heartbeat(ctx)
			before.start()
			if err := s.Ping(ctx); (err != nil) != told {
				t.Errorf("back, before a heartbeat: %v", err)
			}
			s.Heartbeat(ctx)
			wantOpen(t, "a heartbeat later", s)
			if live(t, s, "a", d) {
				t.Error("the ended token is live")
			}
		})
	}
}

// silentHalf is a hook by which the lower half of a cluster's slots does not answer heartbeats.
type silentHalf struct{ on atomic.Bool }

func (h *silentHalf) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *silentHalf) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *silentHalf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if key, _ := cmd.Args()[1].(string); h.on.Load() && lowerHalf(key) && strings.HasPrefix(key, "mk:epoch") {
				cmd.SetErr(io.EOF)
				err = io.EOF
			}
		}
		return err
	}
}

func lowerHalf(key string) bool { return redisdb.SlotOf(key) < 8*1024 }

// A shard that does not answer opens the breaker only if it may lose a revocation. Revocations in the other shards are
// covered.
func TestShardIsUnavailable(t *testing.T) {
	t.Parallel()
	b, ctx, h := storetest.Cluster(t).Backend(t), t.Context(), &silentHalf{}
	s := b.Open(t, func(o *store.Options) { o.Instrument = func(c redis.UniversalClient) { c.AddHook(h) } })
	token := func(lower bool) (d store.Digest) {
		for i := 0; ; i++ {
			if d = store.DigestOf(fmt.Sprint(i)); lowerHalf("mk:t:"+string(d[:])) == lower {
				return d
			}
		}
	}
	s.Heartbeat(ctx)
	s.Heartbeat(ctx)
	h.on.Store(true)
	must(t, s.RevokeToken(ctx, token(false), store.Cause{}))
	s.Heartbeat(ctx)
	wantOpen(t, "with an end in the other half", s)
	if n := s.Pending(); n != 0 {
		t.Errorf("%d ends in the half that answers are not written down", n)
	}
	must(t, s.RevokeToken(ctx, token(true), store.Cause{}))
	s.Heartbeat(ctx)
	wantErr(t, "with an end in the silent half", s.Ping(ctx), store.ErrUnavailable)
	h.on.Store(false)
	s.Heartbeat(ctx)
	wantOpen(t, "when it answers again", s)
}
