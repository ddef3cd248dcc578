package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// client is one that may be registered, with all that a client may have.
func client(id string) *store.Client {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &store.Client{
		ID: id,
		Metadata: store.ClientMetadata{
			Name: "Client " + id, Scope: "read write", GrantTypes: []string{"client_credentials"},
			AuthMethod: "client_secret_basic", TokenTTL: time.Minute, TokenFormat: store.Opaque,
			Audience: []string{"https://api.example.com"}, CreatedAt: at,
		},
		Secrets: []store.Secret{{ID: "sec_1", Digest: store.DigestOf("secret of " + id), LastFour: "f " + id, CreatedAt: at}},
	}
}

func create(t *testing.T, s *store.Store, id string) *store.Client {
	t.Helper()
	c := client(id)
	if err := s.CreateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// must ends the test if a preparation went wrong.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestCreateClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		_, err := s.Client(ctx, "a")
		wantErr(t, "before", err, store.ErrNotFound)

		want := create(t, s, "a")
		if !want.Enabled || want.Generation == (store.Generation{}) {
			t.Errorf("enabled %v, generation %x", want.Enabled, want.Generation)
		}
		got, err := b.Open(t).Client(ctx, "a")
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}

		other := client("a")
		other.Metadata.Name = "Another"
		wantErr(t, "again", s.CreateClient(ctx, other), store.ErrExists)
		if got, _ := s.Client(ctx, "a"); !cmp.Equal(want, got) {
			t.Error(cmp.Diff(want, got))
		}
		if keys := b.Dump(t).Find("another"); keys != nil {
			t.Errorf("the one that was refused left something in %v", keys)
		}
		for id, op := range map[string]func(context.Context, string) error{
			"enable": plain(s.EnableClient), "disable": plain(s.DisableClient), "delete": plain(s.DeleteClient), "end tokens": plain(s.RevokeClientTokens),
			"update": func(ctx context.Context, id string) error {
				_, err := s.UpdateClient(ctx, id, store.Cause{}, nil)
				return err
			},
			"secret": func(ctx context.Context, id string) error {
				_, err := s.AddSecret(ctx, id, store.Secret{}, time.Time{}, store.Cause{})
				return err
			},
		} {
			wantErr(t, id+" of nobody", op(ctx, "nobody"), store.ErrNotFound)
		}
	})
}

func TestCreateClientTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		const creators = 20
		errs := make([]error, creators)
		clients := make([]*store.Client, creators)
		var wg sync.WaitGroup
		for i := range creators {
			s := b.Open(t)
			clients[i] = client("a")
			clients[i].Metadata.Name = fmt.Sprint("creator ", i)
			wg.Go(func() { errs[i] = s.CreateClient(context.Background(), clients[i]) })
		}
		wg.Wait()
		var winners []*store.Client
		for i, err := range errs {
			if err == nil {
				winners = append(winners, clients[i])
			} else {
				wantErr(t, "loser", err, store.ErrExists)
			}
		}
		if len(winners) != 1 {
			t.Fatalf("%d won, want 1", len(winners))
		}
		s := b.Open(t)
		got, err := s.Client(t.Context(), "a")
		must(t, err)
		if diff := cmp.Diff(winners[0], got); diff != "" {
			t.Error(diff)
		}
		page, _, err := s.Clients(t.Context(), "creator", "", 10)
		if err != nil || len(page) != 1 {
			t.Errorf("by name: got %d, %v; want 1", len(page), err)
		}
	})
}

func TestUpdateClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		before := create(t, s, "a")
		got, err := s.UpdateClient(ctx, "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
			m.Scope, m.Name = "read", "Renamed"
			return false, nil
		})

		must(t, err)
		want := *before
		want.Metadata.Scope, want.Metadata.Name = "read", "Renamed"
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Error(diff)
		}
		if got, _ = s.Client(ctx, "a"); !cmp.Equal(&want, got) {
			t.Error(cmp.Diff(&want, got))
		}
		if keys := b.Dump(t).Find("client a"); keys != nil {
			t.Errorf("the old name is still in %v", keys)
		}

		// The caller's own error comes back as it is, and nothing is written.
		mine := errors.New("not like this")
		_, err = s.UpdateClient(ctx, "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
			m.Scope = "everything"
			return true, mine
		})

		wantErr(t, "refused", err, mine)
		if errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%v: a refusal is not an outage", err)
		}
		if got, _ = s.Client(ctx, "a"); !cmp.Equal(&want, got) {
			t.Error(cmp.Diff(&want, got))
		}
	})
}

