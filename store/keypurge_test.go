package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Of a user's inactive keys the last 2,000 are kept, with their entries. Active ones stay, however old.
func TestInactiveKeysAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, ctx := b.Open(t), t.Context()
	ada := add(t, s, "ada@example.com")
	first := makeKey(t, b, s, ada, "first", 0)
	var keys []*store.APIKey
	for i := range store.MaxInactiveKeys + 50 {
		k := key(b, ada, fmt.Sprint("key ", i), 0)
		k.ID = store.NewKeyID(b.Clock.Now().Add(time.Duration(i+1) * time.Millisecond)) // by which ids sort
		must(t, s.CreateKey(ctx, k, ada))
		_, err := s.RevokeKey(ctx, k.ID, ended(b, "test"))
		must(t, err)
		keys = append(keys, k)
	}
	makeKey(t, b, s, ada, "last", 0)
	for what, tt := range map[string]struct {
		key  *store.APIKey
		kept bool
	}{"active": {first, true}, "oldest": {keys[0], false}, "last dropped": {keys[49], false}, "first kept": {keys[50], true}} {
		if _, err := s.Key(ctx, tt.key.ID); (err == nil) != tt.kept {
			t.Errorf("%s: got %v, want that it is kept: %v", what, err, tt.kept)
		}
	}
	for _, index := range []string{"mk:pk:" + ada.ID, "mk:keys:id", "mk:keys:name"} {
		if n := b.Do("ZCARD", index).(int64); n != store.MaxInactiveKeys+2 {
			t.Errorf("%s has %d keys, want %d", index, n, store.MaxInactiveKeys+2)
		}
	}
}

// A user who creates and revokes keys as fast as they can (12,000 of them with -stored=10000) fills Redis no further, and what operators did before is
// all in the audit log.
func TestDeveloperFillsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it is one call after another: the race detector sees nothing in it")
	}
	t.Parallel()
	n := 4_000
	if *stored > 5_000 { // the long form
		n = 12_000
	}
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	s, ctx := b.Open(t), t.Context()
	ada := add(t, s, "ada@example.com")
	const before = 500
	for i := range before {
		must(t, s.Audit(ctx, store.Event{Actor: "admin-token", Action: fmt.Sprint(i), Target: "client:a"}))
	}
	must(t, s.Close())
	used := usedMemory(t, srv)
	s = b.Open(t)
	for range n {
		e := store.Event{
			Actor: "user:" + ada.ID, Via: "key_019c3f0a1b2abcdefghijklmnop", Action: "key.created", Address: "192.0.2.1",
			RequestID: "ZJAQNA4JEMYXB7O4FECRHFWR3G", Detail: map[string]string{"user": ada.ID, "name": "deploy", "scope": "read write"},
		}
		k := key(b, ada, "deploy", 0)
		e.Target = "key:" + k.ID
		must(t, s.Audit(ctx, e))
		must(t, s.CreateKey(ctx, k, ada))
		_, err := s.RevokeKey(ctx, k.ID, ended(b, "test"))
		must(t, err)
		e.Action = "key.revoked"
		must(t, s.Audit(ctx, e))
	}
	must(t, s.Close())
	grown := usedMemory(t, srv) - used
	s = b.Open(t)
	t.Logf("%d keys: %d bytes", n, grown)
	if grown >= 5_000_000 {
		t.Errorf("Redis grew by %d bytes, want less than 5 MB", grown)
	}
	if got := events(t, s, store.EventFilter{Actor: "admin-token", Limit: 500}); len(got) != before {
		t.Errorf("of %d events of an operator %d are left", before, len(got))
	}
}
