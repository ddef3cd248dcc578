package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func TestFoldEmail(t *testing.T) {
	same := [][]string{
		{"ada@example.com", "ADA@EXAMPLE.COM", "ａｄａ@example.com", "Ada@Example.Com"},
		{"jos\u00e9@example.com", "jose\u0301@example.com", "JOS\u00c9@EXAMPLE.COM"},
		{"stra\u00dfe@example.com", "STRASSE@example.com"},
		{"\ufb01@example.com", "fi@example.com"},
		{"\u03c3@x", "\u03c2@x", "\u03a3@x"},
	}
	seen := map[string]int{}
	for i, group := range same {
		for _, email := range group {
			got := store.FoldEmail(email)
			if want := store.FoldEmail(group[0]); got != want || store.FoldEmail(got) != got {
				t.Errorf("%q: got %q and then %q, want %q", email, got, store.FoldEmail(got), want)
			}
			if before, there := seen[got]; there && before != i {
				t.Errorf("%q is the same as one that is another", email)
			}
			seen[got] = i
		}
	}
}

func TestEmails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		a := add(t, s, "a@example.com")
		c := add(t, s, "c@example.com")
		wantErr(t, "taken", other.CreateUser(ctx, person("Ａ@EXAMPLE.com")), store.ErrExists)
		_, err := other.UpdateUser(ctx, c.ID, store.Cause{}, readdress("A@example.com"))
		wantErr(t, "change to one that is taken", err, store.ErrExists)
		if got := people(t, s, "", 10); len(got) != 2 {
			t.Errorf("there are %v", got)
		}

		// To another and back, and to another spelling of the same email.
		for _, email := range []string{"b@example.com", "a@example.com", "A@Example.com", "B@example.com", "b@example.com"} {
			_, err := s.UpdateUser(ctx, a.ID, store.Cause{}, readdress(email))
			must(t, err)
			got, err := other.UserByEmail(ctx, email)
			if err != nil || got.ID != a.ID || got.Metadata.Email != email {
				t.Errorf("%s: got %+v, %v", email, got, err)
			}
		}
		_, err = s.UserByEmail(ctx, "a@example.com")
		wantErr(t, "the old email", err, store.ErrNotFound)
		add(t, other, "a@example.com")
	})
}

func TestEmailRace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		replicas := []*store.Store{b.Open(t), b.Open(t)}
		for round, spellings := range [][]string{{"x@example.com"}, {"y@example.com", "Y@example.com", "ｙ@example.com"}} {
			errs := make([]error, 8)
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() { errs[i] = replicas[i%2].CreateUser(t.Context(), person(spellings[i%len(spellings)])) })
			}
			all.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			}
			if won != 1 {
				t.Errorf("%d of 8 have got it", won)
			}
			if got := people(t, replicas[0], "", 10); len(got) != round+1 {
				t.Errorf("there are %v", got)
			}
		}
		if got, err := replicas[0].Totals(t.Context()); err != nil || got.Users != 2 {
			t.Errorf("totals: %+v, %v", got, err)
		}
	})
}

// An email whose user does not exist is free, however that came about.
func TestStaleEmail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		old := add(t, s, "a@example.com")
		b.Do("DEL", "mk:p:"+old.ID) // a deletion that stopped half-way
		_, err := s.UserByEmail(ctx, "a@example.com")
		wantErr(t, "of nobody", err, store.ErrNotFound)
		next := add(t, s, "a@example.com")
		if got, err := s.UserByEmail(ctx, "a@example.com"); err != nil || got.ID != next.ID {
			t.Errorf("got %+v, %v", got, err)
		}

		// A change of email that stopped half-way: it is reserved for the user who began it, and finds no user.
		other := add(t, s, "b@example.com")
		b.Do("HSET", "mk:p:"+next.ID, "meta", `1{"email":"moved@example.com","created":"2026-01-02T03:04:05Z"}`)
		_, err = s.UserByEmail(ctx, "a@example.com")
		wantErr(t, "half-way", err, store.ErrNotFound)
		_, err = s.UpdateUser(ctx, other.ID, store.Cause{}, readdress("a@example.com"))
		wantErr(t, "kept", err, store.ErrExists)
		_, err = s.UpdateUser(ctx, next.ID, store.Cause{}, readdress("a@example.com"))
		must(t, err)
	})
}

// failing is a go-redis hook that lets no command of a name through, nor what is sent with one.
type failing struct{ name string }

var errCut = errors.New("the line was cut")

func (f *failing) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == f.name {
			cmd.SetErr(errCut)
			return errCut
		}
		return next(ctx, cmd)
	}
}

func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if cmd.Name() == f.name {
				for _, each := range cmds {
					each.SetErr(errCut)
				}
				return errCut
			}
		}
		return next(ctx, cmds)
	}
}

// A user whose creation stopped half-way is gone within a minute, and the email is free then.
func TestUnfinishedUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		fail := &failing{}
		s := b.Open(t, func(o *store.Options) { o.Instrument = func(c redis.UniversalClient) { c.AddHook(fail) } })
		for _, at := range []string{"zadd", "hset", "pexpire", "watch", "persist"} {
			if at == "watch" && b.Name == "cluster" {
				continue // there, hooks see no transaction that watches
			}
			fail.name = at
			u := person("a@example.com")
			wantErr(t, at, s.CreateUser(t.Context(), u), store.ErrUnavailable)
			fail.name = ""
			b.Clock.Advance(time.Minute + time.Second)
			_, err := s.User(t.Context(), u.ID)
			wantErr(t, at+", a minute later", err, store.ErrNotFound)
			next := add(t, s, "a@example.com")
			must(t, s.DeleteUser(t.Context(), next.ID, ended(b, "")))
		}
	})
}
