package store_test

import (
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Contract §4: an end is carried out even by a Redis that takes no writes for want of memory, and nothing else is.
func TestOutOfMemory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		if b.Server == nil {
			return // it has no such limit
		}
		s, ctx := b.Open(t), t.Context()
		tokens := map[string]store.Digest{}
		for _, id := range []string{"disabled", "deleted", "ended", "secret", "token"} {
			create(t, s, id)
			tokens[id] = issue(t, b, s, id, id)
		}
		b.Server.Config("maxmemory-policy", "noeviction")
		b.Server.Config("maxmemory", "1")

		for what, err := range map[string]error{
			"disable":      s.DisableClient(ctx, "disabled"),
			"delete":       s.DeleteClient(ctx, "deleted"),
			"end tokens":   s.EndClientTokens(ctx, "ended"),
			"end a secret": s.EndSecret(ctx, "secret", "sec_1"),
			"end a token":  s.EndToken(ctx, tokens["token"]),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		for id, want := range map[string]bool{"disabled": false, "deleted": false, "ended": false, "secret": true, "token": false} {
			if got := live(t, s, id, tokens[id]); got != want {
				t.Errorf("token of %q: live %v, want %v", id, got, want)
			}
		}

		_, update := s.UpdateClient(ctx, "ended", func(m *store.ClientMetadata) (bool, error) { m.Scope = ""; return true, nil })
		_, add := s.AddSecret(ctx, "ended", secret(b, "sec_2"), time.Time{})
		_, start := s.StartGeneration(ctx, "ended")
		for what, err := range map[string]error{
			"create": s.CreateClient(ctx, client("new")), "update": update, "add a secret": add, "start a generation": start,
			"enable": s.EnableClient(ctx, "disabled"), "audit": s.Audit(ctx, store.Event{}),
			"save a token": s.SaveToken(ctx, store.DigestOf("x"), store.TokenRecord{}, b.Clock.Now().Add(time.Hour)),
		} {
			wantErr(t, what, err, store.ErrUnavailable)
		}

		b.Server.Config("maxmemory", "0")
		g, err := s.StartGeneration(ctx, "ended")
		if err != nil || g == (store.Generation{}) {
			t.Errorf("memory is back: got %x, %v", g, err)
		}
		if d := issue(t, b, s, "ended", "new"); !live(t, s, "ended", d) || live(t, s, "ended", tokens["ended"]) {
			t.Error("of the new token and the old one, not just the new one is live")
		}
	})
}
