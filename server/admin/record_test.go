package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

type m = servertest.M

// trail is the audit trail, oldest first, as "action target".
func trail(t testing.TB, s *servertest.Server) []string {
	t.Helper()
	var lines []string
	for _, item := range s.Admin(t, "GET", "/admin/audit?limit=200", nil).Want(t, 200, "").JSON(t)["items"].([]any) {
		e := item.(m)
		lines = append([]string{e["action"].(string) + " " + e["target"].(string)}, lines...)
	}
	return lines
}

// TestRecorded walks through every change once: all of them are in the trail, in their order, and what
// changes nothing is not, but for a disabling that holds already: see TestRepeatedEndIsRecorded.
func TestRecorded(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	s.Register(t, m{"client_id": "a", "client_name": "A", "scope": "read write"})
	patch := func(v m) m { return s.Admin(t, "PATCH", "/admin/clients/a", v).Want(t, 200, "").JSON(t) }
	patch(m{})
	patch(m{"client_id": "a", "client_name": "A", "disabled": false})
	patch(m{"scope": "read"})
	if got := patch(m{"disabled": true, "client_name": "B"}); got["disabled"] != true || got["client_name"] != "B" {
		t.Errorf("got %v, want it disabled and called B", got)
	}
	patch(m{"disabled": true})
	if got := patch(m{"disabled": nil, "client_name": nil}); got["disabled"] != false || got["client_name"] != "" {
		t.Errorf("got %v, want it enabled and without a name", got)
	}
	rotated := s.Admin(t, "POST", "/admin/clients/a/secrets", nil).Want(t, 201, "").JSON(t)
	s.Admin(t, "POST", "/admin/clients/a/secrets", m{"overlap": "0s"}).Want(t, 409, "conflict")
	old := rotated["previous"].(m)["id"].(string)
	s.Admin(t, "GET", "/admin/clients/a/secrets/"+old, nil).Want(t, 200, "")
	s.Admin(t, "DELETE", "/admin/clients/a/secrets/"+old, nil).Want(t, 204, "")
	s.Admin(t, "DELETE", "/admin/clients/a/secrets/"+old, nil).Want(t, 404, "not_found")
	s.Admin(t, "POST", "/admin/clients/a/revoke-tokens", nil).Want(t, 204, "")
	early := s.Admin(t, "POST", "/admin/signing-keys/rotate", nil).Want(t, 409, "conflict")
	if early.Header.Get("Retry-After") == "" || !strings.Contains(early.Body, "retry at 2") {
		t.Errorf("it is not said when: %v %s", early.Header, early.Body)
	}
	s.Admin(t, "POST", "/admin/signing-keys/rotate", m{"compromised": true}).Want(t, 201, "")
	s.Clock.Advance(11 * time.Minute)
	s.Admin(t, "POST", "/admin/signing-keys/rotate", nil).Want(t, 201, "")
	s.Admin(t, "DELETE", "/admin/clients/a", nil).Want(t, 204, "")
	s.Admin(t, "DELETE", "/admin/clients/a", nil).Want(t, 404, "not_found")

	want := []string{
		"client.created client:a", "client.updated client:a",
		"client.disabled client:a", "client.updated client:a", "client.disabled client:a", "client.updated client:a", "client.enabled client:a",
		"secret.rotated client:a", "secret.ended client:a", "client.tokens_revoked client:a",
		"signing_key.compromised signing-keys", "signing_key.rotated signing-keys", "client.deleted client:a",
	}
	if diff := cmp.Diff(want, trail(t, s)); diff != "" {
		t.Error(diff)
	}
}

