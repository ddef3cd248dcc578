package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// patchKey changes a key as its owner does, through another key.
func patchKey(t testing.TB, s *servertest.Server, by, key servertest.Key, patch servertest.M) servertest.M {
	t.Helper()
	return s.API(t, "PATCH", apiKeysPath+"/"+key.ID, by.Plain, patch).Want(t, http.StatusOK, "").JSON(t)
}

// manager is a key by which a user manages the others.
func manager(t testing.TB, s *servertest.Server, u servertest.User) servertest.Key {
	t.Helper()
	return s.Key(t, u, servertest.M{"name": "manager", "scope": "read write mintkeep:keys"})
}

// actionsWith are the actions on a key, sorted: those of its owner are in another stream, and all are of one moment.
func actionsWith(t *testing.T, s *servertest.Server, k servertest.Key) []string {
	t.Helper()
	actions := actionsOn(t, s, "key:"+k.ID)
	slices.Sort(actions)
	return actions
}

// TestKeyNarrowed: what is taken away from a key does not work at the next request, whichever replica that reaches, and does not
// come back.
func TestKeyNarrowed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		rs, _ := introspectors(t, s)
		u, stranger := users(t, s)
		by, far := manager(t, s, u), b.Clock.Now().Add(1000*time.Hour)
		path := func(k servertest.Key) string { return apiKeysPath + "/" + k.ID }
		t.Run("scope", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{"scope": "write read mintkeep:keys"})
			other.API(t, "GET", apiKeysPath, k.Plain, nil).Want(t, http.StatusOK, "")
			if got := patchKey(t, s, by, k, servertest.M{"scope": "read write read"}); got["scope"] != "read write" {
				t.Errorf("shown as %v", got)
			}
			other.API(t, "GET", apiKeysPath, k.Plain, nil).Want(t, http.StatusForbidden, "insufficient_scope")
			for _, server := range []*servertest.Server{s, other} {
				if got := server.Introspect(t, rs, k.Plain)["scope"]; got != "read write" {
					t.Errorf("introspected as %v", got)
				}
			}
			if got := patchKey(t, other, by, k, servertest.M{"scope": "write read"}); got["scope"] != "read write" {
				t.Errorf("the same scopes in another order make %v", got)
			}
			for _, wider := range []string{"read write mintkeep:keys", "admin", "read  write", "", "read x"} {
				wrongMember(t, other.API(t, "PATCH", path(k), by.Plain, servertest.M{"scope": wider}), "invalid_scope", "scope")
			}
			wrongMember(t, other.API(t, "PATCH", path(k), by.Plain, servertest.M{"scope": nil}), "invalid_scope", "scope")
			if got := s.Introspect(t, rs, k.Plain)["scope"]; got != "read write" {
				t.Errorf("after what was rejected it is introspected as %v", got)
			}
		})
		t.Run("expiry", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{})
			patchKey(t, s, by, k, servertest.M{"expires_at": far})
			sooner := b.Clock.Now().Add(time.Hour)
			patchKey(t, s, by, k, servertest.M{"expires_at": sooner})
			for _, at := range []any{nil, far, sooner.Add(time.Second), b.Clock.Now(), "soon"} {
				wrongMember(t, other.API(t, "PATCH", path(k), by.Plain, servertest.M{"expires_at": at}), "invalid_request", "expires_at")
			}
			if got := other.Introspect(t, rs, k.Plain)["exp"]; got != float64(sooner.Unix()) {
				t.Errorf("introspected with %v, want %v", got, sooner.Unix())
			}
			b.Clock.Advance(time.Hour)
			accepted(t, "expired", []*servertest.Server{s, other}, rs, k, false)
			s.API(t, "PATCH", path(k), by.Plain, servertest.M{"name": "late"}).Want(t, http.StatusConflict, "conflict")
		})
		t.Run("what a key says of itself", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{"name": "n", "description": " what for ", "metadata": servertest.M{"team": "a", "gone": "b"}, "rate_limit": "10/s"})
			got := patchKey(t, s, by, k, servertest.M{"name": "new", "metadata": servertest.M{"gone": nil, "env": ""}, "rate_limit": "600/m"})
			want := servertest.M{"name": "new", "description": "what for", "metadata": servertest.M{"team": "a", "env": ""}, "rate_limit": "600/m"}
			for member, value := range want {
				if diff := cmp.Diff(value, got[member]); diff != "" {
					t.Errorf("%s (-want +got)\n%s", member, diff)
				}
			}
			got = patchKey(t, other, by, k, servertest.M{"description": nil, "metadata": nil, "rate_limit": nil, "expires_at": nil})
			for _, member := range []string{"description", "metadata", "rate_limit"} {
				if got[member] != nil {
					t.Errorf("%s is %v, want it removed", member, got[member])
				}
			}
			if found := walk(t, s, "/admin/keys", "q=new", "id"); !slices.Equal(found, []string{k.ID}) {
				t.Errorf("found by its new name: %v", found)
			}
		})
		t.Run("who may", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{})
			s.API(t, "PATCH", path(k), manager(t, s, stranger).Plain, servertest.M{"name": "mine"}).Want(t, http.StatusNotFound, "not_found")
			s.API(t, "PATCH", path(k), k.Plain, servertest.M{"name": "mine"}).Want(t, http.StatusForbidden, "insufficient_scope")
			got := s.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"scope": "read"}).Want(t, http.StatusOK, "").JSON(t)
			if got["user"] != u.ID || got["scope"] != "read" {
				t.Errorf("an operator is shown %v", got)
			}
		})
	})
}