// No update is lost, however many come at once: each either sees those before it, or is told.
func TestUpdateClientTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		const workers, rounds = 6, 5
		create(t, b.Open(t), "a")
		var mu sync.Mutex
		done := 0
		var wg sync.WaitGroup
		for range workers {
			s := b.Open(t)
			wg.Go(func() {
				for range rounds {
					_, err := s.UpdateClient(context.Background(), "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
						m.TokenTTL += time.Second
						return false, nil
					})

					switch {
					case err == nil:
						mu.Lock()
						done++
						mu.Unlock()
					case !errors.Is(err, store.ErrConflict):
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got, err := b.Open(t).Client(t.Context(), "a")
		must(t, err)
		if want := time.Minute + time.Duration(done)*time.Second; got.Metadata.TokenTTL != want || done == 0 {
			t.Errorf("after %d updates: got %v, want %v", done, got.Metadata.TokenTTL, want)
		}
	})
}

func TestDisableAndEnableClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		first := create(t, s, "a")
		must(t, s.EnableClient(ctx, "a", store.Cause{}))
		if got, _ := s.Client(ctx, "a"); got.Generation != first.Generation {
			t.Error("enabling an enabled client has ended its tokens")
		}
		for range 2 {
			must(t, s.DisableClient(ctx, "a", store.Cause{}))
			got, err := s.Client(ctx, "a")
			must(t, err)
			if got.Enabled || got.Generation != (store.Generation{}) || len(got.Secrets) != 1 {
				t.Errorf("disabled: got %+v", got)
			}
		}
		_, err := startGeneration(ctx, s, "a")
		wantErr(t, "a generation for a disabled client", err, store.ErrNotFound)
		got, err := s.UpdateClient(ctx, "a", store.Cause{}, func(*store.ClientMetadata) (bool, error) { return true, nil })
		if err != nil || got.Enabled || got.Generation != (store.Generation{}) {
			t.Errorf("updated while disabled: got %+v, %v", got, err)
		}

		must(t, s.EnableClient(ctx, "a", store.Cause{}))
		got, err = s.Client(ctx, "a")
		must(t, err)
		if !got.Enabled || got.Generation == first.Generation || got.Generation == (store.Generation{}) {
			t.Errorf("enabled: got %+v, first generation %x", got, first.Generation)
		}
	})
}

func TestDeleteClient(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		s.RecordSecretUse("a", "sec_1")
		must(t, s.Flush(ctx))
		s.RecordSecretUse("a", "sec_1")
		must(t, s.DeleteClient(ctx, "a", store.Cause{}))
		must(t, s.Flush(ctx))
		_, err := s.Client(ctx, "a")
		wantErr(t, "deleted", err, store.ErrNotFound)
		wantErr(t, "deleted again", s.DeleteClient(ctx, "a", store.Cause{}), store.ErrNotFound)
		if keys := b.Dump(t).Keys(); len(keys) > 0 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

// Digests are all that is stored of secrets, and nothing stands in a place that doc.go does not name.
func TestClientHoldsNoSecret(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		create(t, b.Open(t), "a")
		if keys := b.Dump(t).Find("secret of a"); keys != nil {
			t.Errorf("a secret stands in %v", keys)
		}
		if keys := b.Dump(t).Keys(); !cmp.Equal(keys, []string{"mk:c:a", "mk:clients:id", "mk:clients:name", "mk:clients:word", "mk:secrets"}) {
			t.Errorf("keys: %v", strings.Join(keys, " "))
		}
	})
}

// Who has read a client or a user as enabled, or a user as an operator, has recorded nothing: what was taken away since stays so.
func TestKeepsOnlyWhatIsSoStill(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		u := add(t, s, "a@example.com")
		must(t, s.KeepClientEnabled(ctx, "a", store.Cause{}))
		must(t, s.KeepUserEnabled(ctx, u.ID, store.Cause{}))
		must(t, s.PromoteUser(ctx, u.ID, store.Cause{}))
		must(t, s.KeepUserPromoted(ctx, u.ID, store.Cause{}))

		must(t, s.DisableClient(ctx, "a", store.Cause{}))
		must(t, s.DisableUser(ctx, u.ID, store.Cause{}))
		must(t, s.DemoteUser(ctx, u.ID, store.Cause{}))
		wantErr(t, "the client", s.KeepClientEnabled(ctx, "a", store.Cause{}), store.ErrConflict)
		wantErr(t, "the user", s.KeepUserEnabled(ctx, u.ID, store.Cause{}), store.ErrConflict)
		wantErr(t, "the operator", s.KeepUserPromoted(ctx, u.ID, store.Cause{}), store.ErrConflict)
		if c, err := s.Client(ctx, "a"); err != nil || c.Enabled {
			t.Errorf("the client is %+v, %v", c, err)
		}
		if now := read(t, s, u.ID); now.Enabled || now.Role() != store.Developer {
			t.Errorf("the user is %+v", now)
		}
	})
}
