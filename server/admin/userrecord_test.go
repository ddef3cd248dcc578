package admin_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestAuditLogFailsForUsers breaks the trail, and nothing else: no change to people and keys is made then, but
// every end is.
func TestAuditLogFailsForUsers(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	u := s.User(t, m{"email": "a@b", "role": "operator"})
	off := s.User(t, m{"email": "off@b"})
	s.Admin(t, "PATCH", "/admin/users/"+off.ID, m{"disabled": true}).Want(t, 200, "")
	admin := s.Key(t, u, m{"scope": "mintkeep:admin"})
	leaked, revoked, last := s.Key(t, u, nil), s.Key(t, u, nil), s.Key(t, u, nil)
	before := s.Admin(t, "GET", "/admin/users", nil).Body + s.Admin(t, "GET", "/admin/keys", nil).Body

	rdb := redis.Client()
	if err := rdb.Del(context.Background(), "mk:audit").Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Set(context.Background(), "mk:audit", "not a stream", 0).Err(); err != nil {
		t.Fatal(err)
	}

	path := "/admin/users/" + u.ID
	const unavailable = "temporarily_unavailable"
	s.Admin(t, "POST", "/admin/users", m{"email": "new@b"}).Want(t, 503, unavailable)
	s.Admin(t, "PATCH", path, m{"name": "n"}).Want(t, 503, unavailable)
	s.Admin(t, "PATCH", "/admin/users/"+off.ID, m{"role": "operator"}).Want(t, 503, unavailable)
	s.Admin(t, "PATCH", "/admin/users/"+off.ID, m{"disabled": false}).Want(t, 503, unavailable)
	s.Admin(t, "POST", path+"/invite", nil).Want(t, 503, unavailable)
	s.Admin(t, "POST", path+"/keys", m{"name": "n"}).Want(t, 503, unavailable)
	after := s.Admin(t, "GET", "/admin/users", nil).Body + s.Admin(t, "GET", "/admin/keys", nil).Body
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("changed without a record:\n%s", diff)
	}

	refused := func(key servertest.Key) {
		t.Helper()
		s.Me(t, key.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
	}
	s.Admin(t, "POST", "/admin/keys/report", m{"credentials": []string{leaked.Plain}}).Want(t, 200, "")
	refused(leaked)
	s.Admin(t, "DELETE", "/admin/keys/"+revoked.ID, nil).Want(t, 204, "")
	refused(revoked)
	s.Admin(t, "PATCH", path, m{"role": "developer"}).Want(t, 200, "")
	s.Get(t, "/admin/users", servertest.Bearer(admin.Plain)).Want(t, http.StatusForbidden, "insufficient_scope")
	s.Admin(t, "PATCH", path, m{"disabled": true}).Want(t, 200, "")
	refused(last)
	s.Admin(t, "DELETE", path, nil).Want(t, 204, "")
	s.Admin(t, "GET", path, nil).Want(t, http.StatusNotFound, "not_found")
	if got := strings.Count(s.Log.String(), "not_audited"); got != 5 {
		t.Errorf("the log tells of %d ends that are not in the trail, want 5", got)
	}
}

// TestUnreadable damages a person and a key: both can be ended all the same.
func TestUnreadable(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	damaged, deleted := s.User(t, m{"email": "a@b"}), s.User(t, m{"email": "c@d"})
	key, other, third := s.Key(t, damaged, nil), s.Key(t, deleted, nil), s.Key(t, deleted, nil)
	ctx, rdb := context.Background(), redis.Client()
	for _, u := range []servertest.User{damaged, deleted} {
		if err := rdb.HSet(ctx, "mk:p:"+u.ID, "meta", "9 from the future").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rdb.SetRange(ctx, "mk:k:"+other.ID, 32, "9").Err(); err != nil { // behind the digest
		t.Fatal(err)
	}
	const unavailable = "temporarily_unavailable"
	s.Admin(t, "GET", "/admin/users/"+damaged.ID, nil).Want(t, 503, unavailable)
	s.Admin(t, "GET", "/admin/keys/"+other.ID, nil).Want(t, 503, unavailable)

	s.Admin(t, "DELETE", "/admin/keys/"+other.ID, nil).Want(t, 204, "")
	s.Admin(t, "DELETE", "/admin/users/"+deleted.ID, nil).Want(t, 204, "")
	for _, dead := range []servertest.Key{other, third} {
		s.Me(t, dead.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
	}
	s.Admin(t, "PATCH", "/admin/users/"+damaged.ID, m{"disabled": true}).Want(t, 503, unavailable)
	if on, err := rdb.HExists(ctx, "mk:p:"+damaged.ID, "on").Result(); on || err != nil {
		t.Errorf("a person who cannot be read is not disabled: %v, %v", on, err)
	}
	s.Me(t, key.Plain).Want(t, 503, unavailable)
}
