package bearer_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/bearer"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The assertion of a caller is used once, whatever is asked about. Where an owner is read, that takes no more round trips
// than without an assertion.
func TestPrincipalUsesTheAssertion(t *testing.T) {
	var sent []string
	b := storetest.Redis(t).Backend(t)
	s := b.Open(t, func(o *store.Options) {
		o.Observe = func(cmd string, _ time.Duration, _ error) { sent = append(sent, cmd) }
	})
	ctx, now := t.Context(), b.Clock.Now()
	if err := s.UseOnce(ctx, store.NewReplayRecord("client", "caller", "first", now, now.Add(time.Minute))); err != nil { // which has a heartbeat before it
		t.Fatal(err)
	}
	caller, other := &store.Client{ID: "caller"}, &store.Client{ID: "other"}
	user := &store.User{ID: "user_1", Metadata: store.UserMetadata{Email: "u@example.com"}}
	for _, err := range []error{s.CreateClient(ctx, caller), s.CreateClient(ctx, other), s.CreateUser(ctx, user)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	v := &bearer.Verifier{Store: s, Issuer: "https://auth.example.com", Now: b.Clock.Now}
	claims := func(client string, expires time.Time) []byte {
		return fmt.Appendf(nil, `{"client_id":%q,"exp":%d}`, client, expires.Unix())
	}
	key := &store.KeyRecord{ID: "key_1", UserID: user.ID}
	for i, tt := range []struct {
		asked  string
		record *store.Credential
		active bool
	}{
		{"an unknown token", nil, false},
		{"the caller's own token", &store.Credential{Generation: caller.Generation, Claims: claims("caller", now.Add(time.Hour))}, true},
		{"another client's token", &store.Credential{Generation: other.Generation, Claims: claims("other", now.Add(time.Hour))}, true},
		{"a token that has expired", &store.Credential{Generation: other.Generation, Claims: claims("other", now.Add(-time.Hour))}, false},
		{"a key", &store.Credential{Generation: user.Generation, Key: key}, true},
		{"a key that has expired", &store.Credential{Generation: user.Generation, Key: &store.KeyRecord{UserID: user.ID, ExpiresAt: 1}}, false},
	} {
		used := store.NewReplayRecord("client", "caller", fmt.Sprint(i), now, now.Add(time.Minute))
		sent = nil
		p, err := v.Principal(ctx, bearer.Presented{}, tt.record, caller, used)
		if err != nil || (p != nil) != tt.active {
			t.Errorf("%s: got %v, %v; want active %v", tt.asked, p, err, tt.active)
		}
		if diff := cmp.Diff([]string{"pipeline"}, sent); diff != "" {
			t.Errorf("%s: round trips (-want +got)\n%s", tt.asked, diff)
		}
		if p, err := v.Principal(ctx, bearer.Presented{}, tt.record, caller, used); !errors.Is(err, store.ErrReplayed) || p != nil {
			t.Errorf("%s, again: got %v, %v; want ErrReplayed", tt.asked, p, err)
		}
		if p, err := v.Principal(ctx, bearer.Presented{}, tt.record, caller, nil); err != nil || (p != nil) != tt.active {
			t.Errorf("%s, without an assertion: got %v, %v; want active %v", tt.asked, p, err, tt.active)
		}
	}
}
