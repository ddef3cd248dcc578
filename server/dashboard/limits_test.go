package dashboard_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// A client authentication that fails keeps no user from signing in, whatever it calls its client, and how often it fails.
// A user who signs in again and again is no failure.
func TestSignInIsCountedApart(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, ada := newcomer(t, s, "ada@example.com")
	signIn := func(password string) page { // a machine that is busy hashes fewer passwords than it is asked to
		for {
			if p := v.signIn(ada.Email, password); p.Status != http.StatusServiceUnavailable {
				return p
			}
		}
	}
	fails := func(id string) int {
		return s.Post(t, "/oauth/token", "grant_type=client_credentials",
			servertest.Client{ID: id, Secret: "wrong"}.Basic()).Status
	}
	for range 11 {
		fails("sign-in " + ada.Email)
	}
	for i := range 300 {
		fails(fmt.Sprint("anybody", i))
	}
	if got := fails("one more"); got != http.StatusTooManyRequests {
		t.Fatalf("got %d, want 429", got)
	}
	for range 11 {
		signIn(secret).wantTo("/settings")
	}
	for range 10 {
		signIn("not the password").want(http.StatusUnauthorized)
	}
	signIn(secret).want(http.StatusTooManyRequests)
}

// While Redis is away, a sign-in is 503, however often it is tried: it has not failed, and is not counted.
func TestUnansweredSignInIsNotCounted(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	s := servertest.New(t, redis.Backend(t).Impatient())
	_, ada := newcomer(t, s, "ada@example.com")
	v := visit(t, s)
	form := v.get("/login").form("/login")
	form.Set("email", ada.Email)
	form.Set("password", secret)
	redis.Stop()
	for range 12 {
		v.post("/login", form).want(http.StatusServiceUnavailable)
	}
}

// The pages of operators reject a developer each time, and the audit log has some of it: those of others stay there.
func TestRejectedPagesAreBounded(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t))
	v, _ := newcomer(t, s, "ada@example.com")
	for range 40 {
		v.get("/operator/clients").want(http.StatusForbidden)
	}
	log := s.Admin(t, http.MethodGet, "/admin/audit?refusals=true&limit=200", nil).Want(t, http.StatusOK, "")
	if n := strings.Count(log.Body, "dashboard.refused"); n != 10 {
		t.Errorf("the audit log has %d rejections, want 10", n)
	}
	// It is no guess: the address is not at its limit for those that are.
	s.Get(t, "/admin/clients", servertest.Bearer("wrong")).Want(t, http.StatusUnauthorized, "invalid_token")
}

// A user who creates too many keys sees the form again, with the reason and when to come back.
func TestTooManyNewKeys(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), "MINTKEEP_KEY_CREATE_RATE=1/m")
	v, _ := newcomer(t, s, "ada@example.com")
	_, path := v.makeKey("one")
	form := []string{"name", "two", "scope", "read", "expiry", "90"}
	for action, p := range map[string]page{
		"/settings/keys": v.submit(v.get("/settings/keys/new"), "/settings/keys", form...),
		path + "/rotate": v.submit(v.get(path), path+"/rotate", "overlap", "1h"),
	} {
		if p.want(http.StatusTooManyRequests); p.Header.Get("Retry-After") != "60" {
			t.Errorf("%s: Retry-After %q, want 60", action, p.Header.Get("Retry-After"))
		}
		p.says("Too many requests")
		p.form(action) // is there again
	}
}
