package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// flush writes what a server has counted.
func flush(t *testing.T, s *servertest.Server) {
	t.Helper()
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// usesOf are today's uses of a key, as an operator sees them.
func usesOf(t *testing.T, s *servertest.Server, k servertest.Key) string {
	t.Helper()
	flush(t, s)
	days := s.Admin(t, http.MethodGet, "/admin/keys/"+k.ID, nil).Want(t, 200, "").JSON(t)["uses_by_day"].([]any)
	last := days[len(days)-1].(servertest.M)
	if want := s.Clock.Now().UTC().Format(time.DateOnly); len(days) != 30 || last["date"] != want {
		t.Errorf("got %d days, the last %v, want 30 and %s", len(days), last["date"], want)
	}
	return fmt.Sprintf("%v accepted, %v rejected", last["uses"], last["rejected"])
}

// Accepted and rejected uses of a key are told apart, at Mintkeep and by introspection, for each reason.
func TestKeyUsesByDay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, stranger := introspectors(t, s)
		u, suspended := users(t, s)
		key := func(owner servertest.User) servertest.Key {
			k := s.Key(t, owner, servertest.M{"scope": "read", "expires_at": b.Clock.Now().Add(time.Hour)})
			other.Secret(k.Plain)
			return k
		}
		check := func(what string, k servertest.Key, want string) {
			t.Helper()
			flush(t, other)
			if got := usesOf(t, s, k); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}

		k := key(u)
		s.Me(t, k.Plain).Want(t, 200, "")
		s.Active(t, rs, k.Plain)
		s.API(t, http.MethodGet, apiKeysPath, k.Plain, nil).Want(t, 403, "insufficient_scope")
		s.Admin(t, http.MethodGet, "/admin/keys", nil, servertest.Bearer(k.Plain)).Want(t, 403, "insufficient_scope")
		s.Post(t, "/oauth/changes", "", servertest.Bearer(k.Plain))
		s.Active(t, stranger, k.Plain) // which is told nothing
		check("an active key", k, "2 accepted, 2 rejected")

		revoked := key(u)
		s.API(t, http.MethodDelete, "/admin/keys/"+revoked.ID, s.AdminToken, nil).Want(t, 204, "")
		flush(t, s)
		other.Me(t, revoked.Plain).Want(t, 401, "invalid_token")
		other.Active(t, rs, revoked.Plain)
		other.Active(t, stranger, revoked.Plain) // which may not know
		check("a revoked key", revoked, "0 accepted, 2 rejected")

		disabled := key(u)
		s.Admin(t, http.MethodPatch, "/admin/keys/"+disabled.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		other.Me(t, disabled.Plain).Want(t, 401, "invalid_token")
		check("a disabled key", disabled, "0 accepted, 1 rejected")

		leaked := key(u)
		s.Admin(t, http.MethodPost, "/admin/keys/report", servertest.M{"credentials": []string{leaked.Plain}}).Want(t, 200, "")
		flush(t, s)
		other.Me(t, leaked.Plain).Want(t, 401, "invalid_token")
		check("a leaked key", leaked, "0 accepted, 1 rejected")

		theirs := key(suspended)
		s.Admin(t, http.MethodPatch, "/admin/users/"+suspended.ID, servertest.M{"disabled": true}).Want(t, 200, "")
		other.Me(t, theirs.Plain).Want(t, 401, "invalid_token")
		check("a key of a disabled user", theirs, "0 accepted, 1 rejected")
	})
}

func TestAdminBusiestKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		u, _ := users(t, s)
		var keys []servertest.Key
		for i, uses := range []int{1, 3, 0, 2} {
			k := s.Key(t, u, servertest.M{"name": fmt.Sprint("k", i), "scope": "read"})
			for range uses {
				s.Me(t, k.Plain).Want(t, 200, "")
			}
			keys = append(keys, k)
		}
		s.API(t, http.MethodGet, apiKeysPath, keys[3].Plain, nil).Want(t, 403, "insufficient_scope")
		flush(t, s)
		page := s.Admin(t, http.MethodGet, "/admin/keys?sort=uses&limit=2", nil).Want(t, 200, "").JSON(t)
		var got []string
		for _, item := range page["items"].([]any) {
			k := item.(servertest.M)
			got = append(got, fmt.Sprintf("%v of %v: %v", k["name"], k["user_email"], k["uses_7d"]))
		}
		want := []string{"k1 of u1@example.com: map[rejected:0 uses:3]", "k3 of u1@example.com: map[rejected:1 uses:2]"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		for _, query := range []string{"sort=name", "sort=uses&q=k", "sort=uses&state=live", "sort=uses&unused=90d", "sort=uses&user=" + u.ID} {
			s.Admin(t, http.MethodGet, "/admin/keys?"+query, nil).Want(t, 400, "invalid_request")
		}
	})
}

func TestAdminUnusedKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		u, _ := users(t, s)
		key := func(name string) servertest.Key {
			b.Clock.Advance(time.Millisecond)
			return s.Key(t, u, servertest.M{"name": name})
		}
		idle, used, _, revoked := key("idle"), key("used"), key("never"), key("revoked")
		s.Admin(t, http.MethodDelete, "/admin/keys/"+revoked.ID, nil).Want(t, 204, "")
		s.Me(t, idle.Plain).Want(t, 200, "")
		flush(t, s)
		b.Clock.Advance(90*24*time.Hour + time.Second)
		s.Me(t, used.Plain).Want(t, 200, "")
		key("young")
		flush(t, s)
		list := func(query string) (names []string) {
			t.Helper()
			for cursor := ""; ; {
				page := s.Admin(t, http.MethodGet, "/admin/keys?limit=1&"+query+cursor, nil).Want(t, 200, "").JSON(t)
				for _, item := range page["items"].([]any) {
					names = append(names, item.(servertest.M)["name"].(string))
				}
				next, more := page["next_cursor"].(string)
				if !more {
					return names
				}
				b.Clock.Advance(time.Second)
				cursor = "&cursor=" + next
			}
		}
		for query, want := range map[string][]string{
			"unused=90d": {"never", "idle"}, "unused=91d": nil, "unused=90d&q=idle": {"idle"},
			"unused=90d&state=ended": {"revoked"}, "unused=90d&user=u2@example.com": nil,
		} {
			if diff := cmp.Diff(want, list(query)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", query, diff)
			}
		}
		for _, wrong := range []string{"90", "0d", "400d", "-1d", "90h", "090d", "d"} {
			s.Admin(t, http.MethodGet, "/admin/keys?unused="+wrong, nil).Want(t, 400, "invalid_request")
		}
		page := s.Admin(t, http.MethodGet, "/admin/keys?limit=1&unused=90d", nil).Want(t, 200, "").JSON(t)
		s.Admin(t, http.MethodGet, fmt.Sprintf("/admin/keys?limit=1&unused=30d&cursor=%v", page["next_cursor"]), nil).Want(t, 400, "invalid_request")
	})
}

// A service is told the owner's email address only if the operator says so.
func TestIntrospectOwner(t *testing.T) {
	b := storetest.Embedded(t)
	s := servertest.New(t, b, "MINTKEEP_INTROSPECT_OWNER=email")
	rs, _ := introspectors(t, s)
	u, _ := users(t, s)
	k := s.Key(t, u, servertest.M{"scope": "read"})
	ask := func() servertest.M {
		t.Helper()
		return s.Post(t, "/oauth/introspect", "ties=true&token="+k.Plain, rs.Basic()).Want(t, 200, "").JSON(t)
	}
	before := ask()
	if before["username"] != "u1@example.com" || before["sub"] != u.ID {
		t.Errorf("got %v", before)
	}
	s.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"email": "new@example.com"}).Want(t, 200, "")
	if after := ask(); after["username"] != "new@example.com" || after["state"] == before["state"] {
		t.Errorf("after a change of the email: %v, before: %v", after, before)
	}
	token := s.Token(t, s.Register(t, servertest.M{"scope": "read"}))
	if got := s.Introspect(t, rs, token); got["username"] != nil || got["name"] != nil {
		t.Errorf("an access token has an owner: %v", got)
	}
}

// What the operator says of scopes is told where the scopes are listed.
func TestKeyScopeDescriptions(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_KEY_SCOPES=orders:read=Read orders;write=Create and change orders;list")
	u, _ := users(t, s)
	view := s.Admin(t, http.MethodGet, "/admin/users/"+u.ID, nil).Want(t, 200, "").JSON(t)
	want := servertest.M{"orders:read": "Read orders", "write": "Create and change orders"}
	if diff := cmp.Diff(any(want), view["key_scope_descriptions"]); diff != "" || view["key_scopes"] != "orders:read write list mintkeep:keys" {
		t.Errorf("%v (-want +got)\n%s", view["key_scopes"], diff)
	}
	k := s.Admin(t, http.MethodPost, "/admin/users/"+u.ID+"/keys", servertest.M{"name": "all"}).Want(t, 201, "").JSON(t)
	if k["scope"] != "orders:read write list" {
		t.Errorf("the default scope is %v", k["scope"])
	}
	s.Secret(k["key"].(string))
	metadata := s.Get(t, "/.well-known/oauth-protected-resource").Want(t, 200, "").JSON(t)
	if diff := cmp.Diff([]any{"mintkeep:keys"}, metadata["scopes_supported"]); diff != "" {
		t.Errorf("scopes_supported (-want +got)\n%s", diff)
	}
}
