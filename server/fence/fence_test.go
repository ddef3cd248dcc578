package fence_test

import (
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/fence"
	"github.com/mintkeep/mintkeep/server/invite"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A user who was demoted and promoted again is an operator, under another generation than in the backup: the operator's
// rights of the keys from before are gone. A user who was enabled again has lost the invite from before.
func TestBegunAgain(t *testing.T) {
	b := storetest.Embedded(t)
	s, ctx := b.Open(t), t.Context()
	now := b.Clock.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	u := &store.User{
		ID: "usr_ada", Enabled: true, Generation: store.NewGeneration(), Operator: store.NewGeneration(),
		Metadata: store.UserMetadata{Email: "ada@example.com", CreatedAt: now},
	}
	must(s.CreateUser(ctx, u))
	must(s.InviteUser(ctx, u.ID, store.Invite{Digest: store.DigestOf("link"), ExpiresAt: now.Add(time.Hour)}, store.Cause{}))
	before, err := s.User(ctx, u.ID)
	must(err)
	if before.Role() != store.Operator || before.Invite == nil {
		t.Fatalf("got %+v, want an operator with an invite", before)
	}
	var events []store.Event
	for i, action := range []string{"user.demoted", "user.promoted", "user.disabled", "user.enabled"} {
		events = append(events, store.Event{Action: action, Target: "user:" + u.ID, At: now.Add(time.Duration(i+1) * time.Minute)})
	}
	_, err = fence.Run(ctx, fence.Options{Store: s, Plan: fence.Make(events, now.Add(time.Hour)), Now: b.Clock.Now})
	must(err)
	after, err := s.User(ctx, u.ID)
	must(err)
	if after.Role() != store.Operator || after.Operator == before.Operator {
		t.Errorf("role %s, under the generation of before: %v; want another", after.Role(), after.Operator == before.Operator)
	}
	if !after.Enabled || after.Invite != nil {
		t.Errorf("enabled %v, invite %v; want enabled and none", after.Enabled, after.Invite)
	}
}

// The password and the invite of before a reset are revoked again. Where there is a newer invite, the backup is younger.
func TestResetIsReplayed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		invited time.Duration // after the reset
		want    string
	}{{"an invite of before", -time.Hour, fence.Revoked}, {"a newer invite", time.Hour, fence.Newer}} {
		t.Run(tt.name, func(t *testing.T) {
			b := storetest.Embedded(t)
			s, ctx, reset := b.Open(t), t.Context(), b.Clock.Now().Add(time.Hour)
			u := &store.User{
				ID: "usr_ada", Metadata: store.UserMetadata{Email: "ada@example.com", CreatedAt: b.Clock.Now()}, Password: []byte("old"),
				Invite: &store.Invite{Digest: store.DigestOf("link"), ExpiresAt: reset.Add(tt.invited + invite.Lifetime)},
			}
			if err := s.CreateUser(ctx, u); err != nil {
				t.Fatal(err)
			}
			plan := fence.Make([]store.Event{{Action: "user.password_revoked", Target: "user:" + u.ID, At: reset}}, reset)
			got, err := fence.Run(ctx, fence.Options{Store: s, Plan: plan, Now: b.Clock.Now})
			if err != nil || len(got.Steps) != 1 || got.Steps[0].Outcome != tt.want {
				t.Fatalf("got %+v, %v, want %s", got.Steps, err, tt.want)
			}
			after, err := s.User(ctx, u.ID)
			if err != nil {
				t.Fatal(err)
			}
			if kept := len(after.Password) > 0 && after.Invite != nil; kept != (tt.want == fence.Newer) {
				t.Errorf("password %q, invite %v", after.Password, after.Invite)
			}
		})
	}
}

// A key that was narrowed and disabled after the backup is so again, and one that was enabled again is not.
func TestKeysAreChangedAgain(t *testing.T) {
	b := storetest.Embedded(t)
	s, ctx := b.Open(t), t.Context()
	now := b.Clock.Now()
	u := &store.User{ID: "usr_ada", Metadata: store.UserMetadata{Email: "ada@example.com", CreatedAt: now}}
	if err := s.CreateUser(ctx, u); err != nil {
		t.Fatal(err)
	}
	keys := map[string]*store.APIKey{}
	var events []store.Event
	for name, actions := range map[string][]string{
		"narrowed": {"key.updated"}, "disabled": {"key.disabled"}, "enabled": {"key.disabled", "key.enabled"}, "narrowed and disabled": {"key.updated", "key.disabled"},
	} {
		k := &store.APIKey{ID: store.NewKeyID(now), UserID: u.ID, Name: name, Scope: "read write", CreatedAt: now, Digest: store.DigestOf(name)}
		if err := s.CreateKey(ctx, k, u); err != nil {
			t.Fatal(err)
		}
		keys[name] = k
		for i, action := range actions {
			events = append(events, store.Event{
				Action: action, Target: "key:" + k.ID, At: now.Add(time.Duration(i+1) * time.Minute),
				Detail: map[string]string{"changed": "scope expires_at", "scope": "read", "expires_at": now.Add(time.Hour).UTC().Format(time.RFC3339Nano)},
			})
		}
	}
	if _, err := fence.Run(ctx, fence.Options{Store: s, Plan: fence.Make(events, now.Add(time.Hour)), Now: b.Clock.Now}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		state    store.KeyState
		narrowed bool
	}{
		"narrowed": {store.StateExpiring, true}, "disabled": {store.StateDisabled, false}, "enabled": {store.StateActive, false},
		"narrowed and disabled": {store.StateDisabled, true},
	} {
		got, err := s.Key(ctx, keys[name].ID)
		if err != nil {
			t.Fatal(err)
		}
		if narrowed := got.Scope == "read" && !got.ExpiresAt.IsZero(); got.State(now) != want.state || narrowed != want.narrowed {
			t.Errorf("%s: it is %s with the scope %q until %v", name, got.State(now), got.Scope, got.ExpiresAt)
		}
	}
}
