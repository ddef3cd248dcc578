package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// found are the names of the clients, the emails of the users and the names of the keys that a query finds.
func found(t *testing.T, s *store.Store, query string) (names []string) {
	t.Helper()
	clients, _, err := s.Clients(t.Context(), query, "", 100)
	must(t, err)
	for _, c := range clients {
		names = append(names, c.Metadata.Name)
	}
	users, _, err := s.Users(t.Context(), query, "", 100)
	must(t, err)
	for _, u := range users {
		names = append(names, u.Metadata.Email)
	}
	return append(names, listKeys(t, s, store.KeyFilter{Query: query}, 100)...)
}

func wantFound(t *testing.T, s *store.Store, when, query string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, found(t, s, query)); diff != "" {
		t.Errorf("%s: %q (-want +got)\n%s", when, query, diff)
	}
}

// named are a client, a user and a key with "blue" as the second word of their names.
func named(t *testing.T, b *storetest.Backend, s *store.Store) (*store.Client, *store.User, *store.APIKey) {
	t.Helper()
	c := client("front-desk")
	c.Metadata.Name = "client blue"
	must(t, s.CreateClient(t.Context(), c))
	u := person("ada.blue@example.com")
	u.Metadata.Name = ""
	must(t, s.CreateUser(t.Context(), u))
	return c, u, makeKey(t, b, s, u, "key_Blue", 0)
}

// What has another name is found by its words and by the old ones no more; what is gone leaves no entry.
func TestWordsFollowNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		c, u, k := named(t, b, s)
		wantFound(t, s, "created", "BLUE", "client blue", "ada.blue@example.com", "key_Blue")
		wantFound(t, s, "created", "desk", "client blue")

		_, err := s.UpdateClient(ctx, c.ID, store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
			m.Name = "client red"
			return false, nil
		})
		must(t, err)
		_, err = s.UpdateUser(ctx, u.ID, store.Cause{}, func(m *store.UserMetadata) error {
			m.Email, m.Name = "ada.red@example.com", "Ada Red"
			return nil
		})
		must(t, err)
		must(t, renameKey(ctx, s, k, "key red"))
		wantFound(t, s, "renamed", "blue")
		wantFound(t, s, "renamed", "red", "client red", "ada.red@example.com", "key red")
		wantFound(t, s, "renamed", "desk", "client red")
		if left := b.Dump(t).Find("blue"); len(left) > 0 {
			t.Errorf("the old names are left in %q", left)
		}

		must(t, s.DeleteClient(ctx, c.ID, ended(b, "")))
		must(t, s.DeleteUser(ctx, u.ID, ended(b, "")))
		b.Clock.Advance(401 * 24 * time.Hour)
		must(t, store.PurgeKeys(ctx, s))
		wantFound(t, s, "deleted", "red")
		for _, key := range []string{"mk:clients:word", "mk:users:word", "mk:keys:word"} {
			if left := b.Dump(t)[key]; left != nil {
				t.Errorf("left behind in %s: %q", key, left)
			}
		}
	})
}

// Records of version 0.1.0 have no words. They are found as they were, and by their words once the upkeep came by, or mintkeep
// fence, or they have another name.
func TestWordsOfEarlierRecords(t *testing.T) {
	for how, upkeep := range map[string]func(*testing.T, *store.Store, *store.Client, *store.User, *store.APIKey){
		"upkeep": func(t *testing.T, s *store.Store, _ *store.Client, _ *store.User, _ *store.APIKey) {
			must(t, store.SweepDirectories(t.Context(), s))
			must(t, store.SweepKeys(t.Context(), s))
		},
		"fence, and upkeep of keys": func(t *testing.T, s *store.Store, _ *store.Client, _ *store.User, _ *store.APIKey) {
			_, err := s.ListAll(t.Context())
			must(t, err)
			must(t, store.SweepKeys(t.Context(), s))
		},
		"another name": func(t *testing.T, s *store.Store, c *store.Client, u *store.User, k *store.APIKey) {
			_, err := s.UpdateClient(t.Context(), c.ID, store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
				m.Name = "Client blue"
				return false, nil
			})
			must(t, err)
			_, err = s.UpdateUser(t.Context(), u.ID, store.Cause{}, func(*store.UserMetadata) error { return nil })
			must(t, err)
			must(t, renameKey(t.Context(), s, k, "Key_blue"))
		},
	} {
		t.Run(how, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				s := b.Open(t)
				c, u, k := named(t, b, s)
				b.Do("DEL", "mk:clients:word")
				b.Do("DEL", "mk:users:word")
				b.Do("DEL", "mk:keys:word")
				wantFound(t, s, "before", "client", "client blue")
				wantFound(t, s, "before", "ada.b", "ada.blue@example.com")
				wantFound(t, s, "before", "key_", "key_Blue")
				wantFound(t, s, "before", "blue")
				upkeep(t, s, c, u, k)
				if got := len(found(t, s, "blue")); got != 3 {
					t.Errorf("%d are found by a word, want 3", got)
				}
				wantFound(t, s, "afterwards", "ada.b", "ada.blue@example.com")
			})
		})
	}
}

