package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A key that was removed from a client stays rejected though Redis loses the removal, and is not shown. The client's other
// key is accepted, and so is the removed one once it is registered again.
func TestRemovedKeyAfterALoss(t *testing.T) {
	t.Parallel()
	srv := storetest.Redis(t)
	b := srv.Backend(t)
	s := servertest.New(t, b)
	go s.Store.Run(t.Context())
	leaked, kept := servertest.NewSigner(t, "leaked", "ES256"), servertest.NewSigner(t, "kept", "EdDSA")
	both := servertest.JWKS(t, leaked, kept)
	s.Register(t, servertest.M{"client_id": "a", "scope": "read", "token_endpoint_auth_method": "private_key_jwt", "jwks": both})
	patch := func(set servertest.M) {
		t.Helper()
		s.Admin(t, http.MethodPatch, clientsPath+"/a", servertest.M{"jwks": set}).Want(t, http.StatusOK, "")
	}
	works := func(when string, key servertest.Signer, want int) {
		t.Helper()
		if got := byAssertion(t, s, "a", key); got.Status != want {
			t.Errorf("%s: by the key %s: got %d, want %d", when, key.ID, got.Status, want)
		}
	}
	beats := func() {
		t.Helper()
		count := func() (n int) {
			text, _ := b.Do("HGET", "mk:epoch", "n").(string)
			n, _ = strconv.Atoi(text)
			return n
		}
		before := count()
		until(t, "two more heartbeats", func() bool { return count() >= before+2 })
	}
	works("registered", leaked, http.StatusOK)
	beats()
	restore := backUp(t, srv)

	patch(servertest.JWKS(t, kept))
	works("removed", leaked, http.StatusUnauthorized)
	beats()
	restore()
	until(t, "it is ready again", func() bool { return s.Get(t, "/readyz").Status == http.StatusOK })
	b.Clock.Advance(time.Minute) // assertions from before a loss count as used
	works("lost", leaked, http.StatusUnauthorized)
	works("lost", kept, http.StatusOK)
	if keys, _ := shown(t, s, "a")["keys"].([]any); len(keys) != 1 || keys[0].(servertest.M)["kid"] != "kept" {
		t.Errorf("the client is shown with the keys %v", keys)
	}

	patch(both)
	beats()
	works("registered again", leaked, http.StatusOK)
	works("registered again", kept, http.StatusOK)
}

// backUp saves what the server has now. restore starts it with that.
func backUp(t *testing.T, srv *storetest.Server) (restore func()) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := srv.Do("SAVE")
	check(err)
	dir, err := srv.Client().ConfigGet(t.Context(), "dir").Result()
	check(err)
	file := filepath.Join(dir["dir"], "dump.rdb")
	rdb, err := os.ReadFile(file)
	check(err)
	return func() {
		t.Helper()
		srv.Stop()
		check(os.WriteFile(file, rdb, 0o600))
		srv.Start()
	}
}
