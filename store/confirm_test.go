package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/feed"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// crash is a hook that ends the connections of a replica before the first append.
type crash struct{ happened bool }

func (c *crash) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c *crash) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *crash) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if c.happened = c.happened || cmds[0].Name() == "xadd"; !c.happened {
			return next(ctx, cmds)
		}
		for _, cmd := range cmds {
			cmd.SetErr(io.EOF)
		}
		return io.EOF
	}
}

// In a cluster a replica may crash between a deletion and its append. The revocation was not acknowledged, and what repeats
// it at another replica finds nothing to delete: guards hear of it all the same.
func TestCrashBetweenDeletionAndAppend(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Cluster(t).Backend(t), t.Context()
	other := b.Open(t, func(o *store.Options) { o.Feed = true })
	create(t, other, "a")
	d := issue(t, b, other, "a", "token")
	b.Do("DEL", feedKey)
	crashed := b.Open(t, func(o *store.Options) {
		o.Feed = true
		o.Instrument = func(rdb redis.UniversalClient) { rdb.AddHook(&crash{}) }
	})
	wantErr(t, "without an append", crashed.RevokeToken(ctx, d, store.Cause{}), store.ErrUnavailable)
	must(t, crashed.Close())
	if _, err := other.Credential(ctx, d); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the token is there: %v", err)
	}
	if n := len(readFeed(t, b).voids); n != 0 {
		t.Errorf("%d voids were appended", n)
	}
	must(t, other.ConfirmRevoked(ctx, d, true, "a"))
	if n := readFeed(t, b).voids[feed.OfCredential(d)]; n != 1 {
		t.Errorf("the token is void %d times", n)
	}
}

// A revocation that finds nothing to do is appended again, because an earlier attempt may not have been. One of a credential
// that cannot be ours is not.
func TestNothingToDoIsAppended(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t, func(o *store.Options) { o.Feed = true }), t.Context()
		create(t, s, "a")
		u := add(t, s, "u@example.com")
		must(t, s.PromoteUser(ctx, u.ID, store.Cause{}))
		d := store.DigestOf("unknown")
		credential, authentication := feed.OfCredential(d), feed.OfAuthentication("a")
		client, user := feed.OfClient("gone"), feed.OfUser("usr_gone")
		notFound := func(err error) error {
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return fmt.Errorf("got %w, want that it is not found", err)
		}
		for what, test := range map[string]struct {
			do   func() error
			want []feed.Handle
		}{
			"a credential":                {func() error { return s.ConfirmRevoked(ctx, d, true, "a") }, []feed.Handle{credential}},
			"a credential of a stranger":  {func() error { return s.ConfirmUnknown(ctx, d) }, []feed.Handle{credential}},
			"what was not issued here":    {func() error { return s.ConfirmRevoked(ctx, d, false, "a") }, nil},
			"a leaked credential":         {func() error { return second(s.RevokeLeaked(ctx, []store.Digest{d}, store.Cause{})) }, []feed.Handle{credential}},
			"a client that is not there":  {func() error { return notFound(s.DeleteClient(ctx, "gone", store.Cause{})) }, []feed.Handle{client}},
			"a disabled one, likewise":    {func() error { return notFound(s.DisableClient(ctx, "gone", store.Cause{})) }, []feed.Handle{client}},
			"a user who is not there":     {func() error { return notFound(s.DeleteUser(ctx, "usr_gone", store.Cause{})) }, []feed.Handle{user}},
			"a secret that is not there":  {func() error { return notFound(s.RevokeSecret(ctx, "a", "sec_9", store.Cause{})) }, []feed.Handle{authentication}},
			"an operator who is promoted": {func() error { return s.PromoteUser(ctx, u.ID, store.Cause{}) }, []feed.Handle{feed.OfUser(u.ID)}},
			"a developer who is demoted": {func() error {
				return errors.Join(s.DemoteUser(ctx, u.ID, store.Cause{}), s.PromoteUser(ctx, u.ID, store.Cause{}))
			}, []feed.Handle{feed.OfUser(u.ID)}},
			"a change that was made": {func() error {
				return s.Confirm(ctx, store.Revocation{Kind: store.ClientRevoked, ClientID: "gone"}, store.Revocation{Kind: store.ClientKeyRevoked, ClientID: "a"})
			}, []feed.Handle{client, authentication}},
			"a change that voids nothing": {func() error { return s.Confirm(ctx) }, nil},
		} {
			b.Do("DEL", feedKey)
			b.Clock.Advance(time.Second) // what was appended in this one is not again
			if err := test.do(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			got := readFeed(t, b).voids
			for _, h := range test.want {
				if got[h] == 0 {
					t.Errorf("%s: not appended", what)
				}
				delete(got, h)
			}
			if len(got) > 0 {
				t.Errorf("%s: %d others were appended", what, len(got))
			}
		}
	})
}