// TestAuditLogFails breaks the trail, and nothing else: no change is made then, but every end is.
func TestAuditLogFails(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	a := s.Register(t, m{"client_id": "a", "scope": "read write"})
	s.Register(t, m{"client_id": "off"})
	s.Admin(t, "PATCH", "/admin/clients/off", m{"disabled": true}).Want(t, 200, "")
	second := s.Admin(t, "POST", "/admin/clients/a/secrets", nil).Want(t, 201, "").JSON(t)["id"].(string)
	token := s.Token(t, a)
	before := s.Admin(t, "GET", "/admin/clients", nil).Want(t, 200, "").Body
	keys := s.Admin(t, "GET", "/admin/signing-keys", nil).Body

	rdb := redis.Client()
	if err := rdb.Del(context.Background(), "mk:audit").Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Set(context.Background(), "mk:audit", "not a stream", 0).Err(); err != nil {
		t.Fatal(err)
	}

	const unavailable = "temporarily_unavailable"
	s.Admin(t, "POST", "/admin/clients", m{"client_id": "b"}).Want(t, 503, unavailable)
	s.Admin(t, "PATCH", "/admin/clients/a", m{"scope": "read"}).Want(t, 503, unavailable)
	s.Admin(t, "PATCH", "/admin/clients/off", m{"disabled": false}).Want(t, 503, unavailable)
	s.Admin(t, "POST", "/admin/clients/off/secrets", nil).Want(t, 503, unavailable)
	s.Admin(t, "POST", "/admin/signing-keys/rotate", m{"compromised": true}).Want(t, 503, unavailable)
	if diff := cmp.Diff(before, s.Admin(t, "GET", "/admin/clients", nil).Body); diff != "" {
		t.Errorf("changed without a record:\n%s", diff)
	}
	if diff := cmp.Diff(keys, s.Admin(t, "GET", "/admin/signing-keys", nil).Body); diff != "" {
		t.Errorf("rotated without a record:\n%s", diff)
	}
	if !s.Active(t, a, token) {
		t.Error("the token has ended")
	}

	s.Admin(t, "POST", "/admin/clients/a/revoke-tokens", nil).Want(t, 204, "")
	if s.Active(t, a, token) {
		t.Error("the token is still active")
	}
	s.Admin(t, "DELETE", "/admin/clients/a/secrets/"+second, nil).Want(t, 204, "")
	s.Admin(t, "PATCH", "/admin/clients/a", m{"disabled": true}).Want(t, 200, "")
	s.Post(t, "/oauth/token", "grant_type=client_credentials", a.Basic()).Want(t, 401, "invalid_client")
	s.Admin(t, "DELETE", "/admin/clients/a", nil).Want(t, 204, "")
	s.Admin(t, "GET", "/admin/clients/a", nil).Want(t, http.StatusNotFound, "not_found")
	if got := strings.Count(s.Log.String(), "not_audited"); got != 4 {
		t.Errorf("the log tells of %d ends that are not in the trail, want 4", got)
	}
}

func TestPages(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	for _, id := range []string{"a1", "a2", "a3", "b"} {
		s.Register(t, m{"client_id": id})
	}
	for path, want := range map[string]int{"/admin/clients?q=a&limit=2": 3, "/admin/audit?limit=3&since=24h": 4, "/admin/audit?target=client:b&limit=1": 1} {
		seen, cursor := 0, ""
		for range 5 {
			page := s.Admin(t, "GET", path+"&cursor="+cursor, nil).Want(t, 200, "").JSON(t)
			seen += len(page["items"].([]any))
			if page["next_cursor"] == nil {
				break
			}
			cursor = page["next_cursor"].(string)
			s.Admin(t, "GET", "/admin/clients?q=b&cursor="+cursor, nil).Want(t, 400, "invalid_request")
			s.Admin(t, "GET", "/admin/audit?actor=x&cursor="+cursor, nil).Want(t, 400, "invalid_request")
		}
		if seen != want {
			t.Errorf("%s: %d items, want %d", path, seen, want)
		}
	}
	s.Admin(t, "GET", "/admin/clients?cursor=x", nil).Want(t, 400, "invalid_request")
	s.Admin(t, "GET", "/admin/clients?limit=0", nil).Want(t, 400, "invalid_request")
}
