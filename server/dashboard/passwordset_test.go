package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// Once a password is set, a sign-in that fails does not hide it: the user signs in with it.
func TestPasswordIsSetThoughTheSignInFails(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s := servertest.New(t, b)
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	link := s.Invite(t, u)
	path := link[strings.Index(link, "/invite/"):]
	v := visit(t, s)
	sessions := func(rule string) { b.Do("ACL", "SETUSER", "default", rule+"zremrangebyscore") } // without it no session is created

	sessions("-")
	v.submit(v.get(path), path, "password", secret, "again", secret).wantTo("/login?done=password-set")
	v.get("/login?done=password-set").want(http.StatusOK).says("The password is set. Sign in with it.")
	sessions("+")
	v.signIn(u.Email, secret).wantTo("/settings")

	page, next := v.get("/settings/profile"), secret+" two"
	s.Secret(next)
	sessions("-")
	v.submit(page, "/settings/password", "present", secret, "password", next, "again", next).wantTo("/login?done=password-set")
	sessions("+")
	v.signIn(u.Email, next).wantTo("/settings")
}

// A password that was set by an invite and not confirmed is answered 503. The same form succeeds as soon as it is confirmed,
// though the link is spent; with another password the link stays spent.
func TestUnconfirmedInviteIsRetried(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	replica := storetest.Replica(t, redis.Addr())
	redis.AwaitReplicas(1)
	s := servertest.New(t, redis.Backend(t), "MINTKEEP_REVOKE_DURABILITY=replicas:1")
	link := s.Invite(t, s.User(t, servertest.M{"email": "ada@example.com"}))
	path := link[strings.Index(link, "/invite/"):]
	v := visit(t, s)
	form := v.get(path).form(path)
	form.Set("password", secret)
	form.Set("again", secret)
	s.Secret(secret)

	replica.Freeze()
	for range 2 {
		v.post(path, form).want(http.StatusServiceUnavailable).says("could not be confirmed")
	}
	replica.Thaw()
	stranger := v.copied()
	p := v.post(path, form)
	for p.Status == http.StatusServiceUnavailable { // the replica has to catch up
		p = v.post(path, form)
	}
	p.wantTo("/settings")
	v.get("/settings").want(http.StatusOK)
	form.Set("password", secret+"?")
	form.Set("again", secret+"?")
	stranger.post(path, form).want(http.StatusNotFound).says("This link was used", "If you have set a password, sign in with it.")
}
