package server_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestDurability: what MINTKEEP_REVOKE_DURABILITY asks for holds before a revocation is answered with success, or the
// answer is 503.
func TestDurability(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	replica := storetest.Replica(t, redis.Addr())
	redis.AwaitReplicas(1)
	s := servertest.New(t, redis.Backend(t), "MINTKEEP_REVOKE_DURABILITY=replicas:1")
	s.Get(t, "/readyz").Want(t, http.StatusOK, "")
	c := s.Register(t, servertest.M{"client_id": "billing", "scope": "read write"})
	for _, id := range []string{"disabled", "narrowed", "deleted", "ended", "secretless"} {
		s.Register(t, servertest.M{"client_id": id, "scope": "read write"})
	}
	token := s.Token(t, c)
	secretID := s.Admin(t, http.MethodGet, clientsPath+"/secretless/secrets", nil).JSON(t)["items"].([]any)[0].(servertest.M)["id"].(string)
	owner := s.User(t, servertest.M{"email": "ada@example.com"})
	own, reported, deleted := s.Key(t, owner, servertest.M{"scope": "read"}), s.Key(t, owner, servertest.M{"scope": "read"}), s.Key(t, owner, servertest.M{"scope": "read"})
	demoted := s.User(t, servertest.M{"email": "grace@example.com", "role": "operator"})
	gone := s.User(t, servertest.M{"email": "alan@example.com"})
	admin := func(method, path string, body any) func() servertest.Response {
		return func() servertest.Response { return s.Admin(t, method, path, body) }
	}
	ends := map[string]func() servertest.Response{
		"revoke": func() servertest.Response { return s.Revoke(t, c, token) },
		"a key revokes itself": func() servertest.Response {
			return s.Post(t, "/oauth/revoke", "token="+own.Plain, servertest.Bearer(own.Plain))
		},
		"disable":        admin(http.MethodPatch, clientsPath+"/disabled", servertest.M{"disabled": true}),
		"narrow":         admin(http.MethodPatch, clientsPath+"/narrowed", servertest.M{"scope": "read"}),
		"delete":         admin(http.MethodDelete, clientsPath+"/deleted", nil),
		"revoke-tokens":  admin(http.MethodPost, clientsPath+"/ended/revoke-tokens", nil),
		"end a secret":   admin(http.MethodDelete, clientsPath+"/secretless/secrets/"+secretID, nil),
		"delete a key":   admin(http.MethodDelete, "/admin/keys/"+deleted.ID, nil),
		"report":         admin(http.MethodPost, "/admin/keys/report", servertest.M{"credentials": []string{reported.Plain}}),
		"demote":         admin(http.MethodPatch, "/admin/users/"+demoted.ID, servertest.M{"role": "developer"}),
		"delete someone": admin(http.MethodDelete, "/admin/users/"+gone.ID, nil),
		"compromised":    admin(http.MethodPost, "/admin/signing-keys/rotate", servertest.M{"compromised": true}),
	}

	replica.Freeze()
	for _, time := range []string{"first", "second"} { // the second finds that there is nothing left to do
		var all sync.WaitGroup
		for what, end := range ends {
			all.Go(func() {
				const carriedOut = "Applied, but its durability could not be confirmed; retry until it succeeds"
				if got := unconfirmed(t, time+": "+what, end).Body; time == "first" && !strings.Contains(got, carriedOut) {
					t.Errorf("%s: got %s, want %q in it", what, got, carriedOut)
				}
			})
		}
		all.Wait()
	}
	wantInactive(t, s, c, token, "revoked, and not confirmed")
	if log := s.Log.String(); !strings.Contains(log, "applied, but not confirmed as MINTKEEP_REVOKE_DURABILITY=replicas:1 asks: 0 of 1 replicas have it") {
		t.Error("the log does not say why")
	}
	trail := s.Get(t, "/admin/audit?limit=200", servertest.Bearer(s.AdminToken)).Body
	for _, action := range []string{
		"client.disabled", "client.deleted", "client.tokens_revoked", "secret.ended", "key.revoked", "key.leaked", "user.demoted", "user.deleted",
	} {
		if !strings.Contains(trail, action) {
			t.Errorf("%s was applied, and is not in the audit log", action)
		}
	}

	replica.Thaw()
	for what, want := range map[string]int{
		"revoke": 200, "a key revokes itself": 200, "disable": 200, "narrow": 200, "delete": 404, "revoke-tokens": 204, "end a secret": 404,
		"delete a key": 204, "report": 200, "demote": 200, "delete someone": 404, "compromised": 201,
	} {
		got := ends[what]()
		until(t, what+" is confirmed", func() bool { // a busy replica may be late once more
			if got.Status == http.StatusServiceUnavailable {
				got = ends[what]()
			}
			return got.Status != http.StatusServiceUnavailable
		})
		if got.Status != want {
			t.Errorf("%s, when the replica is back: got %d %s, want %d", what, got.Status, got.Body, want)
		}
	}
}

// unconfirmed asks for a revocation that cannot be confirmed.
func unconfirmed(t *testing.T, what string, end func() servertest.Response) servertest.Response {
	t.Helper()
	began := time.Now()
	got := end()
	if took := time.Since(began); took > answerLimit {
		t.Errorf("%s took %v", what, took)
	}
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("%s: got %d %s %v, want 503 with Retry-After", what, got.Status, got.Body, got.Header)
	}
	return got
}

// TestDurabilityReady: a server is not ready before Redis can give what is asked of it. What is lost later keeps
// only revocations away.
func TestDurabilityReady(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t, "--appendonly", "yes", "--appendfsync", "everysec")
	s := servertest.New(t, redis.Backend(t), "MINTKEEP_REVOKE_DURABILITY=fsync")
	got := s.Get(t, "/readyz").Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if want := "Redis does not meet MINTKEEP_REVOKE_DURABILITY yet"; !strings.Contains(got.Body, want) {
		t.Errorf("got %s, want %q in it", got.Body, want)
	}
	if want := "this Redis has appendfsync everysec"; !strings.Contains(s.Log.String(), want) {
		t.Errorf("the log does not say %q", want)
	}
	redis.Config("appendfsync", "always")
	s.Get(t, "/readyz").Want(t, http.StatusOK, "")
	c := s.Register(t, servertest.M{"scope": "read"})
	token := s.Token(t, c)
	redis.Config("appendfsync", "everysec")
	s.Get(t, "/readyz").Want(t, http.StatusOK, "")
	unconfirmed(t, "revoke", func() servertest.Response { return s.Revoke(t, c, token) })
}
