package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/invite"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// accepted wants a key to be accepted at both replicas, and to be active for rs; or to be rejected by all of them.
func accepted(t *testing.T, what string, replicas []*servertest.Server, rs servertest.Client, key servertest.Key, want bool) {
	t.Helper()
	for i, s := range replicas {
		me, active := s.Me(t, key.Plain), s.Active(t, rs, key.Plain)
		refused := me.Status == http.StatusUnauthorized && me.Error() == "invalid_token"
		if want && me.Status != http.StatusOK || !want && !refused || active != want {
			t.Errorf("%s: replica %d answers %d and %v, want it accepted: %v", what, i+1, me.Status, active, want)
		}
	}
}

// TestUserChanges is changing, disabling and deleting users, and what that does to their keys.
func TestUserChanges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		both := []*servertest.Server{other, s}
		rs, _ := introspectors(t, s)
		patch := func(t *testing.T, u servertest.User, change servertest.M) servertest.M {
			t.Helper()
			return s.Admin(t, http.MethodPatch, usersPath+"/"+u.ID, change).Want(t, http.StatusOK, "").JSON(t)
		}
		t.Run("merge patch", func(t *testing.T) {
			u := s.User(t, servertest.M{"email": "patch@example.com", "name": "n"})
			for _, step := range []struct{ change, want servertest.M }{
				{servertest.M{}, servertest.M{"name": "n", "email": "patch@example.com"}},
				{servertest.M{"id": u.ID, "name": "m", "unknown": 1}, servertest.M{"name": "m", "email": "patch@example.com"}},
				{servertest.M{"email": "Patched@example.com"}, servertest.M{"name": "m", "email": "Patched@example.com"}},
				{servertest.M{"name": nil, "role": nil, "disabled": nil}, servertest.M{"name": "", "role": "developer", "disabled": false}},
				{servertest.M{"name": "o", "role": "operator", "disabled": true}, servertest.M{"name": "o", "role": "operator", "disabled": true}},
				{servertest.M{"role": nil, "disabled": nil}, servertest.M{"role": "developer", "disabled": false}},
			} {
				got := patch(t, u, step.change)
				for member, want := range step.want {
					if got[member] != want {
						t.Errorf("%v: %s is %v, want %v", step.change, member, got[member], want)
					}
				}
				if diff := cmp.Diff(got, other.Admin(t, http.MethodGet, usersPath+"/"+u.ID, nil).JSON(t)); diff != "" {
					t.Errorf("%v: shown otherwise:\n%s", step.change, diff)
				}
			}
			want := []string{
				"user.created", "user.updated", "user.updated", "user.updated",
				"user.disabled", "user.updated", "user.promoted", "user.demoted", "user.enabled",
			}
			if diff := cmp.Diff(want, actionsOn(t, s, "user:"+u.ID)); diff != "" {
				t.Errorf("audited (-want +got):\n%s", diff)
			}
			s.User(t, servertest.M{"email": "patch@example.com"}) // free again
		})
		t.Run("disable and enable", func(t *testing.T) {
			u := s.User(t, servertest.M{"email": "off@example.com"})
			key := s.Key(t, u, nil)
			accepted(t, "new", both, rs, key, true)
			for range 2 {
				if got := patch(t, u, servertest.M{"disabled": true}); got["disabled"] != true {
					t.Errorf("got %v", got)
				}
				accepted(t, "disabled", both, rs, key, false)
			}
			state := s.Admin(t, http.MethodGet, "/admin/keys/"+key.ID, nil).JSON(t)["state"]
			if state != "active" {
				t.Errorf("a suspended key is %v, want it active: it may work again", state)
			}
			patch(t, u, servertest.M{"disabled": false})
			accepted(t, "enabled", both, rs, key, true)
		})
		t.Run("demote and promote", func(t *testing.T) {
			u := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
			key := s.Key(t, u, servertest.M{"scope": "read mintkeep:admin"})
			opens := func(what string, want bool) {
				t.Helper()
				accepted(t, what, both, rs, key, true)
				status, scope := http.StatusOK, "read mintkeep:admin"
				if !want {
					status, scope = http.StatusForbidden, "read"
				}
				got, told := other.Get(t, clientsPath, servertest.Bearer(key.Plain)), other.Introspect(t, rs, key.Plain)["scope"]
				if got.Status != status || told != scope {
					t.Errorf("%s: %d and %q, want %d and %q", what, got.Status, told, status, scope)
				}
			}
			opens("operator", true)
			patch(t, u, servertest.M{"role": "developer"})
			opens("demoted", false)
			patch(t, u, servertest.M{"role": "operator"})
			opens("promoted again", false) // what was taken away does not come back
			again := s.Key(t, u, servertest.M{"scope": "mintkeep:admin"})
			other.Get(t, clientsPath, servertest.Bearer(again.Plain)).Want(t, http.StatusOK, "")
		})
		t.Run("delete, and add again", func(t *testing.T) {
			u := s.User(t, servertest.M{"email": "Phoenix@example.com"})
			key, second := s.Key(t, u, nil), s.Key(t, u, servertest.M{"name": "second"})
			path := usersPath + "/" + u.ID
			if got := s.Admin(t, http.MethodDelete, path, nil).Want(t, http.StatusNoContent, ""); got.Header.Get("Cache-Control") != "no-store" || got.Body != "" {
				t.Errorf("got %v %q", got.Header, got.Body)
			}
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				other.Admin(t, method, path, nil).Want(t, http.StatusNotFound, "not_found")
			}
			other.Admin(t, http.MethodPatch, path, servertest.M{"disabled": false}).Want(t, http.StatusNotFound, "not_found")
			again := s.User(t, servertest.M{"email": "phoenix@example.com"})
			for _, dead := range []servertest.Key{key, second} {
				accepted(t, "deleted", both, rs, dead, false)
				view := other.Admin(t, http.MethodGet, "/admin/keys/"+dead.ID, nil).Want(t, http.StatusOK, "").JSON(t)
				end, _ := view["ended"].(servertest.M)
				if view["user"] != u.ID || view["state"] != "revoked" || end["reason"] != "the user was deleted" || end["by"] != "admin-token" {
					t.Errorf("got %v", view)
				}
			}
			if got := walk(t, s, "/admin/keys", "user=phoenix@example.com", "id"); again.ID == u.ID || got != nil {
				t.Errorf("%s, in the place of %s, has the keys %q", again.ID, u.ID, got)
			}
			if keys := b.Dump(t).Find("mk:p:" + u.ID); len(keys) > 0 {
				t.Errorf("left: %q", keys)
			}
			if diff := cmp.Diff([]string{"user.created", "user.deleted"}, actionsOn(t, s, "user:"+u.ID)); diff != "" {
				t.Errorf("audited (-want +got):\n%s", diff)
			}
		})
		t.Run("invite", func(t *testing.T) { invites(t, b, s, other) })
	})
}

