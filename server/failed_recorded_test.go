package server_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// auditLog is the actions of the audit log, newest first, each with its outcome if it has one.
func auditLog(t *testing.T, s *servertest.Server) []string {
	t.Helper()
	actions := []string{}
	for _, item := range s.Admin(t, http.MethodGet, "/admin/audit?limit=100", nil).Want(t, http.StatusOK, "").JSON(t)["items"].([]any) {
		e := item.(servertest.M)
		action := e["action"].(string)
		if detail, ok := e["detail"].(servertest.M); ok && detail["outcome"] != nil {
			action += " " + detail["outcome"].(string)
		}
		actions = append(actions, action)
	}
	return actions
}

func wantLast(t *testing.T, what string, s *servertest.Server, want ...string) {
	t.Helper()
	got := auditLog(t, s)
	if got = got[:min(len(got), len(want))]; !slices.Equal(got, want) {
		t.Errorf("%s: the audit log ends with %q, newest first, want %q", what, got, want)
	}
}

// A revocation whose answer was lost may have no audit event. Its repetition, which finds that it holds, has one: mintkeep
// fence replays what the audit log tells.
func TestRepeatedRevocationIsRecorded(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	s.Register(t, servertest.M{"client_id": "billing", "scope": "read"})
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	for what, end := range map[string]error{ // applied, and not acknowledged
		"client": b.Open(t).DisableClient(t.Context(), "billing", store.Cause{}), "person": b.Open(t).DisableUser(t.Context(), u.ID, store.Cause{}),
	} {
		if end != nil {
			t.Fatalf("%s: %v", what, end)
		}
	}
	s.Admin(t, http.MethodPatch, clientsPath+"/billing", servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	wantLast(t, "the client is disabled already", s, "client.disabled already_revoked")
	s.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	wantLast(t, "the person is disabled already", s, "user.disabled already_revoked")
}

// readOnly lets the server write nothing but its audit log, until the function is called.
func readOnly(t *testing.T, redis *storetest.Server) (writable func()) {
	t.Helper()
	acl := func(rules ...any) {
		t.Helper()
		if _, err := redis.Do(append([]any{"ACL", "SETUSER", "default"}, rules...)...); err != nil {
			t.Fatal(err)
		}
	}
	acl("resetkeys", "%R~*", "%RW~mk:audit")
	return func() { acl("resetkeys", "~*") }
}

// What failed is in the audit log as failed: a revocation that may have been applied, and a creation that may not.
func TestFailedIsRecorded(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	s.Register(t, servertest.M{"client_id": "off", "scope": "read"})
	s.Register(t, servertest.M{"client_id": "on", "scope": "read"})
	key := s.Key(t, s.User(t, servertest.M{"email": "ada@example.com"}), servertest.M{"scope": "read"})
	opaque := s.Register(t, servertest.M{"client_id": "opaque", "scope": "read", "access_token_format": "opaque"})
	report := func(found ...string) servertest.M { return servertest.M{"credentials": found} }
	s.Admin(t, http.MethodPatch, clientsPath+"/off", servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	for _, tt := range []struct {
		what, method, path string
		body               any
		want               []string
	}{
		{"enable", http.MethodPatch, clientsPath + "/off", servertest.M{"disabled": false}, []string{"client.enabled.failed", "client.enabled"}},
		{"disable", http.MethodPatch, clientsPath + "/on", servertest.M{"disabled": true}, []string{"client.disabled unknown"}},
		{"delete", http.MethodDelete, clientsPath + "/on", nil, []string{"client.deleted unknown"}},
		{"revoke a key", http.MethodDelete, "/admin/keys/" + key.ID, nil, []string{"key.revoked unknown"}},
		{"report a key", http.MethodPost, "/admin/keys/report", report(key.Plain), []string{"key.leaked unknown"}},
		{"report a secret", http.MethodPost, "/admin/keys/report", report(opaque.Secret), []string{"secret.leaked unknown"}},
		{"report a token", http.MethodPost, "/admin/keys/report", report(s.Token(t, opaque)), []string{"token.leaked unknown"}},
	} {
		writable := readOnly(t, redis)
		s.Admin(t, tt.method, tt.path, tt.body).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		writable()
		wantLast(t, tt.what, s, tt.want...)
	}
}

// Of many rotations of a key at once one succeeds. The audit log says of the others that they failed: mintkeep fence would
// revoke the key of a rotation that has failed.
func TestFailedRotationIsRecorded(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	key := s.Key(t, u, servertest.M{"name": "k", "scope": "read"})
	keeper := s.Key(t, u, servertest.M{"name": "keeper", "scope": "read mintkeep:keys"})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			s.API(t, http.MethodPost, apiKeysPath+"/"+key.ID+"/rotate", keeper.Plain, servertest.M{"overlap": "1h"})
		})
	}
	callers.Wait()
	rotations := map[any]int{}
	for _, e := range s.Admin(t, http.MethodGet, "/admin/audit?target=key:"+key.ID, nil).JSON(t)["items"].([]any) {
		rotations[e.(servertest.M)["action"]]++
	}
	if tried, failed := rotations["key.rotated"], rotations["key.rotated.failed"]; tried == 0 || tried-failed != 1 {
		t.Errorf("the audit log has %d rotations, of which %d failed; want one that did not", tried, failed)
	}
}