// TestInvalidKeyPatches: what is wrong with a member is named, also at the creation, and nothing is done.
func TestInvalidKeyPatches(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	u, _ := users(t, s)
	by, k := manager(t, s, u), s.Key(t, u, servertest.M{"scope": "read write", "metadata": servertest.M{"0": "a"}})
	many := servertest.M{}
	for i := range 20 {
		many[fmt.Sprint("n", i)] = "v"
	}
	unchanged(t, s, "/admin/keys/"+k.ID, func() {
		for _, tt := range []struct {
			member string
			value  any
		}{
			{"name", nil},
			{"name", ""},
			{"name", strings.Repeat("x", 101)},
			{"name", 1},
			{"description", strings.Repeat("é", 501)},
			{"description", "two\nlines"},
			{"description", []string{}},
			{"metadata", "team=a"},
			{"metadata", many}, // with the one that it has
			{"metadata", servertest.M{"": "x"}},
			{"metadata", servertest.M{"a b": "x"}},
			{"metadata", servertest.M{strings.Repeat("a", 65): "x"}},
			{"metadata", servertest.M{"a": strings.Repeat("é", 501)}},
			{"metadata", servertest.M{"a": 1}},
			{"metadata", servertest.M{"a": "\u202e"}},
			{"rate_limit", "0/m"},
			{"rate_limit", 600},
			{"rate_limit", "600/d"},
			{"disabled", "yes"},
			{"id", "key_x"},
			{"scopes", []string{"read"}},
			{"expires_in", 60},
			{"enabled", true},
		} {
			code := "invalid_request"
			wrongMember(t, s.API(t, "PATCH", apiKeysPath+"/"+k.ID, by.Plain, servertest.M{"disabled": true, tt.member: tt.value}), code, tt.member)
			if tt.member != "id" && len(many) != lenOf(tt.value) {
				created := servertest.M{"name": "n", tt.member: tt.value}
				wrongMember(t, s.API(t, "POST", apiKeysPath, by.Plain, created), code, tt.member)
			}
		}
	})
}

func lenOf(v any) int {
	m, _ := v.(servertest.M)
	return len(m)
}

// TestKeyDisabled: a disabled key is rejected by every replica until it is enabled, and works as before then.
func TestKeyDisabled(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		both := []*servertest.Server{other, s}
		rs, _ := introspectors(t, s)
		u, _ := users(t, s)
		by := manager(t, s, u)
		t.Run("disable, enable", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{"scope": "read write", "metadata": servertest.M{"a": "b"}})
			before := s.Admin(t, "GET", "/admin/keys/"+k.ID, nil).JSON(t)
			for range 2 {
				got := patchKey(t, s, by, k, servertest.M{"disabled": true})
				if got["disabled"] != true || got["state"] != "disabled" || got["ended"] != nil || got["disabled_by"] != "user:"+u.ID {
					t.Errorf("got %v", got)
				}
				accepted(t, "disabled", both, rs, k, false)
			}
			got := patchKey(t, other, by, k, servertest.M{"scope": "read", "name": "less"}) // which it is as well then
			if got["state"] != "disabled" || got["scope"] != "read" {
				t.Errorf("changed while it is disabled: %v", got)
			}
			accepted(t, "disabled and changed", both, rs, k, false)
			for range 2 {
				if got := patchKey(t, other, by, k, servertest.M{"disabled": false}); got["disabled"] != false || got["state"] != "active" {
					t.Errorf("got %v", got)
				}
				accepted(t, "enabled", both, rs, k, true)
			}
			if got := s.Introspect(t, rs, k.Plain)["scope"]; got != "read" {
				t.Errorf("introspected with %v", got)
			}
			after := s.Admin(t, "GET", "/admin/keys/"+k.ID, nil).JSON(t)
			for _, changed := range []string{"scope", "name", "last_used"} {
				delete(before, changed)
				delete(after, changed)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("shown otherwise than before (-want +got)\n%s", diff)
			}
			want := []string{"key.created", "key.disabled", "key.disabled", "key.enabled", "key.updated"}
			if diff := cmp.Diff(want, actionsWith(t, s, k)); diff != "" {
				t.Errorf("audited (-want +got)\n%s", diff)
			}
		})
		t.Run("created so", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{"disabled": true})
			accepted(t, "created disabled", both, rs, k, false)
			patchKey(t, s, by, k, servertest.M{"disabled": nil})
			accepted(t, "enabled", both, rs, k, true)
		})
		t.Run("not rotated", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{})
			patchKey(t, s, by, k, servertest.M{"disabled": true})
			got := other.API(t, "POST", apiKeysPath+"/"+k.ID+"/rotate", by.Plain, nil).Want(t, http.StatusConflict, "conflict")
			if !strings.Contains(got.Body, "enable it first") {
				t.Errorf("got %s", got.Body)
			}
		})
		t.Run("what was revoked meanwhile stays so", func(t *testing.T) { revokedMeanwhile(t, s, other, rs) })
		t.Run("expires", func(t *testing.T) {
			k := s.Key(t, u, servertest.M{"expires_at": b.Clock.Now().Add(time.Hour)})
			patchKey(t, s, by, k, servertest.M{"disabled": true})
			b.Clock.Advance(time.Hour)
			if got := s.Admin(t, "GET", "/admin/keys/"+k.ID, nil).JSON(t); got["state"] != "expired" || got["disabled"] != false {
				t.Errorf("got %v", got)
			}
			s.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"disabled": false}).Want(t, http.StatusConflict, "conflict")
			accepted(t, "expired", both, rs, k, false)
		})
		t.Run("a key enables none with more scopes than it has", func(t *testing.T) {
			k, less := s.Key(t, u, servertest.M{"scope": "read write"}), s.Key(t, u, servertest.M{"scope": "read mintkeep:keys"})
			patchKey(t, s, less, k, servertest.M{"disabled": true})
			s.API(t, "PATCH", apiKeysPath+"/"+k.ID, less.Plain, servertest.M{"disabled": false}).Want(t, http.StatusForbidden, "insufficient_scope")
			patchKey(t, s, less, k, servertest.M{"scope": "read"})
			patchKey(t, s, less, k, servertest.M{"disabled": false})
			accepted(t, "enabled", both, rs, k, true)
		})
	})
}

