package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// list walks through all pages.
func list(t *testing.T, s *store.Store, query string, limit int) (ids []string) {
	t.Helper()
	after := ""
	for pages := 0; ; pages++ {
		page, next, err := s.Clients(t.Context(), query, after, limit)
		must(t, err)
		if len(page) > limit || pages > 1000 {
			t.Fatalf("page %d has %d clients, of at most %d", pages, len(page), limit)
		}
		if len(page) == 0 && after != "" {
			t.Errorf("%q by %d: the last page is empty", query, limit)
		}
		for _, c := range page {
			ids = append(ids, c.ID)
		}
		if next == "" {
			return ids
		}
		after = next
	}
}

func TestClientsPages(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		var want, odd []string
		for i := range 250 {
			c := client(fmt.Sprintf("id-%03d", i))
			c.Metadata.Name = fmt.Sprintf("Name %d", i%7) // many have the same
			if i%2 == 1 {
				c.Metadata.Name = fmt.Sprintf("ID-odd %d", i%7) // found by the id already
				odd = append(odd, c.ID)
			}
			must(t, s.CreateClient(t.Context(), c))
			want = append(want, c.ID)
		}
		for _, limit := range []int{7, 50, 125, 250, 251} {
			if diff := cmp.Diff(want, list(t, s, "", limit)); diff != "" {
				t.Errorf("all by %d: %s", limit, diff)
			}
			if diff := cmp.Diff(want, list(t, s, "id-", limit)); diff != "" {
				t.Errorf("by id and name, by %d: %s", limit, diff)
			}
			got := list(t, s, "ID-", limit) // first by name, then by id in another case
			if diff := cmp.Diff(odd, slices.Sorted(slices.Values(got[:len(odd)]))); diff != "" {
				t.Errorf("by name, by %d: %s", limit, diff)
			}
			if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
				t.Errorf("in another case, by %d: %s", limit, diff)
			}
			if diff := cmp.Diff(want[100:110], list(t, s, "id-10", limit)); diff != "" {
				t.Errorf("by prefix, by %d: %s", limit, diff)
			}
		}
	})
}

func TestClientsQuery(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		for id, name := range map[string]string{
			"Billing": "Überweisung", "billing": "ÜBERSICHT", "zeta": "Ελλάδα", "shop": "Billing front", "none": "",
			"日": "支払い", "~": "\U0010FFFF",
		} {
			c := client(id)
			c.Metadata.Name = name
			must(t, s.CreateClient(t.Context(), c))
		}
		for query, want := range map[string][]string{
			"":              {"Billing", "billing", "none", "shop", "zeta", "~", "日"},
			"über":          {"billing", "Billing"},
			"ÜBERW":         {"Billing"},
			"ελλ":           {"zeta"},
			"ΕΛΛΆΔΑ":        {"zeta"},
			"支払":            {"日"},
			"日":             {"日"},
			"Billing":       {"Billing", "shop", "billing"},
			"billing":       {"billing", "shop", "Billing"}, // by id, by name, by a word of an id in another case
			"bILLING":       {"shop", "Billing", "billing"},
			"front":         {"shop"},
			"\U0010FFFF":    {"~"},
			"nobody":        nil,
			"\xff":          nil,
			"überweis\x00":  nil,
			"überweisungen": nil,
		} {
			for _, limit := range []int{1, 2, 10} {
				if got := list(t, s, query, limit); !cmp.Equal(want, got) {
					t.Errorf("%q by %d: got %q, want %q", query, limit, got, want)
				}
			}
		}
	})
}

// Entries that a crash left behind are passed over, many or few, and those of a client's former name.
func TestClientsSkipsDangling(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := b.Open(t)
		create(t, s, "a5")
		create(t, s, "b")
		for i := range 30 {
			b.Do("ZADD", "mk:clients:id", 0, fmt.Sprint("a", i/10, i%10), 0, fmt.Sprint("c", i))
			b.Do("ZADD", "mk:clients:name", 0, fmt.Sprintf("client %d\x00ghost", i), 0, fmt.Sprintf("client a%d\x00b", i), 0, "client \x00a5", 0, "client")
		}
		for _, limit := range []int{1, 2, 3, 50} {
			if got, want := list(t, s, "", limit), []string{"a5", "b"}; !cmp.Equal(got, want) {
				t.Errorf("all by %d: got %q, want %q", limit, got, want)
			}
			if got, want := list(t, s, "client", limit), []string{"a5", "b"}; !cmp.Equal(got, want) {
				t.Errorf("by name, by %d: got %q, want %q", limit, got, want)
			}
		}
	})
}

// A position from another query leads nowhere else.
func TestClientsForeignPosition(t *testing.T) {
	s := storetest.Embedded(t).Open(t)
	for _, id := range []string{"a", "b", "c"} {
		create(t, s, id)
	}
	_, after, err := s.Clients(t.Context(), "", "", 1)
	must(t, err)
	page, next, err := s.Clients(t.Context(), "c", after, 10)
	if err != nil || next != "" || len(page) != 3 || page[0].ID != "c" { // "client a" and "client b" follow, by name
		t.Errorf("got %d clients, %q, %v", len(page), next, err)
	}
	for _, after := range []string{"x", "n", "i", "n\x00", "\xff"} {
		if _, _, err := s.Clients(t.Context(), "c", after, 10); err != nil {
			t.Errorf("after %q: %v", after, err)
		}
	}
}

// before is a go-redis hook that does something else just before the first command of a name.
type before struct {
	name string
	do   atomic.Pointer[func()]
}

func (h *before) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.EqualFold(cmd.Name(), h.name) {
			if do := h.do.Swap(nil); do != nil {
				(*do)()
			}
		}
		return next(ctx, cmd)
	}
}

func (h *before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// The cleanup after a deleted client must keep the index entries of the next client with the same id.
func TestClientIndexSurvivesRaces(t *testing.T) {
	rename := func(s *store.Store, to string) error {
		_, err := s.UpdateClient(context.Background(), "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
			m.Name = to
			return false, nil
		})

		return err
	}
	for name, race := range map[string]struct {
		first, between func(*store.Store) error
	}{
		"deleted, registered again": {
			func(s *store.Store) error { return s.DeleteClient(context.Background(), "a", store.Cause{}) },
			func(s *store.Store) error { return s.CreateClient(context.Background(), client("a")) },
		},
		"renamed, and back": {
			func(s *store.Store) error { return rename(s, "other") },
			func(s *store.Store) error { return rename(s, "Client a") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
				hook := &before{name: "zrem"}
				s := b.Open(t, func(o *store.Options) {
					o.Instrument = func(c redis.UniversalClient) { c.AddHook(hook) }
				})
				create(t, s, "a")
				two := b.Open(t)
				between := func() { must(t, race.between(two)) }
				hook.do.Store(&between)
				must(t, race.first(s))
				for _, query := range []string{"", "a", "client a"} {
					if got, want := list(t, s, query, 10), []string{"a"}; !cmp.Equal(got, want) {
						t.Errorf("%q: got %q, want %q", query, got, want)
					}
				}
			})
		})
	}
}