// If a rotation fails, and its successor cannot be revoked either, the log names the successor: it is active, and no caller knows it.
func TestSuccessorThatIsLeftIsLogged(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	b, p := redis.Backend(t), storetest.NewLateProxy(t, redis)
	s := servertest.New(t, b.Through(p).Patient())
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	key := s.Key(t, u, servertest.M{"name": "k", "scope": "read"})
	held := p.Hold(storetest.Command("watch", "mk:t:")) // the successor is there, and the old key is not replaced yet
	answered := make(chan servertest.Response, 1)
	go func() {
		answered <- s.Admin(t, http.MethodPost, "/admin/keys/"+key.ID+"/rotate", servertest.M{"overlap": "1h"})
	}()
	held.Await()
	writable := readOnly(t, redis)
	held.Release()
	(<-answered).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	writable()
	active := walk(t, s, "/admin/keys", "state=live&user="+u.ID, "id")
	active = slices.DeleteFunc(active, func(id string) bool { return id == key.ID })
	if len(active) != 1 || !strings.Contains(s.Log.String(), `"successor_not_revoked":"`+active[0]+`"`) {
		t.Errorf("the log does not name the successor that is active, of %q", active)
	}
}

// A rotation that was applied, and answered 503 because it could not be confirmed, may be repeated.
func TestUnconfirmedRotationIsRepeated(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, unsure := servertest.New(t, b), servertest.New(t, b, "MINTKEEP_REVOKE_DURABILITY=replicas:1")
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	key := s.Key(t, u, servertest.M{"name": "k", "scope": "read"})
	keeper := s.Key(t, u, servertest.M{"name": "keeper", "scope": "read mintkeep:keys"})
	rotate := func(s *servertest.Server) servertest.Response {
		return s.API(t, http.MethodPost, apiKeysPath+"/"+key.ID+"/rotate", keeper.Plain, servertest.M{"overlap": "1h"})
	}
	rotate(unsure).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	s.Me(t, s.NewKey(t, rotate(s).Want(t, http.StatusCreated, "")).Plain).Want(t, http.StatusOK, "")
	rotate(s).Want(t, http.StatusConflict, "conflict")
}

// A rotation that was applied and not confirmed has not failed: mintkeep fence would take it back.
func TestUnconfirmedRotationIsNoFailure(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, unsure := servertest.New(t, b), servertest.New(t, b, "MINTKEEP_REVOKE_DURABILITY=replicas:1")
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	for _, overlap := range []string{"0s", "1h"} {
		key := s.Key(t, u, servertest.M{"name": overlap, "scope": "read"})
		unsure.Admin(t, http.MethodPost, "/admin/keys/"+key.ID+"/rotate", servertest.M{"overlap": overlap}).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		if got := actionsOn(t, s, "key:"+key.ID); !slices.Contains(got, "key.rotated") || slices.Contains(got, "key.rotated.failed") {
			t.Errorf("an overlap of %s: the audit log has %v", overlap, got)
		}
	}
}

// The successor of an unconfirmed rotation is revoked. If Redis does not answer that, the audit log does not say that it is.
func TestSuccessorIsNotRevoked(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	b, p := redis.Backend(t), storetest.NewLateProxy(t, redis)
	unsure := servertest.New(t, b.Through(p).Patient(), "MINTKEEP_REVOKE_DURABILITY=replicas:1")
	s := servertest.New(t, b)
	key := s.Key(t, s.User(t, servertest.M{"email": "ada@example.com"}), servertest.M{"name": "k", "scope": "read"})
	held := p.Hold(storetest.Command("del", "mk:t:"))
	unsure.Admin(t, http.MethodPost, "/admin/keys/"+key.ID+"/rotate", servertest.M{"overlap": "1h"}).
		Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	held.Await()
	wantLast(t, "not answered", s, "key.revoked unknown", "key.rotated")
}

// The successor of a rotation that is repeated has the expiry of the one before. If that has passed, there is none.
func TestRotationIsRepeatedTooLate(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, unsure := servertest.New(t, b), servertest.New(t, b, "MINTKEEP_REVOKE_DURABILITY=replicas:1")
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	key := s.Key(t, u, servertest.M{"name": "k", "scope": "read"})
	keeper := s.Key(t, u, servertest.M{"name": "keeper", "scope": "read mintkeep:keys", "expires_at": b.Clock.Now().Add(2 * time.Hour)})
	unsure.API(t, http.MethodPost, apiKeysPath+"/"+key.ID+"/rotate", keeper.Plain, servertest.M{"overlap": "24h"}).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	b.Clock.Advance(3 * time.Hour)
	s.Admin(t, http.MethodPost, "/admin/keys/"+key.ID+"/rotate", servertest.M{"overlap": "24h"}).Want(t, http.StatusConflict, "conflict")
	s.Me(t, key.Plain).Want(t, http.StatusOK, "")
}
