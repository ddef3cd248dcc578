package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// issue makes a token of the client as it is now, for an hour.
func issue(t *testing.T, b *storetest.Backend, s *store.Store, clientID, token string) store.Digest {
	t.Helper()
	c, err := s.Client(t.Context(), clientID)
	must(t, err)
	d := store.DigestOf(token)
	must(t, s.SaveToken(t.Context(), d, store.Credential{Generation: c.Generation}, b.Clock.Now().Add(time.Hour), nil))
	return d
}

// live is whether introspection calls a token active.
func live(t *testing.T, s *store.Store, clientID string, d store.Digest) bool {
	t.Helper()
	c, r, err := s.ClientAndCredential(t.Context(), clientID, d)
	must(t, err)
	return c != nil && c.Enabled && r != nil && r.Generation.Matches(c.Generation)
}

func TestToken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		c := create(t, s, "a")
		for name, want := range map[string]*store.Credential{
			"jwt":    {Generation: c.Generation, Claims: []byte{}},
			"opaque": {Generation: c.Generation, Claims: []byte(`{"sub":"a"}`)},
		} {
			d := store.DigestOf(name)
			_, err := s.Credential(ctx, d)
			wantErr(t, "never issued", err, store.ErrNotFound)
			for range 2 { // it may be repeated
				must(t, s.SaveToken(ctx, d, *want, b.Clock.Now().Add(time.Hour), nil))
			}
			got, err := b.Open(t).Credential(ctx, d)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			gotClient, got, err := s.ClientAndCredential(ctx, "a", d)
			must(t, err)
			if !cmp.Equal(want, got) || !cmp.Equal(c, gotClient) {
				t.Errorf("together: got %+v and %+v", gotClient, got)
			}
			if gotClient, got, err = s.ClientAndCredential(ctx, "nobody", d); gotClient != nil || got == nil || err != nil {
				t.Errorf("without the client: got %v, %v, %v", gotClient, got, err)
			}
			for range 2 {
				must(t, s.RevokeToken(ctx, d, store.Cause{}))
				if gotClient, got, err = s.ClientAndCredential(ctx, "a", d); gotClient == nil || got != nil || err != nil {
					t.Errorf("ended: got %v, %v, %v", gotClient, got, err)
				}
			}
		}
	})
}

func TestTokenExpires(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		const tokens = 300
		s, ctx := b.Open(t), t.Context()
		for i := range tokens {
			r := store.Credential{Generation: store.NewGeneration(), Claims: make([]byte, i%2*100)}
			must(t, s.SaveToken(ctx, store.DigestOf(fmt.Sprint(i)), r, b.Clock.Now().Add(time.Hour+time.Duration(i)*time.Second), nil))
		}
		d := store.DigestOf("0")
		b.Clock.Advance(time.Hour - time.Minute)
		if _, err := s.Credential(ctx, d); err != nil {
			t.Errorf("a minute before its end: %v", err)
		}
		b.Clock.Advance(time.Minute)
		_, err := s.Credential(ctx, d)
		wantErr(t, "at its end", err, store.ErrNotFound)
		if _, err := s.Credential(ctx, store.DigestOf(fmt.Sprint(tokens-1))); err != nil {
			t.Errorf("the last: %v", err)
		}
		// What has expired is not even written.
		for _, ago := range []time.Duration{0, time.Nanosecond, time.Hour} {
			must(t, s.SaveToken(ctx, d, store.Credential{}, b.Clock.Now().Add(-ago), nil))
			_, err = s.Credential(ctx, d)
			wantErr(t, "issued too late", err, store.ErrNotFound)
		}
		must(t, s.SaveToken(ctx, d, store.Credential{}, b.Clock.Now().Add(time.Nanosecond), nil))

		b.Clock.Advance(tokens * time.Second)
		if got := b.Do("DBSIZE"); got != int64(0) {
			t.Errorf("DBSIZE after their time is %v, want 0", got)
		}
	})
}

