package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The latest secrets that were revoked are known by their last four characters, and no others.
func TestFormerSecrets(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		former := func(secret string) string {
			t.Helper()
			c, err := s.Client(ctx, "a")
			must(t, err)
			lastFour, ok := c.Former.Find(store.DigestOf(secret))
			if ok != (lastFour != "") {
				t.Errorf("%s: found %v, with %q", secret, ok, lastFour)
			}
			return lastFour
		}
		if got := former("secret of a"); got != "" {
			t.Errorf("the active secret is a former one: %q", got)
		}
		for i := range 12 {
			next := store.Secret{ID: fmt.Sprint("sec_r", i), Digest: store.DigestOf(fmt.Sprint("r", i)), LastFour: fmt.Sprintf("r%03d", i), CreatedAt: b.Clock.Now()}
			_, err := s.AddSecret(ctx, "a", next, time.Time{}, store.Cause{})
			must(t, err)
		}
		must(t, s.RevokeSecret(ctx, "a", "sec_r11", store.Cause{}))
		for secret, want := range map[string]string{"secret of a": "", "r0": "", "r3": "", "r4": "r004", "r10": "r010", "r11": "r011", "another": ""} {
			if got := former(secret); got != want {
				t.Errorf("%s: got %q, want %q", secret, got, want)
			}
		}
		imported := store.Secret{ID: "sec_i", Digest: store.DigestOf("imported"), CreatedAt: b.Clock.Now()}
		_, err := s.AddSecret(ctx, "a", imported, time.Time{}, store.Cause{})
		must(t, err)
		must(t, s.RevokeSecret(ctx, "a", "sec_i", store.Cause{}))
		if got := former("imported"); got != "" {
			t.Errorf("an imported secret is remembered by %q", got)
		}
		must(t, s.DeleteClient(ctx, "a", store.Cause{}))
		create(t, s, "a")
		if got := former("r11"); got != "" {
			t.Errorf("a client registered later knows the secret by %q", got)
		}
	})
}
