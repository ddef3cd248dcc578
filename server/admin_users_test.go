package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

const usersPath = "/admin/users"

// nobody is an id of no user.
const nobody = "usr_aaaaaaaaaaaaaaaaaaaaaaaaaa"

// actionsOn is the actions in the audit log on a target, oldest first.
func actionsOn(t *testing.T, s *servertest.Server, target string) (actions []string) {
	t.Helper()
	page := s.Admin(t, http.MethodGet, "/admin/audit?limit=200&target="+url.QueryEscape(target), nil).Want(t, http.StatusOK, "").JSON(t)
	for _, item := range page["items"].([]any) {
		actions = append(actions, item.(servertest.M)["action"].(string))
	}
	slices.Reverse(actions)
	return actions
}

// unchanged wants do to change neither what a GET of path shows nor the audit log.
func unchanged(t *testing.T, s *servertest.Server, path string, do func()) {
	t.Helper()
	seen := func() string {
		return s.Admin(t, http.MethodGet, path, nil).Body + s.Admin(t, http.MethodGet, "/admin/audit?limit=1", nil).Body
	}
	before := seen()
	do()
	if diff := cmp.Diff(before, seen()); diff != "" {
		t.Errorf("it left a trace:\n%s", diff)
	}
}

// TestUserCreation is the creation of users at /admin/users.
func TestUserCreation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		t.Run("every member", func(t *testing.T) {
			answer := s.Admin(t, http.MethodPost, usersPath, servertest.M{
				"email": " Ada.L+x@Exämple.com ", "name": " Ünïcode \"x\" ", "role": "operator", "disabled": false, "id": "ignored",
			}).Want(t, http.StatusCreated, "")
			got := answer.JSON(t)
			id, link := got["id"].(string), got["invite_url"].(string)
			code, found := strings.CutPrefix(link, servertest.Issuer+"/invite/")
			s.Secret(code[26:])
			if !found || code[:26] != id[len("usr_"):] || answer.Header.Get("Location") != servertest.Issuer+usersPath+"/"+id {
				t.Errorf("got %s for %s, and %v", link, id, answer.Header)
			}
			expires := b.Clock.Now().Add(72 * time.Hour).Format("2006-01-02T15:04:05.999Z07:00")
			if got["invite_expires_at"] != expires || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("the link expires at %v, want %s; header %v", got["invite_expires_at"], expires, answer.Header)
			}
			delete(got, "invite_url")
			delete(got, "invite_expires_at")
			want := servertest.M{
				"id": id, "email": "Ada.L+x@Exämple.com", "name": `Ünïcode "x"`, "role": "operator", "disabled": false,
				"created_at": b.Clock.Now().Format("2006-01-02T15:04:05.999Z07:00"), "password_set": false,
				"key_scopes": "read write mintkeep:keys mintkeep:admin",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("created otherwise (-want +got):\n%s", diff)
			}
			shown := other.Admin(t, http.MethodGet, usersPath+"/"+id, nil).Want(t, http.StatusOK, "")
			if diff := cmp.Diff(want, shown.JSON(t)); diff != "" {
				t.Errorf("shown otherwise by the other replica (-want +got):\n%s", diff)
			}
			for _, path := range []string{usersPath, usersPath + "?q=ada", usersPath + "/" + id, "/admin/audit"} {
				if strings.Contains(s.Admin(t, http.MethodGet, path, nil).Body, code[26:]) {
					t.Errorf("%s shows the invite", path)
				}
			}
		})
		t.Run("only the email", func(t *testing.T) {
			for email, members := range map[string]servertest.M{"a@b": {}, "null@example.com": {"name": nil, "role": nil, "disabled": nil, "password": nil}} {
				members["email"] = email
				got := s.Admin(t, http.MethodGet, usersPath+"/"+s.User(t, members).ID, nil).Want(t, http.StatusOK, "").JSON(t)
				if got["name"] != "" || got["role"] != "developer" || got["disabled"] != false || got["email"] != email {
					t.Errorf("got %v", got)
				}
			}
		})
		t.Run("other content types are 415", func(t *testing.T) {
			for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x", "application/merge-patch+json"} {
				s.Do(t, http.MethodPost, usersPath, strings.NewReader(`{"email":"typed@example.com"}`), servertest.Bearer(s.AdminToken),
					servertest.Header("Content-Type", contentType)).Want(t, http.StatusUnsupportedMediaType, "invalid_request")
			}
			for _, body := range []string{"", "[]", "null", "7", "{", `{"a":1} {}`, `{"email":"a@b"`} {
				s.Do(t, http.MethodPost, usersPath, strings.NewReader(body), servertest.Bearer(s.AdminToken),
					servertest.Header("Content-Type", "application/json")).Want(t, http.StatusBadRequest, "invalid_request")
			}
			if got := s.Admin(t, http.MethodGet, usersPath+"?q=typed", nil).Body; got != `{"items":[]}` {
				t.Errorf("got %s", got)
			}
		})
		t.Run("bad members are named", func(t *testing.T) { badUsers(t, s) })
	})
}

