package doctor_test

import (
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/password"
	"github.com/mintkeep/mintkeep/server/seal"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What Redis holds, and the keys that it takes to read it.
func TestData(t *testing.T) {
	srv := storetest.Redis(t, "--appendonly", "yes")
	old, current := master(), master()
	sealed(t, srv, old)
	patient{url: srv.URL(), masterKey: old}.wrong(t)
	patient{url: srv.URL(), masterKey: old + "," + current}.wrong(t)
	patient{url: srv.URL(), masterKey: current + "," + old}.wrong(t, "warn master key", "warn passwords")
	patient{url: srv.URL(), masterKey: current}.wrong(t, "fail master key", "fail passwords")

	p := patient{url: srv.URL(), masterKey: old}
	ring, err := srv.Do("GET", "mk:signing-keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		do   []any
		want []string
	}{
		{[]any{"HSET", "mk:c:billing", "meta", "2{}"}, []string{"fail clients"}},
		{[]any{"DEL", "mk:c:billing"}, nil},
		{[]any{"XADD", "mk:audit", "1-1", "e", `1{"at":"2026-01-01T00:00:00Z","actor":"a","action":"client.created","target":"client:billing"}`}, []string{"warn audit log"}},
		{[]any{"HSET", "mk:c:billing", "meta", "1{}", "on", "1"}, []string{"warn secrets"}},
		{[]any{"XADD", "mk:audit", "1-2", "e", `1{"at":"2026-01-01T00:00:00Z","actor":"a","action":"client.deleted","target":"client:billing"}`}, []string{"warn secrets"}},
		{[]any{"HDEL", "mk:c:billing", "on"}, nil},
		{[]any{"DEL", "mk:c:billing"}, nil},
		{[]any{"SET", "mk:signing-keys", `{"v":2}`}, []string{"fail signing keys"}},
		{[]any{"SET", "mk:signing-keys", "{"}, []string{"fail signing keys"}},
		{[]any{"DEL", "mk:signing-keys"}, nil},
		{[]any{"SET", "mk:signing-keys", ring}, nil},
	} {
		if _, err := srv.Do(step.do...); err != nil {
			t.Fatal(err)
		}
		p.wrong(t, step.want...)
	}
	if got, _ := srv.Do("GET", "mk:signing-keys"); got != ring {
		t.Error("the signing keys are others than before")
	}
}

// sealed puts signing keys, a client and a user with a password into a Redis.
func sealed(t *testing.T, srv *storetest.Server, masterKey string) {
	t.Helper()
	o := patient{url: srv.URL(), masterKey: masterKey}.options(t)
	ring, err := signing.New(signing.Options{Store: o.Store, MasterKeys: o.Config.MasterKeys, Algorithm: "ES256", TokenTTLMax: time.Hour})
	if err == nil {
		err = ring.Load(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	vault, err := seal.New(o.Config.MasterKeys)
	if err != nil {
		t.Fatal(err)
	}
	id := store.NewUserID()
	hash, err := password.New(password.Options{Vault: vault, Cost: password.Cost{Memory: 8, Passes: 1, Lanes: 1}}).Hash(t.Context(), id, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Store.CreateUser(t.Context(), &store.User{ID: id, Metadata: store.UserMetadata{Email: "ann@example.com"}, Password: hash}); err != nil {
		t.Fatal(err)
	}
	secret := store.Secret{ID: "sec_1", Digest: store.DigestOf("secret"), CreatedAt: time.Now()}
	if err := o.Store.CreateClient(t.Context(), &store.Client{ID: "billing", Secrets: []store.Secret{secret}}); err != nil {
		t.Fatal(err)
	}
}
