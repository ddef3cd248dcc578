package server_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const keysPath = "/admin/keys"

// TestAdminKeys is the creation, reading and revocation of keys by an operator.
func TestAdminKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		both := []*servertest.Server{other, s}
		rs, _ := introspectors(t, s)
		u := s.User(t, servertest.M{"email": "owner@example.com"})
		route := usersPath + "/" + u.ID + "/keys"
		t.Run("every member", func(t *testing.T) {
			at := b.Clock.Now().Format("2006-01-02T15:04:05.999Z07:00")
			expires := b.Clock.Now().Add(time.Hour).Format(time.RFC3339)
			answer := s.Admin(t, http.MethodPost, route, servertest.M{
				"name": " Ünïcode \"x\" ", "scope": "write read write", "expires_at": expires, "id": "ignored",
			}).Want(t, http.StatusCreated, "")
			key, got := s.NewKey(t, answer), answer.JSON(t)
			if !credential.WellFormed(key.Plain) || !strings.HasPrefix(key.Plain, "mk_") || answer.Header.Get("Location") != servertest.Issuer+keysPath+"/"+key.ID {
				t.Errorf("got %v at %s", key.ID, answer.Header.Get("Location"))
			}
			want := servertest.M{"id": key.ID, "key": key.Plain, "name": `Ünïcode "x"`, "scope": "write read", "disabled": false, "created_at": at, "expires_at": expires}
			if diff := cmp.Diff(want, got); diff != "" || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("made otherwise (-want +got):\n%s", diff)
			}
			accepted(t, "new", both, rs, key, true)
			if err := s.Store.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			delete(want, "key")
			want["user_email"] = "owner@example.com"
			want["user"], want["state"], want["ended"], want["rotated_to"] = u.ID, "expiring", nil, nil
			want["masked"], want["last_four"] = credential.Mask(key.Plain), key.Plain[len(key.Plain)-4:]
			shown := other.Admin(t, http.MethodGet, keysPath+"/"+key.ID, nil).Want(t, http.StatusOK, "").JSON(t)
			if used, _ := shown["last_used"].(servertest.M); b.Name == "embedded" && used["from"] != "client:"+rs.ID {
				t.Errorf("last used by %v", used) // on the others each replica writes what it saw
			}
			delete(shown, "last_used")
			delete(shown, "uses_by_day")
			if diff := cmp.Diff(want, shown); diff != "" {
				t.Errorf("shown otherwise (-want +got):\n%s", diff)
			}
			for _, path := range []string{keysPath, keysPath + "?user=" + u.ID, keysPath + "/" + key.ID, usersPath, "/admin/audit"} {
				if strings.Contains(s.Admin(t, http.MethodGet, path, nil).Body, key.Plain) {
					t.Errorf("%s shows the key", path)
				}
			}
			if diff := cmp.Diff([]string{"key.created"}, actionsOn(t, s, "key:"+key.ID)); diff != "" {
				t.Errorf("audited (-want +got):\n%s", diff)
			}
			b.Clock.Advance(time.Hour)
			accepted(t, "expired", both, rs, key, false)
			end, _ := other.Admin(t, http.MethodGet, keysPath+"/"+key.ID, nil).JSON(t)["ended"].(servertest.M)
			if end["reason"] != "expired" || end["at"] != expires {
				t.Errorf("got %v, want it expired at %s", end, expires)
			}
		})
		t.Run("only the name", func(t *testing.T) {
			got := s.Admin(t, http.MethodPost, route, servertest.M{"name": "n", "scope": nil, "expires_at": nil}).Want(t, http.StatusCreated, "")
			s.NewKey(t, got)
			if made := got.JSON(t); made["scope"] != "read write" || made["expires_at"] != nil {
				t.Errorf("got %v, want what developers may give, for ever", made)
			}
		})
		t.Run("other content types are 415", func(t *testing.T) {
			for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", ""} {
				s.Do(t, http.MethodPost, route, strings.NewReader(`{"name":"n"}`), servertest.Bearer(s.AdminToken),
					servertest.Header("Content-Type", contentType)).Want(t, http.StatusUnsupportedMediaType, "invalid_request")
			}
		})
		t.Run("bad members are named", func(t *testing.T) {
			unchanged(t, s, keysPath+"?limit=200", func() { invalidKeys(t, s, route) })
		})
		t.Run("an operator's key gives no more than it has", func(t *testing.T) { limitedCreator(t, s, u) })
		t.Run("revoke", func(t *testing.T) {
			for query, want := range map[string]string{"": "revoked by an operator", "?reason=found+it+%22there%22": `found it "there"`, "?reason=": "revoked by an operator"} {
				key := s.Key(t, u, nil)
				for range 2 {
					got := s.Admin(t, http.MethodDelete, keysPath+"/"+key.ID+query, nil).Want(t, http.StatusNoContent, "")
					if got.Body != "" || got.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("got %v %q", got.Header, got.Body)
					}
					accepted(t, "ended", both, rs, key, false)
				}
				view := other.Admin(t, http.MethodGet, keysPath+"/"+key.ID, nil).Want(t, http.StatusOK, "").JSON(t)
				if end, _ := view["ended"].(servertest.M); view["state"] != "revoked" || view["expires_at"] != nil || end["reason"] != want || end["by"] != "admin-token" {
					t.Errorf("got %v, want the reason %q", view, want)
				}
				if diff := cmp.Diff([]string{"key.created", "key.revoked"}, actionsOn(t, s, "key:"+key.ID)); diff != "" {
					t.Errorf("audited (-want +got):\n%s", diff)
				}
			}
			key := s.Key(t, u, nil)
			for _, bad := range []string{strings.Repeat("x", 201), "a%00", "a%0ab", "%ff", "x&reason=y"} {
				s.Admin(t, http.MethodDelete, keysPath+"/"+key.ID+"?reason="+bad, nil).Want(t, http.StatusBadRequest, "invalid_request")
			}
			accepted(t, "not ended", both, rs, key, true)
			for _, id := range []string{"key_0", "x", key.ID + "a", key.ID[1:], "*", "%00"} {
				s.Admin(t, http.MethodGet, keysPath+"/"+id, nil).Want(t, http.StatusNotFound, "not_found")
				s.Admin(t, http.MethodDelete, keysPath+"/"+id, nil).Want(t, http.StatusNotFound, "not_found")
			}
		})
	})
}

