package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

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

// sessionOf is the handle of the one session on the page that is not the reader's own.
func sessionOf(p page) string {
	_, rest, _ := strings.Cut(p.Body, `name="session" value="`)
	handle, _, _ := strings.Cut(rest, `"`)
	return handle
}
