package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What guards report is written as uses, for keys that exist and may have been valid then.
func TestReportedUses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		u := &store.User{ID: store.NewUserID(), Metadata: store.UserMetadata{Email: "ada@example.com"}}
		must(t, s.CreateUser(ctx, u))
		key := func(name string) *store.APIKey {
			k := &store.APIKey{ID: store.NewKeyID(b.Clock.Now()), Digest: store.DigestOf(name), UserID: u.ID, Name: name, CreatedAt: b.Clock.Now()}
			must(t, s.CreateKey(ctx, k, u))
			return k
		}
		used, late, revoked := key("used"), key("late"), key("revoked")
		for _, k := range []*store.APIKey{late, revoked} {
			_, err := s.RevokeKey(ctx, k.ID, store.Cause{At: b.Clock.Now()})
			must(t, err)
		}
		now := b.Clock.Now()
		s.ReportKeyUse(used.ID, 5, store.Use{At: now.Add(-time.Hour), From: "client:a"})
		s.ReportKeyUse(used.ID, 7, store.Use{At: now.Add(-time.Minute), From: "client:b"})
		s.ReportKeyUse(late.ID, 1, store.Use{At: now.Add(time.Second), From: "client:a"})
		s.ReportKeyUse(revoked.ID, 1, store.Use{At: now.Add(time.Hour), From: "client:a"})
		for _, junk := range []string{"", "key_", "mk_secret", "key_ABC", "key_../../x", "key_" + fmt.Sprintf("%033d", 1)} {
			s.ReportKeyUse(junk, 1, store.Use{At: now})
		}
		must(t, s.Flush(ctx))
		uses, err := s.KeyUses(ctx, []*store.APIKey{used, late, revoked})
		must(t, err)
		for i, want := range []string{"client:b", "client:a", ""} {
			if uses[i].From != want {
				t.Errorf("key %d was last used through %q, want %q", i, uses[i].From, want)
			}
		}
		days, err := s.KeyDays(ctx, used.ID)
		must(t, err)
		total := int64(0)
		for _, d := range days {
			total += d.Uses
		}
		if total != 12 {
			t.Errorf("got %d uses, want 12", total)
		}
		if n := b.Do("EXISTS", "mk:kd:"+revoked.ID); n != int64(0) {
			t.Error("a use long after the revocation was counted")
		}
	})
}
