package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

func keyUsesOf(t *testing.T, s *store.Store, clientID string) map[string]time.Time {
	t.Helper()
	got, err := s.ClientUses(t.Context(), clientID)
	must(t, err)
	return got.Keys
}

// The uses of a client's keys and secrets are kept side by side and do not mix, and those of removed keys are forgotten.
func TestUsesOfClientKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		first := b.Clock.Now().Truncate(time.Second)
		s.RecordClientKeyUse("a", "one")
		s.RecordSecretUse("a", "sec_1")
		s.CountIssued("a")
		b.Clock.Advance(time.Minute)
		second := first.Add(time.Minute)
		s.RecordClientKeyUse("a", "two")
		s.RecordClientKeyUse("b", "one")
		must(t, s.Flush(ctx))
		if diff := cmp.Diff(map[string]time.Time{"one": first, "two": second}, keyUsesOf(t, b.Open(t), "a")); diff != "" {
			t.Errorf("keys (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(map[string]time.Time{"sec_1": first}, uses(t, s, "a")); diff != "" {
			t.Errorf("secrets (-want +got)\n%s", diff)
		}

		s.RecordClientKeyUse("a", "one") // not written yet
		s.KeepClientKeys(ctx, "a", []string{"two"})
		must(t, s.Flush(ctx))
		if diff := cmp.Diff(map[string]time.Time{"two": second}, keyUsesOf(t, s, "a")); diff != "" {
			t.Errorf("after a key was removed (-want +got)\n%s", diff)
		}
		if len(uses(t, s, "a")) != 1 || len(keyUsesOf(t, s, "b")) != 1 {
			t.Error("the use of a secret, or of another client's key, was forgotten")
		}
		s.KeepClientKeys(ctx, "a", nil)
		if got := keyUsesOf(t, s, "a"); len(got) > 0 {
			t.Errorf("without keys: %v", got)
		}
	})
}

// A client whose keys are at a URL may have a new one each day: the latest uses are kept.
func TestUsesOfClientKeysAreBounded(t *testing.T) {
	b := storetest.Embedded(t)
	s := b.Open(t)
	create(t, s, "a")
	s.RecordSecretUse("a", "sec_1")
	for i := range 120 {
		s.RecordClientKeyUse("a", fmt.Sprint(i))
		b.Clock.Advance(time.Second)
	}
	must(t, s.Flush(t.Context()))
	got := keyUsesOf(t, s, "a")
	_, oldest := got["19"]
	_, next := got["20"]
	if len(got) != 100 || oldest || !next || len(uses(t, s, "a")) != 1 {
		t.Errorf("got %d keys, the oldest %v, the next %v", len(got), oldest, next)
	}
}

// A client is locked out if it has neither a secret nor a key for its client authentication method.
func TestLockedClients(t *testing.T) {
	keys := json.RawMessage(`{"keys":[]}`)
	at := time.Unix(1000, 0)
	active, expired := []store.Secret{{}}, []store.Secret{{ExpiresAt: at}}
	for _, test := range []struct {
		name   string
		c      store.Client
		locked bool
	}{
		{"no method, nothing", store.Client{}, true},
		{"no method, a secret", store.Client{Secrets: active}, false},
		{"no method, an expired secret", store.Client{Secrets: expired}, true},
		{"no method, keys", store.Client{Metadata: store.ClientMetadata{JWKS: keys}}, false},
		{"no method, keys at a URL", store.Client{Metadata: store.ClientMetadata{JWKSURI: "https://a.example"}}, false},
		{"by a secret, which it has", store.Client{Secrets: active, Metadata: store.ClientMetadata{AuthMethod: "client_secret_post"}}, false},
		{"by a secret, and it has keys alone", store.Client{Metadata: store.ClientMetadata{AuthMethod: "client_secret_post", JWKS: keys}}, true},
		{"by a key, which it has", store.Client{Metadata: store.ClientMetadata{AuthMethod: "private_key_jwt", JWKS: keys}}, false},
		{"by a key, and it has a secret alone", store.Client{Secrets: active, Metadata: store.ClientMetadata{AuthMethod: "private_key_jwt"}}, true},
		{"by another method", store.Client{Metadata: store.ClientMetadata{AuthMethod: "another"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.c.Enabled = true
			if got := test.c.Locked(at); got != test.locked {
				t.Errorf("got %v, want %v", got, test.locked)
			}
			test.c.Enabled = false
			if test.c.Locked(at) {
				t.Error("a disabled client is no client that is locked out")
			}
		})
	}
}

// A replica that does not know a member of a client's metadata, which a newer version has written, writes it again.
func TestMembersOfNewerVersions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, ctx := b.Open(t), t.Context()
		create(t, s, "a")
		meta := b.Do("HGET", "mk:c:a", "meta").(string)
		b.Do("HSET", "mk:c:a", "meta", strings.TrimSuffix(meta, "}")+`,"later":{"b":[1]},"more":true}`)
		c, err := s.UpdateClient(ctx, "a", store.Cause{}, func(m *store.ClientMetadata) (bool, error) {
			m.Name, m.JWKSURI, m.KeysRefreshed = "Another", "https://a.example/keys", 7
			return false, nil
		})
		must(t, err)
		written := b.Do("HGET", "mk:c:a", "meta").(string)
		for _, want := range []string{`"later":{"b":[1]}`, `"more":true`, `"name":"Another"`, `"jwks_uri":"https://a.example/keys"`} {
			if !strings.Contains(written, want) {
				t.Errorf("%s is not in %s", want, written)
			}
		}
		read, err := b.Open(t).Client(ctx, "a")
		must(t, err)
		if diff := cmp.Diff(c.Metadata, read.Metadata); diff != "" {
			t.Errorf("(-written +read)\n%s", diff)
		}
	})
}
