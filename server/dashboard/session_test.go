package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestSessionRevocation: a revoked or expired session is rejected at once, at every replica.
func TestSessionRevocation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		u := s.User(t, servertest.M{"email": "ada@example.com"})
		link := s.Invite(t, u)
		path := link[strings.Index(link, "/invite/"):]
		visit(t, s).redeem(link, secret)

		for name, end := range map[string]func(t *testing.T, v *userAgent){
			"sign-out": func(t *testing.T, v *userAgent) {
				v.submit(v.get("/settings"), "/logout").wantTo("/login?done=signed-out")
			},
			"sign-out everywhere, elsewhere": func(t *testing.T, _ *userAgent) {
				other := visit(t, replica)
				other.signIn(u.Email, secret)
				other.submit(other.get("/settings/sessions/revoke-all").says("sessions are signed out"), "/settings/sessions/revoke-all").wantTo("/login?done=everywhere")
			},
			"the one session, elsewhere": func(t *testing.T, _ *userAgent) {
				other := visit(t, replica)
				other.signIn(u.Email, secret)
				p := other.get("/settings/profile").says("This browser")
				for _, button := range p.all("button") {
					if handle := attribute(button, "value"); handle != "" && handle != "all" {
						other.submit(p, "/settings/sessions/end", "session", handle).wantTo("/settings/profile?done=session")
					}
				}
				other.get("/settings").want(http.StatusOK)
			},
			"password, elsewhere": func(t *testing.T, _ *userAgent) {
				other := visit(t, replica)
				other.signIn(u.Email, secret)
				before := other.copied()
				for _, change := range [][2]string{{secret, secret + " two"}, {secret + " two", secret}} {
					other.submit(other.get("/settings/profile"), "/settings/password", "present", change[0], "password", change[1], "again", change[1]).
						wantTo("/settings/profile?done=password")
				}
				other.get("/settings").want(http.StatusOK)
				before.get("/settings").wantTo("/login?next=%2Fsettings")
			},
			"disabled": func(t *testing.T, v *userAgent) {
				replica.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
				v.get("/settings").wantTo("/login?next=%2Fsettings")
				replica.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"disabled": false}).Want(t, http.StatusOK, "")
			},
			"another link redeemed": func(t *testing.T, _ *userAgent) {
				visit(t, replica).redeem(replica.Invite(t, u), secret)
			},
			"idle for 12 hours": func(*testing.T, *userAgent) { b.Clock.Advance(12 * time.Hour) },
			"a week old": func(t *testing.T, v *userAgent) {
				for range 7*24/11 + 1 {
					v.get("/settings")
					b.Clock.Advance(11 * time.Hour)
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				b.Clock.Advance(2 * time.Minute) // sign-ins are counted
				v := visit(t, s)
				v.signIn(u.Email, secret).wantTo("/settings")
				token := v.get("/settings").form("/logout")
				thief := v.copied()
				thief.at(replica).get("/settings").want(http.StatusOK)
				end(t, v)
				for _, at := range []*servertest.Server{s, replica} {
					thief.copied().under(t).at(at).get("/settings").wantTo("/login?next=%2Fsettings")
					thief.copied().under(t).at(at).post("/settings/keys", token).wantTo("/login")
				}
			})
		}
		t.Run("a session that is in use expires after a week", func(t *testing.T) {
			v := visit(t, s)
			v.signIn(u.Email, secret).wantTo("/settings")
			for range 10 {
				b.Clock.Advance(11 * time.Hour)
				v.at(replica).get("/settings").want(http.StatusOK)
			}
		})
		t.Run("an invite is redeemed once", func(t *testing.T) {
			visit(t, replica).get(path).want(http.StatusNotFound).says("This link was used")
		})
		t.Run("deleted", func(t *testing.T) {
			v := visit(t, s)
			v.signIn(u.Email, secret).wantTo("/settings")
			replica.Admin(t, http.MethodDelete, "/admin/users/"+u.ID, nil).Want(t, http.StatusNoContent, "")
			v.get("/settings").wantTo("/login?next=%2Fsettings")
			for key := range b.Dump(t) {
				if strings.HasPrefix(key, "mk:s:") || strings.HasPrefix(key, "mk:ps:") {
					t.Errorf("left behind: %q", key)
				}
			}
		})
	})
}

// TestInvite is the link by which a password is set.
func TestInvite(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		u := s.User(t, servertest.M{"email": "ada@example.com", "name": "Ada King-Noel"})
		invite := func() string {
			link := s.Invite(t, u)
			return link[strings.Index(link, "/invite/"):]
		}
		gone := func(v *userAgent, path string) {
			t.Helper()
			v.get(path).want(http.StatusNotFound).says("This link was used, has expired or was replaced by a newer link.")
		}
		first, second := invite(), invite()
		v := visit(t, s)
		gone(v, first)
		form := v.get(second).want(http.StatusOK).says(u.Email).form(second)
		for _, wrong := range []struct{ password, again, says string }{ // the password policy
			{"short", "short", "at least 12 characters"},
			{strings.Repeat("a", 30), strings.Repeat("a", 30), "repeat a single character"},
			{"password1234", "password1234", "too common"},
			{"ada@example.com", "ada@example.com", "must not be your name"},
			{"ada king noel!", "ada king noel!", "must not be your name"},
			{secret, secret + "x", "differ"},
			{secret, "", "differ"},
			{"", "", "at least 12 characters"},
			{strings.Repeat("long ", 201), strings.Repeat("long ", 201), "at most 1000 characters"},
			{secret + "\x00", secret + "\x00", "printable"},
			{"tab\tand newline\n", "tab\tand newline\n", "printable"},
		} {
			form.Set("password", wrong.password)
			form.Set("again", wrong.again)
			p := v.post(second, form).want(http.StatusBadRequest).says(wrong.says)
			if wrong.password != "" && strings.Contains(p.Body, wrong.password) && wrong.password != u.Email {
				t.Errorf("%q is shown again", wrong.password)
			}
		}
		// A password is read beyond 72 bytes, to its last byte.
		long := strings.Repeat("Überlänge, ", 80)
		form.Set("password", long)
		form.Set("again", long)
		v.post(second, form).wantTo("/settings")
		s.Secret(long)
		v.get("/settings").want(http.StatusOK)
		gone(visit(t, replica), second)
		visit(t, replica).signIn(u.Email, long[:len(long)-2]).want(http.StatusUnauthorized)
		visit(t, replica).signIn(u.Email, long).wantTo("/settings")
		v.post(second, form).want(http.StatusForbidden) // the sign-in has replaced the cookie

		third := invite()
		s.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"disabled": true}).Want(t, http.StatusOK, "")
		gone(v, third)
		s.Admin(t, http.MethodPatch, "/admin/users/"+u.ID, servertest.M{"disabled": false}).Want(t, http.StatusOK, "")
		b.Clock.Advance(72 * time.Hour)
		gone(v, third)
		for _, odd := range []string{"/invite/x", "/invite/" + strings.Repeat("a", 52), "/invite/" + strings.Repeat("x", 5000)} {
			gone(v, odd)
		}
	})
}