// The method of a client counts as what it authenticates with.
func TestAnotherMethodIsAppended(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	s := b.Open(t, func(o *store.Options) { o.Feed = true })
	create(t, s, "a")
	for what, test := range map[string]struct {
		change func(*store.ClientMetadata)
		want   int
	}{
		"another method": {func(m *store.ClientMetadata) { m.AuthMethod = store.PrivateKeyJWT }, 1},
		"another name":   {func(m *store.ClientMetadata) { m.Name = "another" }, 0},
	} {
		b.Do("DEL", feedKey)
		_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) { test.change(m); return false, nil })
		must(t, err)
		if got := readFeed(t, b).voids; len(got) != test.want || got[feed.OfAuthentication("a")] != test.want {
			t.Errorf("%s: appended %d voids", what, len(got))
		}
	}
}

// The appends for credentials that are not found are limited to 100 a second, to 50 for one client, and to 10 for callers
// without authentication.
func TestUnknownRevocationsAreLimited(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	s := b.Open(t, func(o *store.Options) { o.Feed = true })
	fill := func(of string, revoke func(store.Digest) error) (n int) {
		t.Helper()
		for {
			err := revoke(store.DigestOf(fmt.Sprintf("%s%d", of, n)))
			if errors.Is(err, store.ErrManyUnknown) {
				return n
			}
			must(t, err)
			n++
		}
	}
	stranger := func(d store.Digest) error { return s.ConfirmUnknown(ctx, d) }
	client := func(d store.Digest) error { return s.ConfirmRevoked(ctx, d, true, "a") }
	another := func(d store.Digest) error { return s.ConfirmRevoked(ctx, d, true, "b") }
	for range 2 {
		b.Do("DEL", feedKey)
		b.Clock.Advance(time.Second)
		if n := fill("strangers", stranger); n != 10 {
			t.Errorf("callers without authentication had %d revocations confirmed", n)
		}
		if n := fill("clients", client); n != 50 {
			t.Errorf("one client had %d revocations confirmed", n)
		}
		if n := fill("others", another); n != 40 {
			t.Errorf("another client had %d revocations confirmed", n)
		}
		must(t, s.ConfirmRevoked(ctx, store.DigestOf("not ours"), false, "a"))
		must(t, s.RevokeToken(ctx, store.DigestOf("found"), store.Cause{}))
		must(t, s.ConfirmUnknown(ctx, store.DigestOf("clients0"))) // the feed has it
		if n := readFeed(t, b).entries["l"]; n != 10 {
			t.Errorf("%d entries wake no guard", n)
		}
		if n := len(readFeed(t, b).voids); n != 101 {
			t.Errorf("%d voids were appended", n)
		}
	}
	off := b.Open(t)
	for range 200 {
		must(t, off.ConfirmUnknown(ctx, store.DigestOf("x")))
		must(t, off.ConfirmRevoked(ctx, store.DigestOf("x"), true, "a"))
	}
}

// A fence makes guards forget what they were told before, also one by a process without a feed.
func TestFenceResetsGuards(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			return // it has no fence
		}
		s := b.Open(t, func(o *store.Options) { o.Feed = true })
		running(t, s)
		create(t, s, "a")
		g := &guard{t: t, s: s}
		g.poll(0)
		for _, feeds := range []bool{true, false} {
			g.poll(0)
			g.reset = 0
			tool := b.Open(t, func(o *store.Options) { o.Feed = feeds })
			_, err := tool.RevokeAllTokens(t.Context(), store.Cause{}, nil)
			must(t, err)
			_, err = tool.Fence(t.Context())
			must(t, err)
			for g.reset == 0 {
				g.poll(time.Second)
			}
			for range 3 {
				g.poll(0)
			}
			if g.reset > 2 { // by the break, and by the deletion
				t.Errorf("feed %v: the guard had to forget everything %d times", feeds, g.reset)
			}
		}
	})
}