// revokedMeanwhile: no key comes back by being enabled that was revoked while it was disabled, by itself or with others.
func revokedMeanwhile(t *testing.T, s, other *servertest.Server, rs servertest.Client) {
	for name, revoke := range map[string]func(u servertest.User, k servertest.Key) string{
		"revoked": func(_ servertest.User, k servertest.Key) string {
			s.Admin(t, "DELETE", "/admin/keys/"+k.ID, nil).Want(t, http.StatusNoContent, "")
			return "revoked"
		},
		"reported as leaked": func(_ servertest.User, k servertest.Key) string {
			got := s.Admin(t, "POST", "/admin/keys/report", servertest.M{"credentials": []string{k.Plain}}).Want(t, http.StatusOK, "").JSON(t)
			if got["live"] != 1.0 {
				t.Errorf("the report found %v", got)
			}
			return "leaked"
		},
		"its owner deleted": func(u servertest.User, _ servertest.Key) string {
			s.Admin(t, "DELETE", "/admin/users/"+u.ID, nil).Want(t, http.StatusNoContent, "")
			return "revoked"
		},
		"revoked by itself": func(_ servertest.User, k servertest.Key) string {
			s.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"disabled": false}).Want(t, http.StatusOK, "")
			selfRevoke(t, s, k.Plain, k.Plain).Want(t, http.StatusOK, "")
			return "revoked"
		},
	} {
		u := s.User(t, servertest.M{"email": strings.ReplaceAll(name, " ", "-") + "@example.com"})
		k := s.Key(t, u, servertest.M{})
		s.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
		want := revoke(u, k)
		if got := other.Admin(t, "GET", "/admin/keys/"+k.ID, nil).JSON(t); got["state"] != want || got["disabled"] != false || got["ended"] == nil {
			t.Errorf("%s: it is shown as %v", name, got)
		}
		other.Admin(t, "PATCH", "/admin/keys/"+k.ID, servertest.M{"disabled": false}).Want(t, http.StatusConflict, "conflict")
		accepted(t, name, []*servertest.Server{s, other}, rs, k, false)
	}
	// The generation of the operator's role is that of before, or none.
	u := s.User(t, servertest.M{"email": "operator@example.com", "role": "operator"})
	k := s.Key(t, u, servertest.M{"scope": "read mintkeep:admin"})
	for _, patch := range []struct {
		path string
		body servertest.M
	}{
		{"/admin/keys/" + k.ID, servertest.M{"disabled": true}},
		{"/admin/users/" + u.ID, servertest.M{"role": "developer"}},
		{"/admin/users/" + u.ID, servertest.M{"role": "operator"}},
		{"/admin/keys/" + k.ID, servertest.M{"disabled": false}},
	} {
		s.Admin(t, "PATCH", patch.path, patch.body).Want(t, http.StatusOK, "")
	}
	other.Get(t, clientsPath, servertest.Bearer(k.Plain)).Want(t, http.StatusForbidden, "insufficient_scope")
	if got := other.Introspect(t, rs, k.Plain)["scope"]; got != "read" {
		t.Errorf("a demotion in between leaves %v", got)
	}
}