// invalidKeys are requests for keys that no user may have.
func invalidKeys(t *testing.T, s *servertest.Server, path string) {
	t.Helper()
	far := s.Clock.Now().AddDate(101, 0, 0).Format(time.RFC3339)
	now := s.Clock.Now().Format(time.RFC3339)
	for member, values := range map[string][]any{
		"name":       {nil, "", " ", strings.Repeat("n", 101), strings.Repeat("n", 10_000), "a\nb", "\u202e", 7, []string{"n"}},
		"scope":      {"a  b", " read", "\"", "é", "other", "read other", "mintkeep:admin", "mintkeep:introspect", "mintkeep:", 7, []string{"read"}},
		"expires_at": {"soon", "2020-01-01T00:00:00Z", now, far, "2027-01-01", 1767225600, true},
	} {
		for _, value := range values {
			code := "invalid_request"
			if _, text := value.(string); text && member == "scope" {
				code = "invalid_scope"
			}
			got := s.Admin(t, http.MethodPost, path, andMember(servertest.M{"name": "n"}, member, value)).Want(t, http.StatusBadRequest, code)
			if !strings.Contains(got.Body, `"`+member+`: `) {
				t.Errorf("%s %v: %s", member, value, got.Body)
			}
		}
	}
	for _, body := range []string{"", "[]", "null", "{", `{"name":"n"} {}`} {
		s.Do(t, http.MethodPost, path, strings.NewReader(body), servertest.Bearer(s.AdminToken),
			servertest.Header("Content-Type", "application/json")).Want(t, http.StatusBadRequest, "invalid_request")
	}
}

// limitedCreator: a key that a key creates has at most its scopes and expiry, and no scope of Mintkeep's own.
func limitedCreator(t *testing.T, s *servertest.Server, owner servertest.User) {
	t.Helper()
	operator := s.User(t, servertest.M{"email": "creator@example.com", "role": "operator"})
	expires := s.Clock.Now().Add(24 * time.Hour).Format(time.RFC3339)
	creator := s.Key(t, operator, servertest.M{"scope": "read mintkeep:admin mintkeep:keys", "expires_at": expires})
	try := func(request servertest.M) servertest.Response {
		return s.Admin(t, http.MethodPost, usersPath+"/"+owner.ID+"/keys", andMember(request, "name", "n"), servertest.Bearer(creator.Plain))
	}
	for _, scope := range []string{"write", "read write", "mintkeep:admin", "mintkeep:keys", "read mintkeep:keys"} {
		try(servertest.M{"scope": scope}).Want(t, http.StatusBadRequest, "invalid_scope")
	}
	later := s.Clock.Now().Add(25 * time.Hour).Format(time.RFC3339)
	if got := try(servertest.M{"expires_at": later}).Want(t, http.StatusBadRequest, "invalid_request"); !strings.Contains(got.Body, "expires_at") {
		t.Errorf("got %s", got.Body)
	}
	for _, request := range []servertest.M{{}, {"scope": "read"}, {"expires_at": expires}} {
		made := try(request).Want(t, http.StatusCreated, "")
		s.NewKey(t, made)
		if got := made.JSON(t); got["scope"] != "read" || got["expires_at"] != expires {
			t.Errorf("%v: got %v, want read until %s", request, got, expires)
		}
	}
}