// A name has a bounded number of entries, whatever its words are.
func TestWordsAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		c := client("x")
		c.Metadata.Name = strings.Repeat("a ", 100)
		must(t, s.CreateClient(t.Context(), c))
		c = client("y")
		c.Metadata.Name = strings.Repeat("-", 100) + "b"
		must(t, s.CreateClient(t.Context(), c))
		if n := b.Do("ZCARD", "mk:clients:word").(int64); n > 13 {
			t.Errorf("two clients have %d entries of words", n)
		}
		if got, want := list(t, s, "b", 10), []string{"y"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := list(t, s, "a a a", 1), []string{"x"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A search reads a page and no more, however many records there are and whichever word it is. With -stored=100000 it tells
// how long that takes.
func TestSearchCost(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		n := 600
		if *stored > 5_000 { // the long form
			n = *stored
		}
		var trips atomic.Int64
		s := b.Open(t, func(o *store.Options) {
			o.Observe = func(string, time.Duration, error) { trips.Add(1) }
		})
		fillNamed(t, b, s, n)
		most := func(what string, search func() (int, error), want int, atMost int64) {
			t.Helper()
			trips.Store(0)
			began := time.Now()
			got, err := search()
			must(t, err)
			t.Logf("%s of %d: %d found, %d round trips, %v", what, n, got, trips.Load(), time.Since(began).Round(10*time.Microsecond))
			if got != want || trips.Load() > atMost {
				t.Errorf("%s: %d found in %d round trips, want %d in at most %d", what, got, trips.Load(), want, atMost)
			}
		}
		for query, want := range map[string]int{"svc": 50, "payments": 50, "service of": 50, "number": 50, "000123": 1, "of invoices 000": 50, "zzz": 0} {
			most("clients "+query, func() (int, error) {
				page, _, err := s.Clients(t.Context(), query, "", 50)
				return len(page), err
			}, want, 6)
		}
		for query, want := range map[string]int{"deploy": 50, "runner": 50, "000123": 1, "to stage 000123": 1, "zzz": 0} {
			most("keys "+query, func() (int, error) {
				page, _, err := s.Keys(t.Context(), store.KeyFilter{Query: query, State: store.StateLive}, "", 50)
				return len(page), err
			}, want, 8)
		}
	})
}

// fillNamed creates so many clients and keys.
func fillNamed(t *testing.T, b *storetest.Backend, s *store.Store, n int) {
	t.Helper()
	const each, workers = 500, 16
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; i < n; i += workers {
				c := client(fmt.Sprintf("svc-payments-%06d", i))
				c.Metadata.Name = fmt.Sprintf("Service of invoices %06d number", i)
				if err := s.CreateClient(t.Context(), c); err != nil {
					t.Error(err)
					return
				}
			}
			for i := w; i*each < n; i += workers {
				u := person(fmt.Sprintf("user%d@example.com", i))
				err := s.CreateUser(t.Context(), u)
				for j := i * each; err == nil && j < min((i+1)*each, n); j++ {
					err = s.CreateKey(t.Context(), key(b, u, fmt.Sprintf("deploy-runner to stage %06d", j), 0), u)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
