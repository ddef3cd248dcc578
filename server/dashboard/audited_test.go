package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The audit log has the beginning and the end of each session.
func TestSessionsAreAudited(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		v, u := newcomer(t, s, "a@example.com")
		created, ended := 0, 0
		want := func(what string, begins, ends int) {
			t.Helper()
			created, ended = created+begins, ended+ends
			trail := s.Admin(t, http.MethodGet, "/admin/audit?limit=200&target=user:"+u.ID, nil).Want(t, http.StatusOK, "")
			for action, want := range map[string]int{"session.created": created, "session.ended": ended} {
				if got := strings.Count(trail.Body, `"action":"`+action+`"`); got != want {
					t.Fatalf("%s: %d events of %s, want %d", what, got, action, want)
				}
			}
		}
		want("an invite", 1, 0)
		v.submit(v.get("/settings"), "/logout").wantTo("/login?done=signed-out")
		want("a sign-out", 0, 1)
		v.signIn(u.Email, secret).wantTo("/settings")
		other := visit(t, s)
		other.signIn(u.Email, secret).wantTo("/settings")
		want("two sign-ins", 2, 0)
		v.submit(v.get("/settings/profile"), "/settings/sessions/end", "session", sessionOf(v.get("/settings/profile"))).
			wantTo("/settings/profile?done=session")
		other.get("/settings").wantTo("/login?next=%2Fsettings")
		want("a session that is signed out elsewhere", 0, 1)
		v.signIn(u.Email, secret).wantTo("/settings")
		want("another sign-in in the same browser", 1, 1)
		v.submit(v.get("/settings/profile"), "/settings/password", "present", secret, "password", secret+"!", "again", secret+"!").
			wantTo("/settings/profile?done=password")
		s.Secret(secret + "!")
		want("another password", 1, 0) // whose own event says that the sessions are revoked
	})
}

// One session too many revokes the oldest, which the audit log has.
func TestSurplusSessionsAreAudited(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	first, u := newcomer(t, s, "a@example.com")
	for range store.MaxSessions {
		first.get("/settings").want(http.StatusOK)
		s.Clock.Advance(10 * time.Second) // eleven sign-ins in a minute are too many
		visit(t, s).signIn(u.Email, secret).wantTo("/settings")
	}
	first.get("/settings").wantTo("/login?next=%2Fsettings")
	trail := s.Admin(t, http.MethodGet, "/admin/audit?limit=200&target=user:"+u.ID, nil).Want(t, http.StatusOK, "")
	if got := strings.Count(trail.Body, `"action":"session.ended"`); got != 1 {
		t.Errorf("%d events of session.ended, want 1", got)
	}
}

// The audit log says what users change, from what, and why a sign-in or a page was rejected.
func TestPagesAreAudited(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	v, u := newcomer(t, s, "ada@example.com")
	invited := s.User(t, servertest.M{"email": "new@example.com"})
	v.submit(v.get("/settings/keys/new"), "/settings/keys", "name", "first").want(http.StatusOK)
	keys := s.Admin(t, http.MethodGet, "/admin/keys?user="+u.ID, nil).JSON(t)["items"].([]any)
	key := "/settings/keys/" + keys[0].(servertest.M)["id"].(string)
	last := func(query, action string, want servertest.M) {
		t.Helper()
		e := s.Admin(t, http.MethodGet, "/admin/audit?limit=1"+query, nil).JSON(t)["items"].([]any)[0].(servertest.M)
		detail := e["detail"].(servertest.M)
		delete(detail, "user")
		if diff := cmp.Diff(want, detail); e["action"] != action || diff != "" {
			t.Errorf("%v, want %s (-want +got)\n%s", e["action"], action, diff)
		}
	}
	s.Clock.Advance(time.Millisecond) // events of one millisecond in different streams have no order
	v.submit(v.get("/settings/profile"), "/settings/profile", "name", "Ada").want(http.StatusSeeOther)
	last("", "user.updated", servertest.M{"changed": "name", "name": "Ada", "name_before": ""})
	v.submit(v.get(key+"/edit"), key+"/edit", "name", "second").want(http.StatusSeeOther)
	last("", "key.updated", servertest.M{"changed": "name", "name": "second", "name_before": "first"})

	v.get("/operator/clients").want(http.StatusForbidden)
	last("&refusals=true", "dashboard.refused", servertest.M{"reason": "not an operator"})
	for email, reason := range map[string]string{"nobody@example.com": "unknown", invited.Email: "no password", u.Email: "wrong password"} {
		visit(t, s).signIn(email, "not the password").want(http.StatusUnauthorized)
		last("&refusals=true", "session.refused", servertest.M{"reason": reason})
	}
	s.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
	visit(t, s).signIn(u.Email, secret).want(http.StatusUnauthorized)
	last("&refusals=true", "session.refused", servertest.M{"reason": "disabled"})
}

// The operator's page shows a change as one line, from what to what.
func TestAuditPageShowsChanges(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	boss, _ := chief(t, s)
	s.Register(t, servertest.M{"client_id": "a", "client_name": "Billing", "scope": "read"})
	s.Admin(t, http.MethodPatch, "/admin/clients/a", servertest.M{"scope": "read write", "client_name": nil}).Want(t, http.StatusOK, "")
	page := boss.get("/operator/audit?target=client:a").want(http.StatusOK)
	for _, want := range []string{"scope read → read write", "client_name Billing → none", "scope read"} {
		page.says(want)
	}
	if strings.Contains(page.visible(), "_before") {
		t.Errorf("the page has the name of the member of before: %s", page.visible())
	}
}

// sessionOf is the handle of the one session on the page that is not the reader's own.
func sessionOf(p page) string {
	_, rest, _ := strings.Cut(p.Body, `name="session" value="`)
	handle, _, _ := strings.Cut(rest, `"`)
	return handle
}
