package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A change whose answer was lost is repeated. What the first attempt revoked stays revoked when Redis loses both.
func TestRollbackOfAnInDoubtTransaction(t *testing.T) {
	t.Parallel()
	narrow := func(ctx context.Context, s *store.Store) error {
		_, err := s.UpdateClient(ctx, "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
			narrower := m.Scope != "less"
			m.Scope = "less"
			return narrower, nil
		})

		return err
	}
	rotated := func(ctx context.Context, s *store.Store) error { return rotate(ctx, s, "sec_lost") }
	for name, tt := range map[string]struct {
		change, repeated func(ctx context.Context, s *store.Store) error
		secrets          bool // are what was revoked, and not tokens
	}{
		"narrowed twice":              {narrow, narrow, false},
		"narrowed, and seen to be so": {narrow, func(ctx context.Context, s *store.Store) error { return s.Confirm(ctx) }, false},
		"rotated twice": {rotated, func(ctx context.Context, s *store.Store) error {
			return rotate(ctx, s, "sec_next")
		}, true},
		"rotated, and the old one deleted": {rotated, func(ctx context.Context, s *store.Store) error {
			wantErr(t, "what is gone", s.RevokeSecret(ctx, "a", "sec_1", store.Cause{}), store.ErrNotFound)
			return nil
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := storetest.Redis(t)
			b, ctx, h := srv.Backend(t), t.Context(), &losesAnswer{to: "multi"}
			s := h.open(t, b)
			create(t, s, "a")
			d := issue(t, b, s, "a", "token")
			loses(t, srv, s, func() {
				h.armed.Store(true)
				wantErr(t, "the first time", tt.change(ctx, s), store.ErrUnavailable)
				must(t, tt.repeated(ctx, s))
			})
			c, err := s.Client(ctx, "a")
			must(t, err)
			if tt.secrets && len(c.Secrets) > 0 {
				t.Errorf("a secret that was rotated away is live again: %v", c.Secrets)
			}
			if !tt.secrets && live(t, s, "a", d) {
				t.Error("a token with the wider scope is live again")
			}
		})
	}
}

func rotate(ctx context.Context, s *store.Store, id string) error {
	_, err := s.AddSecret(ctx, "a", store.Secret{ID: id, Digest: store.DigestOf(id), CreatedAt: time.Now()}, time.Time{}, store.Cause{})
	return err
}

// A change that did not arrive revokes nothing.
func TestInDoubtTransactionThatWasNotApplied(t *testing.T) {
	t.Parallel()
	b, ctx, h := storetest.Redis(t).Backend(t), t.Context(), &losesAnswer{to: "multi", drops: true}
	s := h.open(t, b)
	create(t, s, "a")
	s.Heartbeat(ctx)
	h.armed.Store(true)
	wantErr(t, "a rotation", rotate(ctx, s, "sec_lost"), store.ErrUnavailable)
	must(t, s.Confirm(ctx))
	for range 20 {
		s.Heartbeat(ctx)
	}
	if ids := secretIDs(t, b, s); len(ids) != 1 || ids[0] != "sec_1" {
		t.Errorf("the client has the secrets %q, want the one that it had", ids)
	}
}

// A revocation that Redis rejected is not applied later.
func TestRejectedRevocationIsNotReplayed(t *testing.T) {
	t.Parallel()
	b, ctx := storetest.Redis(t).Backend(t), t.Context()
	s := b.Open(t)
	create(t, s, "a")
	s.Heartbeat(ctx)
	b.Do("ACL", "SETUSER", "default", "-hdel")
	wantErr(t, "disabling", s.DisableClient(ctx, "a", store.Cause{}), store.ErrUnavailable)
	if n := s.Pending(); n != 0 {
		t.Errorf("%d ends are remembered that were not carried out", n)
	}
	b.Do("ACL", "SETUSER", "default", "+hdel")
	s.Heartbeat(ctx)
	if c, err := s.Client(ctx, "a"); err != nil || !c.Enabled {
		t.Errorf("the client: %+v, %v; want it enabled", c, err)
	}
}

// A client or user that is enabled after an in-doubt revocation stays enabled, through whatever replica.
func TestEnabledAfterAnInDoubtRevocation(t *testing.T) {
	t.Parallel()
	b, ctx, h := storetest.Redis(t).Backend(t), t.Context(), &losesAnswer{to: "hdel", drops: true}
	s, other := h.open(t, b), b.Open(t)
	create(t, s, "a")
	d := issue(t, b, s, "a", "token")
	u := add(t, s, "u@example.com")
	s.Heartbeat(ctx)
	for _, by := range []*store.Store{s, other} {
		h.armed.Store(true)
		wantErr(t, "disabling a client", s.DisableClient(ctx, "a", store.Cause{}), store.ErrUnavailable)
		must(t, by.EnableClient(ctx, "a", store.Cause{}))
		h.armed.Store(true)
		wantErr(t, "disabling a person", s.DisableUser(ctx, u.ID, store.Cause{}), store.ErrUnavailable)
		must(t, by.EnableUser(ctx, u.ID, store.Cause{}))
		s.Heartbeat(ctx)
		if c, err := s.Client(ctx, "a"); err != nil || !c.Enabled || !live(t, s, "a", d) {
			t.Errorf("the client: %+v, %v; want it enabled, and its token live", c, err)
		}
		if !read(t, s, u.ID).Enabled {
			t.Error("the person is disabled")
		}
	}
}