// invites redeems invite links as the dashboard does.
func invites(t *testing.T, b *storetest.Backend, s, other *servertest.Server) {
	t.Helper()
	redeem := func(link string) error {
		_, code, _ := strings.Cut(link, invite.Path)
		id, digest, ok := invite.Parse(code)
		if !ok {
			t.Fatalf("%s is no link", link)
		}
		return other.Store.RedeemInvite(context.Background(), id, digest, []byte("sealed"))
	}
	u := s.User(t, servertest.M{"email": "invite@example.com"})
	old := s.Invite(t, u)
	link := s.Invite(t, u)
	if err := redeem(old); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the link before is good still: %v", err)
	}
	if err := redeem(link); err != nil {
		t.Errorf("the link is not good: %v", err)
	}
	if got := other.Admin(t, http.MethodGet, usersPath+"/"+u.ID, nil).JSON(t)["password_set"]; got != true {
		t.Errorf("password_set is %v", got)
	}
	if err := redeem(link); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the link is good twice: %v", err)
	}
	late := s.Invite(t, u)
	b.Clock.Advance(invite.Lifetime)
	if err := redeem(late); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the link is good after 72 hours: %v", err)
	}
	if diff := cmp.Diff([]string{"user.created", "user.invited", "user.invited", "user.password_revoked", "user.invited"}, actionsOn(t, s, "user:"+u.ID)); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
}

// TestAdminAccessByAPIKey is which API keys may manage users, and which actor the audit log names.
func TestAdminAccessByAPIKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		developer := s.User(t, servertest.M{"email": "dev@example.com"})
		operator := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
		admin := s.Key(t, operator, servertest.M{"scope": "read mintkeep:admin"})
		t.Run("not by a developer's key, nor without the scope", func(t *testing.T) {
			for _, key := range []servertest.Key{
				s.Key(t, developer, servertest.M{"scope": "read mintkeep:keys"}), s.Key(t, operator, servertest.M{"scope": "read mintkeep:keys"}),
			} {
				for _, try := range [][2]string{
					{http.MethodPost, usersPath},
					{http.MethodGet, usersPath},
					{http.MethodPatch, usersPath + "/" + developer.ID},
					{http.MethodDelete, usersPath + "/" + developer.ID},
					{http.MethodPost, usersPath + "/" + developer.ID + "/invite"},
					{http.MethodPost, usersPath + "/" + developer.ID + "/keys"},
					{http.MethodGet, "/admin/keys"},
					{http.MethodDelete, "/admin/keys/" + key.ID},
					{http.MethodPost, "/admin/keys/report"},
					{http.MethodGet, "/admin/stats"},
				} {
					body := servertest.M{"email": "sneaked@example.com", "role": "operator", "name": "x", "credentials": []string{admin.Plain}}
					got := other.Admin(t, try[0], try[1], body, servertest.Bearer(key.Plain)).Want(t, http.StatusForbidden, "insufficient_scope")
					if challenge := got.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `scope="mintkeep:admin"`) {
						t.Errorf("%v: challenge %q", try, challenge)
					}
				}
			}
			s.Admin(t, http.MethodPost, usersPath+"/"+developer.ID+"/keys", servertest.M{"name": "x", "scope": "mintkeep:admin"}).
				Want(t, http.StatusBadRequest, "invalid_scope")
		})
		t.Run("by an operator's key", func(t *testing.T) {
			b.Clock.Advance(time.Second)
			made := other.Admin(t, http.MethodPost, usersPath, servertest.M{"email": "made@example.com"}, servertest.Bearer(admin.Plain)).Want(t, http.StatusCreated, "").JSON(t)
			link := made["invite_url"].(string)
			s.Secret(link[len(link)-26:])
			page := s.Admin(t, http.MethodGet, "/admin/audit?target=user:"+made["id"].(string), nil).JSON(t)
			event := page["items"].([]any)[0].(servertest.M)
			if event["actor"] != "user:"+operator.ID || event["via"] != admin.ID {
				t.Errorf("got %v, want it done by %s via %s", event, operator.ID, admin.ID)
			}
			other.Admin(t, http.MethodPatch, usersPath+"/"+operator.ID, servertest.M{"disabled": true}, servertest.Bearer(admin.Plain)).Want(t, http.StatusOK, "")
			s.Get(t, usersPath, servertest.Bearer(admin.Plain)).Want(t, http.StatusUnauthorized, "invalid_token")
		})
	})
}