// badMembers are values that a user's record cannot have.
var badMembers = map[string][]any{
	"email": {
		"", " ", "a", "ab", "@b", "a@", "a@b@c", "a@@b", "a b@c", "a@b c", "a@b\u00a0c", "a@b\n", "a@b\x00", "a@\u202eb", "a\u200b@b", "a@b\ufe0f", "a,b@c", "<a@b>",
		"a@b>", "a＠b", "x＠y@z", "＜a@b＞", "a@b\ufffd", strings.Repeat("a", 253) + "@b", 7, true,
		[]string{"a@b"},
		map[string]string{"a": "b"},
		nil,
	},
	"name":     {strings.Repeat("n", 101), strings.Repeat("n", 10_000), "a\nb", "a\u202eb", "\x00", 7, []string{"n"}, map[string]string{}},
	"role":     {"", "admin", "Operator", "operator ", 7, []string{"operator"}, true},
	"disabled": {"true", 1, []bool{true}},
	"password": {"correct horse battery staple", 7},
}

func badUsers(t *testing.T, s *servertest.Server) {
	t.Helper()
	u := s.User(t, servertest.M{"email": "good@example.com", "name": "Good"})
	unchanged(t, s, usersPath+"?limit=200", func() {
		for member, values := range badMembers {
			for _, value := range values {
				created := s.Admin(t, http.MethodPost, usersPath, andMember(servertest.M{"email": "bad@example.com"}, member, value))
				// The other members of a patch are not applied either.
				patched := s.Admin(t, http.MethodPatch, usersPath+"/"+u.ID, andMember(servertest.M{"name": "Bad", "disabled": true}, member, value))
				for _, got := range []servertest.Response{created, patched} {
					if got.Want(t, http.StatusBadRequest, "invalid_request"); !strings.Contains(got.Body, `"`+member+`: `) {
						t.Errorf("%s %v: %s", member, value, got.Body)
					}
				}
			}
		}
		s.Admin(t, http.MethodPost, usersPath, servertest.M{"name": "no email"}).Want(t, http.StatusBadRequest, "invalid_request")
		s.Admin(t, http.MethodPost, usersPath, servertest.M{"email": "off@example.com", "disabled": true}).Want(t, http.StatusBadRequest, "invalid_request")
		s.Admin(t, http.MethodPatch, usersPath+"/"+u.ID, servertest.M{"id": nobody, "name": "Bad"}).Want(t, http.StatusBadRequest, "invalid_request")
		for _, id := range []string{nobody, "x", "usr_", strings.ToUpper(u.ID), u.ID + "a", "..%2f" + u.ID, "%00", "*"} {
			path := usersPath + "/" + id
			s.Admin(t, http.MethodGet, path, nil).Want(t, http.StatusNotFound, "not_found")
			s.Admin(t, http.MethodPatch, path, servertest.M{"name": "x"}).Want(t, http.StatusNotFound, "not_found")
			s.Admin(t, http.MethodPost, path+"/keys", servertest.M{"name": "x"}).Want(t, http.StatusNotFound, "not_found")
		}
	})
	s.Admin(t, http.MethodDelete, usersPath+"/"+nobody, nil).Want(t, http.StatusNotFound, "not_found")
	s.Admin(t, http.MethodPost, usersPath+"/"+nobody+"/invite", nil).Want(t, http.StatusNotFound, "not_found")
}

// andMember is the object with one member more, or another.
func andMember(object servertest.M, member string, value any) servertest.M {
	object[member] = value
	return object
}