// TestAdminKeyList is listing the keys of all users, searching and cursors.
func TestAdminKeyList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		ada, bob := s.User(t, servertest.M{"email": "ada@example.com"}), s.User(t, servertest.M{"email": "bob@example.com"})
		ids := map[string]string{}
		for _, name := range []string{"a1", "a2", "b1", "A3", "b2"} {
			b.Clock.Advance(time.Millisecond) // ids sort by it
			owner := map[byte]servertest.User{'a': ada, 'A': ada, 'b': bob}[name[0]]
			ids[name] = s.Key(t, owner, servertest.M{"name": name}).ID
		}
		for _, name := range []string{"a1", "b2"} {
			s.Admin(t, http.MethodDelete, keysPath+"/"+ids[name], nil).Want(t, http.StatusNoContent, "")
		}
		for query, want := range map[string][]string{
			"": {"b2", "A3", "b1", "a2", "a1"}, "limit=2": {"b2", "A3", "b1", "a2", "a1"}, "user=" + ada.ID: {"A3", "a2", "a1"},
			"user=ADA@example.com&limit=1": {"A3", "a2", "a1"}, "user=" + nobody: nil, "user=nobody@example.com": nil, "user=x": nil,
			"state=live": {"A3", "b1", "a2"}, "state=ended&limit=1": {"b2", "a1"}, "user=" + bob.ID + "&state=live": {"b1"},
			"user=" + ada.ID + "&q=a3": {"A3"}, "user=" + bob.ID + "&q=a": nil, "q=" + ids["b1"]: {"b1"}, "q=*": nil,
			"user=&q=&state=&limit=&cursor=": {"b2", "A3", "b1", "a2", "a1"},
		} {
			if diff := cmp.Diff(want, walk(t, s, keysPath, query, "name")); diff != "" {
				t.Errorf("%q (-want +got):\n%s", query, diff)
			}
		}
		for _, query := range []string{"q=A", "q=a&limit=1"} { // by name alone they are in its order
			got := walk(t, s, keysPath, query, "name")
			slices.Sort(got)
			if diff := cmp.Diff([]string{"A3", "a1", "a2"}, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", query, diff)
			}
		}
		refuseCursors(t, s, keysPath, "limit=2")
		next := s.Admin(t, http.MethodGet, keysPath+"?limit=2", nil).JSON(t)["next_cursor"].(string)
		for _, query := range []string{"state=dead", "state=Live", "state=live&state=live", "user=%00", "user=a&user=b", "state=live&cursor=" + next, "user=" + ada.ID + "&cursor=" + next} {
			s.Admin(t, http.MethodGet, keysPath+"?"+query, nil).Want(t, http.StatusBadRequest, "invalid_request")
		}
	})
}

// TestAdminKeyLimit: an operator cannot create the 1,001st active key of a user; a revoked one makes room.
func TestAdminKeyLimit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		u := s.User(t, servertest.M{"email": "many@example.com"})
		owner, err := s.Store.User(context.Background(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		var last *store.APIKey
		for i := range store.MaxActiveKeys {
			plain, now := credential.NewKey("mk"), b.Clock.Now()
			last = &store.APIKey{
				ID: store.NewKeyID(now), Digest: store.DigestOf(plain), UserID: u.ID, Name: fmt.Sprint("key ", i),
				Masked: credential.Mask(plain), CreatedAt: now, CreatedBy: "test",
			}
			if err := s.Store.CreateKey(context.Background(), last, owner); err != nil {
				t.Fatal(err)
			}
		}
		path := usersPath + "/" + u.ID + "/keys"
		full := func() {
			t.Helper()
			got := other.Admin(t, http.MethodPost, path, servertest.M{"name": "one more"}).Want(t, http.StatusConflict, "conflict")
			if !strings.Contains(got.Body, "1,000 active keys") {
				t.Errorf("the limit is not in words: %s", got.Body)
			}
		}
		unchanged(t, s, keysPath+"?limit=200", full)
		s.Admin(t, http.MethodDelete, keysPath+"/"+last.ID, nil).Want(t, http.StatusNoContent, "")
		s.NewKey(t, other.Admin(t, http.MethodPost, path, servertest.M{
			"name": "in its place", "expires_at": b.Clock.Now().Add(time.Hour).Format(time.RFC3339),
		}).Want(t, http.StatusCreated, ""))
		full()
		b.Clock.Advance(time.Hour)
		s.Key(t, u, nil) // in the place of the expired one
		full()
		if got := s.Admin(t, http.MethodGet, "/admin/stats", nil).JSON(t)["live_keys"]; got != float64(store.MaxActiveKeys) {
			t.Errorf("%v live keys are counted", got)
		}
	})
}
