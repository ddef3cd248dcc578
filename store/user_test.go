package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// person is a user who may be added, with all that a user may begin with.
func person(email string) *store.User {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &store.User{
		ID:       store.NewUserID(),
		Metadata: store.UserMetadata{Email: email, Name: "Person " + email, CreatedAt: at},
		Operator: store.NewGeneration(),
		Password: []byte("sealed\x00\xff"),
		Invite:   &store.Invite{Digest: store.DigestOf("code of " + email), ExpiresAt: at.Add(72 * time.Hour)},
	}
}

// add adds a user.
func add(t *testing.T, s *store.Store, email string) *store.User {
	t.Helper()
	u := person(email)
	must(t, s.CreateUser(t.Context(), u))
	return u
}

// read reads a user who must exist.
func read(t *testing.T, s *store.Store, id string) *store.User {
	t.Helper()
	u, err := s.User(t.Context(), id)
	must(t, err)
	return u
}

func people(t *testing.T, s *store.Store, query string, limit int) (emails []string) {
	t.Helper()
	for after, first := "", true; first || after != ""; first = false {
		page, next, err := s.Users(t.Context(), query, after, limit)
		must(t, err)
		if len(page) > limit {
			t.Errorf("a page of %d, want at most %d", len(page), limit)
		}
		for _, u := range page {
			emails = append(emails, u.Metadata.Email)
		}
		after = next
	}
	return emails
}

func rename(name string) func(*store.UserMetadata) error {
	return func(m *store.UserMetadata) error { m.Name = name; return nil }
}

func readdress(email string) func(*store.UserMetadata) error {
	return func(m *store.UserMetadata) error { m.Email = email; return nil }
}

func TestUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		want := add(t, s, "Ada@example.com")
		if !want.Enabled || want.Generation == (store.Generation{}) || want.Role() != store.Operator {
			t.Errorf("enabled %v, generation %x, role %s", want.Enabled, want.Generation, want.Role())
		}
		if diff := cmp.Diff(want, read(t, other, want.ID)); diff != "" {
			t.Error(diff)
		}
		byEmail, err := other.UserByEmail(ctx, "ADA@EXAMPLE.COM")
		must(t, err)
		if diff := cmp.Diff(want, byEmail); diff != "" {
			t.Error(diff)
		}

		want.Metadata.Name = "Countess"
		got, err := s.UpdateUser(ctx, want.ID, store.Cause{}, rename("Countess"))
		must(t, err)
		if !cmp.Equal(want, got) || !cmp.Equal(want, read(t, other, want.ID)) {
			t.Errorf("updated (-want +got)\n%s", cmp.Diff(want, got))
		}

		// Disabling changes nothing else: all is as before when the user is enabled again.
		must(t, s.DisableUser(ctx, want.ID, store.Cause{}))
		must(t, s.DisableUser(ctx, want.ID, store.Cause{}))
		if got := read(t, other, want.ID); got.Enabled || got.Generation != want.Generation {
			t.Errorf("disabled: enabled %v, generation %x, want %x", got.Enabled, got.Generation, want.Generation)
		}
		want.Invite = nil // but for the invite, which has expired
		for range 2 {
			must(t, s.EnableUser(ctx, want.ID, store.Cause{}))
			if diff := cmp.Diff(want, read(t, other, want.ID)); diff != "" {
				t.Errorf("enabled (-want +got)\n%s", diff)
			}
		}

		must(t, s.DeleteUser(ctx, want.ID, ended(b, "gone")))
		_, err = other.User(ctx, want.ID)
		wantErr(t, "deleted", err, store.ErrNotFound)
		_, err = other.UserByEmail(ctx, "ada@example.com")
		wantErr(t, "deleted, by email", err, store.ErrNotFound)
		if left := b.Dump(t).Keys(); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}

		// A new user with the email is another user.
		next := add(t, other, "ada@example.com")
		if next.ID == want.ID || next.Generation == want.Generation {
			t.Error("the new person is the old one")
		}
	})
}

func TestUserNotFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		for what, do := range map[string]func(context.Context, string) error{
			"read":  func(ctx context.Context, id string) error { _, err := s.User(ctx, id); return err },
			"email": func(ctx context.Context, id string) error { _, err := s.UserByEmail(ctx, id); return err },
			"update": func(ctx context.Context, id string) error {
				_, err := s.UpdateUser(ctx, id, store.Cause{}, rename("x"))
				return err
			},
			"delete": func(ctx context.Context, id string) error { return s.DeleteUser(ctx, id, store.Cause{}) },
			"invite": func(ctx context.Context, id string) error {
				return s.InviteUser(ctx, id, store.Invite{}, store.Cause{})
			},
			"redeem":  func(ctx context.Context, id string) error { return s.RedeemInvite(ctx, id, store.Digest{}, nil) },
			"disable": plain(s.DisableUser), "enable": plain(s.EnableUser), "promote": plain(s.PromoteUser), "demote": plain(s.DemoteUser),
		} {
			for _, id := range []string{"nobody", "", "usr_\x00"} {
				wantErr(t, what, do(ctx, id), store.ErrNotFound)
			}
		}
		if left := b.Dump(t).Keys(); len(left) > 0 {
			t.Errorf("somebody has left %q", left)
		}
	})
}