// Nothing that is done to a client makes a token from before active again.
func TestGenerations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		ctx := t.Context()
		for name, steps := range map[string][]func(*store.Store) error{
			"disable, enable": {
				func(s *store.Store) error { return s.DisableClient(ctx, "a", store.Cause{}) },
				func(s *store.Store) error { return s.EnableClient(ctx, "a", store.Cause{}) },
			},
			"delete, register": {
				func(s *store.Store) error { return s.DeleteClient(ctx, "a", store.Cause{}) },
				func(s *store.Store) error { return s.CreateClient(ctx, client("a")) },
			},
			"end tokens": {func(s *store.Store) error { return s.RevokeClientTokens(ctx, "a", store.Cause{}) }},
			"take away a scope": {func(s *store.Store) error {
				_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) { m.Scope = "read"; return true, nil })
				return err
			}},
			"disable, update, end tokens, enable": {
				func(s *store.Store) error { return s.DisableClient(ctx, "a", store.Cause{}) },
				func(s *store.Store) error {
					_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(*store.ClientMetadata) (bool, error) { return true, nil })
					return err
				},
				func(s *store.Store) error { return s.RevokeClientTokens(ctx, "a", store.Cause{}) },
				func(s *store.Store) error { return s.EnableClient(ctx, "a", store.Cause{}) },
			},
		} {
			t.Run(name, func(t *testing.T) {
				s, other := b.Open(t), b.Open(t)
				create(t, s, "a")
				old := issue(t, b, s, "a", "old")
				if !live(t, other, "a", old) {
					t.Fatal("a new token is not live")
				}
				for i, step := range steps {
					must(t, step(s))
					if live(t, other, "a", old) {
						t.Errorf("after step %d the old token is live", i)
					}
				}
				if d := issue(t, b, s, "a", "new"); !live(t, other, "a", d) || live(t, other, "a", old) {
					t.Errorf("new live %v, old live %v", live(t, other, "a", d), live(t, other, "a", old))
				}
				must(t, s.DeleteClient(ctx, "a", store.Cause{}))
			})
		}
	})
}

func TestGenerationMatches(t *testing.T) {
	g, none := store.NewGeneration(), store.Generation{}
	for i, c := range []struct {
		record, now store.Generation
		want        bool
	}{
		{g, g, true}, {g, store.NewGeneration(), false}, {none, none, false}, {g, none, false}, {none, g, false},
	} {
		if got := c.record.Matches(c.now); got != c.want {
			t.Errorf("%d: got %v, want %v", i, got, c.want)
		}
	}
}

// A token issued under no generation, between a revocation and the next generation, is never active.
func TestAbsentGeneration(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		for _, damage := range []func(){
			func() { b.Do("HDEL", "mk:c:a", "gen") },
			func() { b.Do("HSET", "mk:c:a", "gen", "short") },
			func() { b.Do("HSET", "mk:c:a", "gen", strings.Repeat("\x00", 16)) },
		} {
			damage()
			d := issue(t, b, s, "a", "x")
			if live(t, s, "a", d) {
				t.Error("live without a generation")
			}
			g, err := startGeneration(ctx, s, "a")
			must(t, err)
			if again, err := startGeneration(ctx, s, "a"); again != g || err != nil || g == (store.Generation{}) {
				t.Errorf("started %x, then %x, %v", g, again, err)
			}
			if live(t, s, "a", d) {
				t.Error("the next generation has revived it")
			}
		}
	})
}

// A digest is bytes: braces in it are a hash tag to a cluster, and newlines and zeros are bytes like any.
func TestTokenKeyIsBytes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		var digests []store.Digest
		for _, head := range []string{"{tag}", "{}", "}{", "a{b{c}}", "\r\n\x00\xff", "*[?"} {
			d := store.DigestOf(head)
			copy(d[:], head)
			must(t, s.SaveToken(t.Context(), d, store.Credential{Claims: []byte(head)}, b.Clock.Now().Add(time.Hour), nil))
			digests = append(digests, d)
		}
		for _, d := range digests {
			r, err := s.Credential(t.Context(), d)
			if err != nil || !strings.HasPrefix(string(d[:]), string(r.Claims)) {
				t.Errorf("%q: got %v, %v", d, r, err)
			}
		}
	})
}

// A token costs one round trip to save and one to look up, the client with it.
func TestTokenRoundTrips(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		var trips atomic.Int32
		s := b.Open(t, func(o *store.Options) {
			o.Observe = func(cmd string, _ time.Duration, _ error) {
				if cmd != "dial" {
					trips.Add(1)
				}
			}
		})
		create(t, s, "a")
		for name, op := range map[string]func() error{
			"read a client": func() error { _, err := s.Client(t.Context(), "a"); return err },
			"save": func() error {
				return s.SaveToken(t.Context(), store.Digest{}, store.Credential{}, b.Clock.Now().Add(time.Hour), nil)
			},
			"look up": func() error { _, _, err := s.ClientAndCredential(t.Context(), "a", store.Digest{}); return err },
			"end":     func() error { return s.RevokeToken(t.Context(), store.Digest{}, store.Cause{}) },
		} {
			trips.Store(0)
			if err := op(); err != nil || trips.Load() != 1 {
				t.Errorf("%s: %d round trips, %v", name, trips.Load(), err)
			}
		}
	})
}

// startGeneration starts a generation of the client as it is now.
func startGeneration(ctx context.Context, s *store.Store, id string) (store.Generation, error) {
	c, err := s.Client(ctx, id)
	if err != nil {
		return store.Generation{}, err
	}
	return s.StartGeneration(ctx, c)
}
