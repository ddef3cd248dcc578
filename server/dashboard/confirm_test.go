package dashboard_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/net/html"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// field is the input with this id.
func (p page) field(id string) *html.Node {
	p.t.Helper()
	for _, n := range p.all("input", "select", "textarea") {
		if attribute(n, "id") == id {
			return n
		}
	}
	p.t.Fatalf("the page has no field %q: %.2000s", id, p.visible())
	return nil
}

// wrongAt fails the test unless the page says at the field what is wrong with it.
func (p page) wrongAt(id, says string) page {
	p.t.Helper()
	field := p.field(id)
	if attribute(field, "aria-invalid") != "true" {
		p.t.Errorf("the field %s is not marked as invalid: %.2000s", id, p.visible())
	}
	for _, n := range p.all("p") {
		if attribute(n, "id") == id+"-problem" {
			if text(n) != says {
				p.t.Errorf("the field %s: the page says %q, want %q", id, text(n), says)
			}
			return p
		}
	}
	p.t.Errorf("the page says nothing at the field %s: %.2000s", id, p.visible())
	return p
}

// A dangerous change is asked about on a page of its own, which names the thing and says what stops.
func TestConfirmations(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, ada := chief(t, s)
	bob := s.User(t, servertest.M{"email": "bob@example.com"})
	eve := s.User(t, servertest.M{"email": "eve@example.com", "role": "operator"})
	own := s.Key(t, ada, servertest.M{"name": "nightly"})
	key := s.Key(t, bob, servertest.M{"name": "deploy"})
	fresh := s.Key(t, bob, servertest.M{"name": "fresh"})
	for _, k := range []servertest.Key{own, key} {
		s.Me(t, k.Plain).Want(t, http.StatusOK, "")
	}
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	theirs := "/operator/users/" + bob.ID
	for path, want := range map[string]struct {
		cancel string
		says   []string
		typed  string // what must be typed
	}{
		"/settings/keys/" + own.ID + "/revoke":   {"/settings/keys/" + own.ID, []string{"Revoke the API key “nightly”?", "from 127.0.0.1", "Programs that use it stop working."}, "nightly"},
		"/operator/keys/" + key.ID + "/revoke":   {"/operator/keys/" + key.ID, []string{"Revoke the API key “deploy”?", "from 127.0.0.1", "bob@example.com"}, "deploy"},
		"/operator/keys/" + fresh.ID + "/revoke": {"/operator/keys/" + fresh.ID, []string{"Revoke the API key “fresh”?", "It was never used."}, ""},
		theirs + "/disable":                      {theirs, []string{"Disable bob@example.com?", "The API key “deploy” was used", "2 active API keys are rejected"}, ""},
		theirs + "/promote":                      {theirs, []string{"Make bob@example.com an operator?", "full access"}, ""},
		theirs + "/delete":                       {theirs, []string{"Delete bob@example.com?", "2 active API keys are revoked", "cannot be undone"}, "bob@example.com"},
		"/operator/users/" + eve.ID + "/demote":  {"/operator/users/" + eve.ID, []string{"Make eve@example.com a developer?", "mintkeep:admin"}, ""},
		"/settings/sessions/revoke-all":          {"/settings/profile", []string{"Sign out everywhere?", "This browser is signed out."}, ""},
	} {
		before := stored(t, b)
		p := v.get(path).want(http.StatusOK).says(want.says...)
		cancels := false
		for _, a := range p.all("a") {
			cancels = cancels || text(a) == "Cancel" && attribute(a, "href") == want.cancel && has(a, "autofocus")
		}
		if !cancels {
			t.Errorf("%s: there is no Cancel that leads to %s and has the focus", path, want.cancel)
		}
		form := p.form(path)
		if form.Has("confirm") != (want.typed != "") {
			t.Errorf("%s: something must be typed: %v, want %v", path, form.Has("confirm"), want.typed != "")
		}
		if want.typed != "" {
			again := v.submit(p, path, "confirm", "another").want(http.StatusBadRequest)
			kind := "name"
			if want.typed == bob.Email {
				kind = "email"
			}
			if again.wrongAt("confirm", "Type the "+kind+" exactly as it is shown."); again.value("confirm") != "another" {
				t.Errorf("%s: what was typed is lost", path)
			}
		}
		if after := stored(t, b); after != before {
			t.Errorf("%s has changed something:\n%s\n%s", path, before, after)
		}
	}

	// A key that was used longer ago than a day is revoked without typing its name.
	b.Clock.Advance(24 * time.Hour)
	v.signIn(ada.Email, secret).wantTo("/settings")
	path := "/settings/keys/" + own.ID + "/revoke"
	if p := v.get(path).says("It was last used 1 day ago from 127.0.0.1."); p.form(path).Has("confirm") {
		t.Error("the name must be typed")
	}
	long := v.submit(v.get(path), path, "reason", "two\nlines").want(http.StatusBadRequest)
	long.wrongAt("reason", "Reason must be printable text of at most 200 characters.")
	v.submit(long, path, "reason", "old").wantTo("/settings?done=revoked")
}

// Cancel has the focus: Enter leaves everything as it is.
func TestConfirmationFocus(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	u := s.User(t, servertest.M{"email": "ada@example.com"})
	visit(t, s).redeem(s.Invite(t, u), secret)
	key := s.Key(t, u, servertest.M{"name": "nightly"})
	b := openTab(t, s, desk)
	b.open("/login")
	b.fill("#email", u.Email)
	b.fill("#password", secret)
	b.press("main button")
	b.open("/settings/keys/" + key.ID)
	b.press("main a.dangerous")
	b.settle()
	if got := asked[string](b, "document.activeElement.textContent"); got != "Cancel" {
		t.Errorf("the focus is on %q", got)
	}
	if _, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	if got := asked[string](b, "location.pathname"); got != "/settings/keys/"+key.ID {
		t.Errorf("Enter leads to %s", got)
	}
	s.Me(t, key.Plain).Want(t, http.StatusOK, "")
}