// An operator's rights depend on a generation of the role, which each promotion writes again.
func TestRoles(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := person("a@example.com")
		u.Operator = store.Generation{}
		must(t, s.CreateUser(ctx, u))
		if got := read(t, s, u.ID); got.Role() != store.Developer || got.Operator.Matches(got.Operator) {
			t.Errorf("got %s, %x", got.Role(), got.Operator)
		}
		seen := map[store.Generation]bool{}
		for range 3 {
			must(t, s.PromoteUser(ctx, u.ID, store.Cause{}))
			first := read(t, s, u.ID)
			must(t, s.PromoteUser(ctx, u.ID, store.Cause{})) // it changes nothing for an operator
			again := read(t, s, u.ID)
			if first.Role() != store.Operator || first.Operator != again.Operator || seen[first.Operator] {
				t.Errorf("promoted: %s, %x, then %x", first.Role(), first.Operator, again.Operator)
			}
			seen[first.Operator] = true
			if again.Generation != u.Generation {
				t.Error("a role has changed the generation of all keys")
			}
			for range 2 {
				must(t, s.DemoteUser(ctx, u.ID, store.Cause{}))
			}
			if got := read(t, s, u.ID); got.Role() != store.Developer || got.Generation != u.Generation {
				t.Errorf("demoted: %s, %x", got.Role(), got.Generation)
			}
		}
	})
}

func TestUsers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		var first *store.User
		for i := range 7 {
			u := person(fmt.Sprintf("%c@example.com", 'a'+i))
			u.Metadata.Name = fmt.Sprintf("Name %c", 'Z'-i)
			must(t, s.CreateUser(ctx, u))
			if first == nil {
				first = u
			}
		}
		for _, limit := range []int{1, 2, 7, 100} {
			if got := people(t, s, "", limit); len(got) != 7 {
				t.Errorf("pages of %d: %d people, want 7", limit, len(got))
			}
		}
		for query, want := range map[string][]string{
			"c@": {"c@example.com"}, "NAME Z": {"a@example.com"}, "C@EX": {"c@example.com"}, "x": {"c@example.com"}, "xa": nil, first.ID: {"a@example.com"},
			"name": {"g@example.com", "f@example.com", "e@example.com", "d@example.com", "c@example.com", "b@example.com", "a@example.com"},
		} {
			for _, limit := range []int{1, 3, 100} {
				if diff := cmp.Diff(want, people(t, s, query, limit)); diff != "" {
					t.Errorf("%q in pages of %d (-want +got)\n%s", query, limit, diff)
				}
			}
		}
		_, err := s.UpdateUser(ctx, first.ID, store.Cause{}, func(m *store.UserMetadata) error { m.Email, m.Name = "new@example.com", "a@"; return nil })
		must(t, err)
		for query, want := range map[string][]string{"a@": {"new@example.com"}, "name z": nil, "new": {"new@example.com"}} {
			if diff := cmp.Diff(want, people(t, s, query, 10)); diff != "" {
				t.Errorf("%q after the change (-want +got)\n%s", query, diff)
			}
		}
		if got, err := s.Totals(ctx); err != nil || got.Users != 7 {
			t.Errorf("totals: %+v, %v", got, err)
		}
	})
}

// Of two changes at once, neither undoes the other.
func TestUpdateUserConcurrently(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other, ctx := b.Open(t), b.Open(t), t.Context()
		u := add(t, s, "a@example.com")

		// The other change happens in the middle of this one.
		meanwhile := true
		got, err := s.UpdateUser(ctx, u.ID, store.Cause{}, func(m *store.UserMetadata) error {
			if meanwhile {
				meanwhile = false
				_, err := other.UpdateUser(ctx, u.ID, store.Cause{}, rename("Renamed"))
				must(t, err)
			}
			m.Email = "b@example.com"
			return nil
		})

		must(t, err)
		want := store.UserMetadata{Email: "b@example.com", Name: "Renamed", CreatedAt: u.Metadata.CreatedAt}
		if diff := cmp.Diff(want, got.Metadata); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		add(t, other, "a@example.com") // which is free

		failure := errors.New("no")
		_, err = s.UpdateUser(ctx, u.ID, store.Cause{}, func(*store.UserMetadata) error { return failure })
		wantErr(t, "refused by the caller", err, failure)
		if diff := cmp.Diff(want, read(t, s, u.ID).Metadata); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
