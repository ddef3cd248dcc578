package dashboard_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// chief signs an operator in.
func chief(t *testing.T, s *servertest.Server) (*userAgent, servertest.User) {
	t.Helper()
	u := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
	return visit(t, s).redeem(s.Invite(t, u), secret), u
}

// TestOperatorFormOnce: one form of an operator creates one secret or invite, and shows it once.
func TestOperatorFormOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		v, _ := chief(t, s)
		bob := s.User(t, servertest.M{"email": "bob@example.com"})
		for _, form := range []struct {
			page, action string
			fields       []string
		}{
			{"/operator/register-client", "/operator/clients", []string{"client_name", "made here", "scope", "read"}},
			{"/operator/users", "/operator/users", []string{"email", "carol@example.com", "role", "developer"}},
			{"/operator/users/" + bob.ID, "/operator/users/" + bob.ID + "/invite", nil},
		} {
			sent := v.get(form.page).form(form.action)
			for i := 0; i < len(form.fields); i += 2 {
				sent.Set(form.fields[i], form.fields[i+1])
			}
			pages := make([]page, 8)
			var all sync.WaitGroup
			for i := range pages {
				all.Go(func() { pages[i] = v.copied().at([]*servertest.Server{s, replica}[i%2]).post(form.action, sent) })
			}
			all.Wait()
			shown := 0
			for _, p := range append(slices.Clip(pages), v.post(form.action, sent)) {
				switch p.Status {
				case http.StatusOK:
					shown++
					once := p.value("secret")
					s.Secret(once[max(0, len(once)-26):])
				case http.StatusConflict:
					p.says("This form was submitted before.")
				default:
					t.Errorf("%s: %d: %s", form.action, p.Status, p.visible())
				}
			}
			if shown != 1 {
				t.Errorf("%s: %d secrets are shown", form.action, shown)
			}
		}
		if rows := v.get("/operator/clients").says("made here").all("tr"); len(rows) != 2 {
			t.Errorf("the list of clients has %d rows, want 2", len(rows))
		}
	})
}

// TestOperator is what an operator does to others, and may not do to themselves.
func TestOperator(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		v, u := chief(t, s)
		other, bob := newcomer(t, replica, "bob@example.com")
		plain, key := other.makeKey("bob's")
		theirs, mine := "/operator/users/"+bob.ID, "/operator/users/"+u.ID

		// A key's page names its user, with a link.
		list := v.get("/operator/keys").says("bob's")
		if !slices.ContainsFunc(list.all("a"), func(a *html.Node) bool {
			return text(a) == bob.Email && attribute(a, "href") == theirs && strings.Contains(attribute(a, "title"), bob.ID)
		}) {
			t.Errorf("the list does not name the owner with a link: %s", list.visible())
		}
		token := v.get("/operator").form("/logout")
		for _, act := range []string{"disable", "demote", "delete"} {
			token.Set("confirm", u.Email)
			v.post(mine+"/"+act, token).want(http.StatusConflict).says("This is your own account.")
		}
		v.post(theirs+"/delete", token).want(http.StatusBadRequest).says("Type the email exactly as it is shown.")

		v.submit(v.get(theirs+"/disable").says("1 active API key is rejected from now on"), theirs+"/disable").wantTo(theirs + "?done=user-disabled")
		other.get("/settings").wantTo("/login?next=%2Fsettings")
		replica.Me(t, plain).Want(t, http.StatusUnauthorized, "invalid_token")
		v.submit(v.get(theirs), theirs+"/enable").wantTo(theirs + "?done=user-enabled")
		replica.Me(t, plain).Want(t, http.StatusOK, "")

		other.signIn(bob.Email, secret).wantTo("/settings")
		other.get("/operator").want(http.StatusForbidden)
		v.submit(v.get(theirs+"/promote"), theirs+"/promote").wantTo(theirs + "?done=role-changed")
		other.get("/operator").want(http.StatusOK)
		v.submit(v.get(theirs+"/demote"), theirs+"/demote").wantTo(theirs + "?done=role-changed")
		other.get("/operator").want(http.StatusForbidden)

		at := "/operator/keys/" + strings.TrimPrefix(key, "/settings/keys/")
		v.submit(v.get(at+"/revoke"), at+"/revoke", "reason", "seen in public").wantTo(at + "?done=revoked")
		replica.Me(t, plain).Want(t, http.StatusUnauthorized, "invalid_token")
		other.get(key).says("seen in public")
		v.get("/operator/audit?target=user:"+bob.ID).says("user.disabled", "user.enabled")
		file := v.get("/operator/audit.jsonl?kind=key.revoked").want(http.StatusOK)
		if n := strings.Count(file.Body, "\n"); n != 1 || !strings.Contains(file.Body, `"seen in public"`) {
			t.Errorf("the file has %d lines: %s", n, file.Body)
		}
		for what, path := range map[string]string{
			"made up": "/operator/clients?cursor=x", "of another list": "/operator/users?cursor=" + "AAAA", "of the trail": "/operator/audit?cursor=AAAA",
			"of the keys": "/operator/keys?cursor=AAAA",
		} {
			if got := v.get(path); got.Status != http.StatusBadRequest || got.root == nil {
				t.Errorf("a cursor %s: %d", what, got.Status)
			}
		}
		v.get("/operator/clients/none").want(http.StatusNotFound)
		v.get("/operator/users/none").want(http.StatusNotFound)
		v.submit(v.get(theirs+"/delete"), theirs+"/delete", "confirm", bob.Email).wantTo("/operator/users?done=user-deleted")
		other.get("/settings").wantTo("/login?next=%2Fsettings")
	})
}

// TestSafeToRevoke is the advice on a client's secrets: the old one may be revoked once it was not used for a whole
// lifetime of a token.
func TestSafeToRevoke(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, _ := chief(t, s)
	c := s.Register(t, servertest.M{"client_id": "billing", "scope": "read", "access_token_ttl": 600})
	at := "/operator/clients/billing"
	made := v.submit(v.get(at), at+"/secrets", "overlap", "168h").want(http.StatusOK)
	next := servertest.Client{ID: c.ID, Secret: made.value("secret")}
	s.Secret(next.Secret)
	safe := func(want int) {
		t.Helper()
		if err := s.Store.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		text := v.get(at).visible()
		if got := strings.Count(text, "safe to revoke"); got != want || strings.Contains(text, "“Safe to revoke”") != (want > 0) {
			t.Errorf("%d secrets are safe to revoke, want %d, and then what it means: %s", got, want, text)
		}
	}
	s.Token(t, c)
	safe(0)
	b.Clock.Advance(9 * time.Minute)
	s.Token(t, next)
	safe(0)
	b.Clock.Advance(2 * time.Minute)
	safe(1)
	s.Token(t, c)
	safe(0)
}
