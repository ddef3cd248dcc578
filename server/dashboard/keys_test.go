package dashboard_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// TestOthersKeys: another user's key is answered as one that does not exist.
func TestOthersKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s := servertest.New(t, b)
		victim, _ := newcomer(t, s, "victim@example.com")
		plain, key := victim.makeKey("one")
		elsewhere := visit(t, s)
		elsewhere.signIn("victim@example.com", secret).wantTo("/settings")
		sessions := []string{sessionOf(victim.get("/settings/profile")), sessionOf(elsewhere.get("/settings/profile"))}
		if sessions[0] == "" || sessions[1] == "" || sessions[0] == sessions[1] {
			t.Fatalf("the handles of two sessions are %q", sessions)
		}
		v, _ := newcomer(t, s, "mallory@example.com")
		token := v.get("/settings").form("/logout").Get("form_token")
		before := stored(t, b)
		same := func(status int, path, other string, form url.Values) {
			t.Helper()
			var bodies []string
			for _, at := range []string{path, other} {
				var p page
				if form == nil {
					p = v.get(at)
				} else {
					form.Set("form_token", token)
					p = v.post(at, form)
				}
				bodies = append(bodies, strings.ReplaceAll(p.want(status).Body, p.Header.Get("X-Request-Id"), ""))
			}
			if bodies[0] != bodies[1] {
				t.Errorf("%s is told from one that is not there", path)
			}
		}
		none := key[:len(key)-3] + "aaa"
		same(http.StatusNotFound, key, none, nil)
		for path, form := range forms(key, "all") {
			if strings.HasPrefix(path, key) {
				same(http.StatusNotFound, path, none+path[len(key):], form)
			}
		}
		for path, form := range forms("/operator/keys/"+key[len("/settings/keys/"):], "all") {
			if strings.HasPrefix(path, "/operator") && !strings.HasSuffix(path, "edit") && !strings.HasSuffix(path, "rotate") {
				same(http.StatusForbidden, path, "/operator/keys/none/revoke", form)
			}
		}
		for _, path := range []string{"/operator", "/operator/clients", "/operator/register-client", "/operator/users", "/operator/keys", "/operator/audit", "/operator/audit.jsonl"} {
			same(http.StatusForbidden, path, "/operator/clients/none", nil)
		}
		for _, session := range sessions { // nor is another user's session signed out
			v.post("/settings/sessions/end", url.Values{"form_token": {token}, "session": {session}}).wantTo("/settings/profile?done=session")
		}
		if after := stored(t, b); after != before {
			t.Errorf("something was changed:\n%s\n%s", before, after)
		}
		s.Me(t, plain).Want(t, http.StatusOK, "")
		victim.get("/settings").want(http.StatusOK)
		elsewhere.get("/settings").want(http.StatusOK)
		v.get("/settings").says("You have no API key yet")
		v.get("/settings?state=all&q=one").says("No key matches")
	})
}

// TestFormOnce: one form creates one key, however often it is sent, and shows it once.
func TestFormOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, b *storetest.Backend) {
		s, replica := servertest.New(t, b), servertest.New(t, b)
		v, _ := newcomer(t, s, "ada@example.com")
		live := func() int {
			return len(v.get("/settings").keyNames())
		}
		// race sends a form eight times at once, to two replicas, and then again: a reload, much later.
		race := func(path string, form url.Values) {
			t.Helper()
			pages := make([]page, 8)
			var all sync.WaitGroup
			for i := range pages {
				all.Go(func() { pages[i] = v.copied().at([]*servertest.Server{s, replica}[i%2]).post(path, form) })
			}
			all.Wait()
			var plain, where string
			for _, p := range append(slices.Clip(pages), v.post(path, form)) {
				switch p.Status {
				case http.StatusOK:
					if plain != "" {
						t.Error("two keys are shown")
					}
					plain = p.value("secret")
					s.Secret(plain)
				case http.StatusConflict:
					p.says("This form was submitted before.")
					for _, link := range p.all("a") {
						if href := attribute(link, "href"); strings.HasPrefix(href, "/settings/keys/") {
							where = href
						}
					}
				default:
					t.Errorf("got %d: %s", p.Status, p.visible())
				}
			}
			if plain == "" || where == "" {
				t.Fatalf("the key is shown: %v; it is found at %q", plain != "", where)
			}
			if p := v.get(where).want(http.StatusOK).says(plain[len(plain)-4:]); strings.Contains(p.Body, plain) {
				t.Error("the key is shown again")
			}
		}
		form := v.get("/settings/keys/new").form("/settings/keys")
		form.Set("name", "  ")
		v.post("/settings/keys", form).want(http.StatusBadRequest) // which creates nothing, so the form is still valid
		form.Set("name", "one")
		race("/settings/keys", form)
		if n := live(); n != 1 {
			t.Errorf("there are %d keys, want 1", n)
		}
		_, key := v.makeKey("two")
		rotate := v.get(key).form(key + "/rotate")
		race(key+"/rotate", rotate)
		if n := live(); n != 3 {
			t.Errorf("there are %d keys, want 3", n)
		}
		rotate.Set("once", "another form")
		v.post(key+"/rotate", rotate).want(http.StatusConflict).says("The key was already rotated")

		// Another user's form, and a form of another kind, have idempotency keys of their own.
		other, _ := newcomer(t, replica, "bob@example.com")
		theirs := other.get("/settings/keys/new").form("/settings/keys")
		theirs.Set("name", "theirs")
		theirs.Set("once", form.Get("once"))
		s.Secret(other.post("/settings/keys", theirs).want(http.StatusOK).value("secret"))
		form.Del("once")
		v.post("/settings/keys", form).want(http.StatusBadRequest)
		b.Clock.Advance(24 * time.Hour)
		v.get(key).want(http.StatusSeeOther)
	})
}

