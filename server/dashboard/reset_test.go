package dashboard_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// resets are the audit events of a user that an operator invites, the newest first.
func resets(t *testing.T, s *servertest.Server, userID string) (actions []string) {
	t.Helper()
	events, _, err := s.Store.Events(t.Context(), store.EventFilter{Target: "user:" + userID})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Action == "user.invited" || e.Action == "user.password_revoked" {
			actions = append(actions, e.Action)
		}
	}
	return actions
}

// A link for a user who has a password is a reset: an intruder who has the password, or a session, is locked out at once,
// and cannot spoil the link.
func TestReset(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		thief, u := newcomer(t, s, "ada@example.com")
		beforehand := thief.get("/settings/profile") // with the form that changes the password
		link := s.Invite(t, u)
		thief.get("/settings").want(http.StatusSeeOther)
		thief.submit(beforehand, "/settings/password", "present", secret, "password", secret+"!", "again", secret+"!").wantTo("/login")
		visit(t, s).signIn("ada@example.com", secret).want(http.StatusUnauthorized)
		if got := s.Admin(t, http.MethodGet, "/admin/users/"+u.ID, nil).JSON(t)["password_set"]; got != false {
			t.Errorf("password_set: %v", got)
		}
		visit(t, s).redeem(link, secret+" again")
		visit(t, s).signIn("ada@example.com", secret+" again").wantTo("/settings")
		if got, want := resets(t, s, u.ID), []string{"user.invited", "user.password_revoked", "user.invited"}; !slices.Equal(got, want) {
			t.Errorf("the audit log has %q, want %q", got, want)
		}
	})
}

// The password and the sessions stay where the operator says so. A user without a password has nothing to lose.
func TestInviteThatKeepsThePassword(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	v, u := newcomer(t, s, "ada@example.com")
	path := "/admin/users/" + u.ID + "/invite"
	s.Admin(t, http.MethodPost, path, servertest.M{"keep_password": true}).Want(t, http.StatusCreated, "")
	v.get("/settings").want(http.StatusOK)
	visit(t, s).signIn("ada@example.com", secret).wantTo("/settings")
	s.Admin(t, http.MethodPost, path, servertest.M{"keep_password": "yes"}).Want(t, http.StatusBadRequest, "invalid_request")
	v.get("/settings").want(http.StatusOK)
	for _, body := range []any{servertest.M{"keep_password": nil}, servertest.M{}} { // the second finds no password
		s.Admin(t, http.MethodPost, path, body).Want(t, http.StatusCreated, "")
		v.get("/settings").want(http.StatusSeeOther)
	}
	if got, want := resets(t, s, u.ID), []string{"user.invited", "user.invited", "user.password_revoked", "user.invited", "user.invited"}; !slices.Equal(got, want) {
		t.Errorf("the audit log has %q, want %q", got, want)
	}
}

// The operator who creates a link for a user who has a password chooses what happens to it: nothing is chosen beforehand.
func TestResetChoice(t *testing.T) {
	s := servertest.New(t, storetest.Embedded(t))
	boss, self := chief(t, s)
	v, u := newcomer(t, s, "ada@example.com")
	invited := s.User(t, servertest.M{"email": "new@example.com"})
	invite := func(userID, reset string) page {
		path := "/operator/users/" + userID
		return boss.submit(boss.get(path), path+"/invite", "reset", reset).want(http.StatusOK)
	}
	choices := func(userID string) (values []string, chosen bool) {
		for _, n := range boss.get("/operator/users/" + userID).all("input") {
			if attribute(n, "name") == "reset" {
				values, chosen = append(values, attribute(n, "value")), chosen || has(n, "checked") || !has(n, "required")
			}
		}
		return values, chosen
	}
	for userID, want := range map[string][]string{u.ID: {"no", "yes"}, self.ID: {"no", "yes"}, invited.ID: nil} {
		if got, chosen := choices(userID); !slices.Equal(got, want) || chosen {
			t.Errorf("%s: choices %q, chosen %v; want %q and none chosen", userID, got, chosen, want)
		}
	}
	path := "/operator/users/" + u.ID
	for _, reset := range []string{"-", "maybe"} {
		boss.submit(boss.get(path), path+"/invite", "reset", reset).want(http.StatusBadRequest).says("Choose what happens to the current password.")
	}
	visit(t, s).signIn("ada@example.com", secret).wantTo("/settings")
	invite(invited.ID, "-")
	invite(u.ID, "no")
	v.get("/settings").want(http.StatusOK)
	invite(u.ID, "yes")
	v.get("/settings").want(http.StatusSeeOther)
	visit(t, s).signIn("ada@example.com", secret).want(http.StatusUnauthorized)
}

// A Redis that is out of memory cannot take the link. The reset itself holds.
func TestResetWithoutMemory(t *testing.T) {
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t))
	v, u := newcomer(t, s, "ada@example.com")
	redis.Config("maxmemory-policy", "noeviction")
	redis.Config("maxmemory", "1")
	s.Admin(t, http.MethodPost, "/admin/users/"+u.ID+"/invite", nil).Want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	redis.Config("maxmemory", "0")
	v.get("/settings").want(http.StatusSeeOther)
	visit(t, s).signIn("ada@example.com", secret).want(http.StatusUnauthorized)
	visit(t, s).redeem(s.Invite(t, u), secret+" again")
}