// TestUserEmailIsUnique: one user for one email, in whatever spelling.
func TestUserEmailIsUnique(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, other := servertest.New(t, b), servertest.New(t, b)
		taken := func(t *testing.T, answer servertest.Response) {
			t.Helper()
			if answer.Want(t, http.StatusConflict, "conflict"); !strings.Contains(answer.Body, "email: is taken") {
				t.Errorf("got %s", answer.Body)
			}
		}
		t.Run("case and Unicode spellings are one email", func(t *testing.T) {
			ada := s.User(t, servertest.M{"email": "Zoë.Straße@Example.com", "name": "first"})
			second := s.User(t, servertest.M{"email": "second@example.com"})
			unchanged(t, s, usersPath, func() {
				for _, same := range []string{
					"Zoë.Straße@Example.com", "zoë.straße@example.com", "ZOË.STRASSE@EXAMPLE.COM", "Zoe\u0308.Straße@Example.com",
					"Ｚｏë.Straße@Ｅｘａｍｐｌｅ．ｃｏｍ", " zoë.straße@example.com ",
				} {
					taken(t, other.Admin(t, http.MethodPost, usersPath, servertest.M{"email": same, "name": "second"}))
					taken(t, other.Admin(t, http.MethodPatch, usersPath+"/"+second.ID, servertest.M{"email": same, "disabled": true, "role": "operator"}))
				}
			})
			for _, mine := range []string{"ZOË.straße@example.COM", "zoë@example.com", "Zoë.Straße@Example.com"} {
				got := other.Admin(t, http.MethodPatch, usersPath+"/"+ada.ID, servertest.M{"email": mine}).Want(t, http.StatusOK, "").JSON(t)
				if got["email"] != mine || got["name"] != "first" {
					t.Errorf("got %v, want %s", got, mine)
				}
			}
			s.User(t, servertest.M{"email": "zoë@example.com"}) // given up by the last change
		})
		t.Run("of eight at once one succeeds", func(t *testing.T) {
			answers := make([]servertest.Response, 8)
			var running sync.WaitGroup
			for i := range answers {
				running.Go(func() {
					at := []*servertest.Server{s, other}[i%2]
					answers[i] = at.Admin(t, http.MethodPost, usersPath, servertest.M{"email": "Race@example.com"})
				})
			}
			running.Wait()
			var created []string
			for _, answer := range answers {
				if answer.Status == http.StatusCreated {
					created = append(created, answer.JSON(t)["id"].(string))
					continue
				}
				taken(t, answer)
			}
			page := s.Admin(t, http.MethodGet, usersPath+"?q=race", nil).JSON(t)["items"].([]any)
			if len(created) != 1 || len(page) != 1 || page[0].(servertest.M)["id"] != created[0] {
				t.Errorf("created %v, and listed %v", created, page)
			}
		})
		t.Run("a repetition after a lost answer is 409", func(t *testing.T) {
			u := s.User(t, servertest.M{"email": "again@example.com"})
			taken(t, s.Admin(t, http.MethodPost, usersPath, servertest.M{"email": "again@example.com"}))
			s.Invite(t, u) // how to go on from there
		})
	})
}

// TestUserList is listing, searching and cursors.
func TestUserList(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		ids := map[string]string{}
		for _, email := range []string{"a1@x", "A2@x", "a3@x", "b1@x", "b2@x"} {
			ids[email] = s.User(t, servertest.M{"email": email, "name": "Name " + strings.ToUpper(email[:2])}).ID
		}
		all := []string{"A2@x", "a1@x", "a3@x", "b1@x", "b2@x"}
		for query, want := range map[string][]string{
			"": all, "limit=2": all, "q=a&limit=1": {"A2@x", "a1@x", "a3@x"}, "q=A2": {"A2@x"}, "q=name+b": {"b1@x", "b2@x"}, "q=Name&limit=3": all,
			"q=zzz": nil, "q=*": nil, "q=" + ids["b1@x"]: {"b1@x"}, "q=usr_&limit=2": all, "q=&limit=&cursor=": all,
		} {
			got := walk(t, s, usersPath, query, "email")
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", query, diff)
			}
		}
		refuseCursors(t, s, usersPath, "limit=2")
	})
}

// walk pages through a listing, and returns a member of each item.
func walk(t *testing.T, s *servertest.Server, path, query, member string) (found []string) {
	t.Helper()
	for cursor, rounds := "", 0; rounds == 0 || cursor != ""; rounds++ {
		if rounds > 20 {
			t.Fatalf("%q: without end", query)
		}
		more := ""
		if cursor != "" {
			more = "&cursor=" + url.QueryEscape(cursor)
		}
		page := s.Admin(t, http.MethodGet, path+"?"+query+more, nil).Want(t, http.StatusOK, "").JSON(t)
		for _, item := range page["items"].([]any) {
			found = append(found, item.(servertest.M)[member].(string))
		}
		cursor, _ = page["next_cursor"].(string)
	}
	return found
}

// refuseCursors tries queries that are wrong at any listing; the first page of query is not the last.
func refuseCursors(t *testing.T, s *servertest.Server, path, query string) {
	t.Helper()
	next := s.Admin(t, http.MethodGet, path+"?"+query, nil).Want(t, http.StatusOK, "").JSON(t)["next_cursor"].(string)
	for _, bad := range []string{
		"cursor=x", "cursor=" + next[:len(next)-2], "cursor=" + next + "AA", "q=a&cursor=" + next, "limit=0", "limit=201", "limit=x", "limit=-1",
		"cursor=" + next + "&cursor=" + next, "q=%00", "q=%ff", "q=a&q=b", "limit=1;limit=2",
	} {
		s.Admin(t, http.MethodGet, path+"?"+bad, nil).Want(t, http.StatusBadRequest, "invalid_request")
	}
	for _, foreign := range []string{"/admin/audit", clientsPath, usersPath, "/admin/keys"} {
		if foreign != path {
			s.Admin(t, http.MethodGet, foreign+"?cursor="+next, nil).Want(t, http.StatusBadRequest, "invalid_request")
		}
	}
}