// A form whose outcome is unknown is not called done: the page says how to find out, and how to go on.
func TestFormOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	p, b := storetest.NewLateProxy(t, redis), redis.Backend(t)
	other, late := servertest.New(t, b), servertest.New(t, b.Through(p))
	v, _ := chief(t, other)
	for path, tt := range map[string]struct{ at, name, list string }{
		"/settings/keys":    {"/settings/keys/new", "name", "/settings"},
		"/operator/clients": {"/operator/register-client", "client_id", "/operator/clients"},
	} {
		form := v.get(tt.at).form(path)
		form.Set(tt.name, "one")
		held := p.HoldAnswer(storetest.Command("set", "mk:o:")) // Redis has the form, and its answer is lost
		for arrived := false; !arrived; {                       // on a busy machine an earlier answer may be late
			if got := v.at(late).post(path, form).Status; got != http.StatusServiceUnavailable && got != http.StatusConflict {
				t.Fatalf("%s: got %d, want 503", path, got)
			}
			select {
			case <-held.Arrived():
				arrived = true
			default:
			}
		}
		again := v.post(path, form).want(http.StatusConflict).says("This form was submitted before.", "its outcome is unknown", "reload it and submit it again")
		if again.link("View the list") != tt.list || strings.Contains(again.Body, "Already created") || strings.Contains(again.Body, "Nothing was created") {
			t.Errorf("%s: the page says %s", path, again.visible())
		}
		held.Release()
		form = v.get(tt.at).form(path)
		form.Set(tt.name, "one")
		other.Secret(v.post(path, form).want(http.StatusOK).value("secret"))
	}
}

// TestRevoke is the way of a key that is in use: its name has to be typed.
func TestRevoke(t *testing.T) {
	t.Parallel()
	b := storetest.Redis(t).Backend(t)
	s, replica := servertest.New(t, b), servertest.New(t, b)
	v, _ := newcomer(t, s, "ada@example.com")
	plain, key := v.makeKey("in use")
	s.Me(t, plain).Want(t, http.StatusOK, "")
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"", "In Use", "another"} {
		v.submit(v.get(key+"/revoke"), key+"/revoke", "confirm", typed).want(http.StatusBadRequest).says("Type the name exactly as it is shown.")
	}
	replica.Me(t, plain).Want(t, http.StatusOK, "")
	v.submit(v.get(key+"/revoke"), key+"/revoke", "confirm", "in use", "reason", strings.Repeat("x", 201)).want(http.StatusBadRequest)
	form := v.get(key + "/revoke").form(key + "/revoke")
	form.Set("confirm", " in use ")
	for _, to := range []string{"/settings?done=revoked", key + "?done=inactive"} { // and once more, which changes nothing
		v.post(key+"/revoke", form).wantTo(to)
		replica.Me(t, plain).Want(t, http.StatusUnauthorized, "invalid_token")
	}
	v.get(key).says("Revoked: revoked by its owner by you")
	v.get("/settings?done=revoked").says("The key is revoked.")
	v.get("/settings?done=%3Cb%3Eno").want(http.StatusOK)
	for _, act := range []string{"edit", "rotate"} {
		form.Set("name", "again")
		form.Set("scope", "read")
		form.Set("overlap", "0s")
		form.Set("once", "x")
		if got := v.post(key+"/"+act, form); got.Status != http.StatusConflict {
			t.Errorf("%s of a key that has ended: %d", act, got.Status)
		}
	}
}
