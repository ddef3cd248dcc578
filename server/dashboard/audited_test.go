package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// The audit log has the beginning and the end of each session.
func TestSessionsAreAudited(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		v, u := newcomer(t, s, "a@example.com")
		v.submit(v.get("/settings"), "/logout").wantTo("/login?done=signed-out")
		v.signIn("a@example.com", secret).wantTo("/settings")
		other := visit(t, s)
		other.signIn("a@example.com", secret).wantTo("/settings")
		v.submit(v.get("/settings/profile"), "/settings/sessions/end", "session", sessionOf(v.get("/settings/profile"))).
			wantTo("/settings/profile?done=session")
		other.get("/settings").wantTo("/login?next=%2Fsettings")

		trail := s.Admin(t, http.MethodGet, "/admin/audit?target=user:"+u.ID, nil).Want(t, http.StatusOK, "")
		for action, want := range map[string]int{"session.created": 2, "session.ended": 2} {
			if got := strings.Count(trail.Body, `"action":"`+action+`"`); got != want {
				t.Errorf("%s: %d events, want %d", action, got, want)
			}
		}
	})
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
