package dashboard_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/servertest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// confirm presses the button of the page that asks before a form is carried out.
func (v *userAgent) confirm(asked page, action string) page {
	v.t.Helper()
	return v.submit(asked.want(http.StatusOK), action, "confirmed", "yes")
}

// What takes something away from a client revokes its tokens: the page says what, keeps the form, and asks.
func TestSaveThatRevokesTokensAsks(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, _ := chief(t, s)
	c := s.Register(t, servertest.M{
		"client_id": "billing", "client_name": "Billing", "scope": "read write export", "audience": []string{"https://a.example", "https://b.example"},
	})
	token := s.Token(t, c)
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Clock.Advance(4 * time.Second)
	at := "/operator/clients/billing"
	before := stored(t, b)
	asked := v.submit(v.get(at), at, "client_name", "Accounts", "scope", "read", "audience", "https://a.example", "grant", "-").want(http.StatusOK).
		says("Save these settings of the client “Billing”?", "The client requested its last token 4 s ago.", "The scopes write and export are removed.",
			"The grant client_credentials is removed.", "The audience https://b.example is removed.",
			"All tokens of the client are revoked at once", "The client cannot request new ones.")
	if after := stored(t, b); after != before {
		t.Errorf("the question has changed something:\n%s\n%s", before, after)
	}
	// Cancel leads back to the form, with its values.
	back := v.submit(asked, at, "back", "yes").want(http.StatusOK).says("Nothing is saved yet.").form(at)
	if back.Get("client_name") != "Accounts" || back.Get("scope") != "read" || back.Has("grant") || back.Has("back") {
		t.Errorf("the form has %v", back)
	}
	if after := stored(t, b); after != before {
		t.Errorf("Cancel has changed something:\n%s\n%s", before, after)
	}
	v.confirm(asked, at).wantTo(at + "?done=client-saved")
	got := s.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t)
	if fmt.Sprintf("%v %v %v %v", got["client_name"], got["scope"], got["grant_types"], got["audience"]) != "Accounts read [] [https://a.example]" {
		t.Errorf("saved is %v", got)
	}
	resource := s.Register(t, servertest.M{"client_id": "api", "scope": "mintkeep:introspect"})
	if answer := s.Introspect(t, resource, token); answer["active"] != false {
		t.Errorf("the token is still valid: %v", answer)
	}

	// What takes nothing away is saved at once.
	v.submit(v.get(at), at, "scope", "read more", "grant", "client_credentials", "rate_limit", "5/s").wantTo(at + "?done=client-saved")
	// A method that not all requests use is asked about; tokens stay valid.
	v.submit(v.get(at), at, "token_endpoint_auth_method", "client_secret_post").want(http.StatusOK).
		says("becomes client_secret_post", "Requests that use another one are rejected")

	// A client that was changed since is not saved, whatever was confirmed.
	asked = v.submit(v.get(at), at, "scope", "read").want(http.StatusOK).says("The scope more is removed.")
	s.Admin(t, http.MethodPatch, "/admin/clients/billing", servertest.M{"client_name": "Ledger"})
	v.confirm(asked, at).want(http.StatusConflict).says("nothing was saved")
	if got := s.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t); got["scope"] != "read more" {
		t.Errorf("the scope is %v", got["scope"])
	}
}

// A rotation without an overlap stops the current secret or key at once: the page says when it was used, and asks.
func TestRotationWithoutOverlapAsks(t *testing.T) {
	t.Parallel()
	b := storetest.Embedded(t)
	s := servertest.New(t, b)
	v, u := chief(t, s)
	c := s.Register(t, servertest.M{"client_id": "billing", "client_name": "Billing", "scope": "read"})
	key := s.Key(t, u, servertest.M{"name": "deploy"})
	s.Token(t, c)
	s.Me(t, key.Plain).Want(t, http.StatusOK, "")
	if err := s.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Clock.Advance(4 * time.Second)
	client, page := "/operator/clients/billing", "/settings/keys/"+key.ID
	for _, tt := range []struct {
		at, action string
		says       []string
	}{
		{client, client + "/secrets", []string{"of the client “Billing” at once?", "The current secret was used 4 s ago.", "cannot authenticate until it has the new one"}},
		{page, page + "/rotate", []string{"Replace the API key “deploy” at once?", "Used 4 s ago from 127.0.0.1.", "fail until they have the new one"}},
	} {
		before := stored(t, b)
		asked := v.submit(v.get(tt.at), tt.action, "overlap", "0s").want(http.StatusOK).says(tt.says...)
		if !asked.cancelsTo(tt.at) {
			t.Errorf("%s: there is no Cancel that leads back and has the focus", tt.action)
		}
		if after := stored(t, b); after != before {
			t.Errorf("%s has changed something:\n%s\n%s", tt.action, before, after)
		}
		s.Secret(v.confirm(asked, tt.action).says("Save it now.", "is revoked").value("secret"))
		v.confirm(asked, tt.action).want(http.StatusConflict).says("Already created") // a second click
	}
	s.Post(t, "/oauth/token", "grant_type=client_credentials", c.Basic()).Want(t, http.StatusUnauthorized, "invalid_client")
	s.Me(t, key.Plain).Want(t, http.StatusUnauthorized, "invalid_token")
}

// In a browser the first click on Save changes nothing: Cancel has the focus, and goes back to the form.
func TestSaveAsksInABrowser(t *testing.T) {
	needChromium(t)
	t.Parallel()
	s := servertest.New(t, storetest.Embedded(t), plainHTTP)
	u := s.User(t, servertest.M{"email": "op@example.com", "role": "operator"})
	visit(t, s).redeem(s.Invite(t, u), secret)
	s.Register(t, servertest.M{"client_id": "billing", "scope": "read write"})
	scope := func() any { return s.Admin(t, http.MethodGet, "/admin/clients/billing", nil).JSON(t)["scope"] }
	b := openTab(t, s, desk)
	b.open("/login")
	b.fill("#email", u.Email)
	b.fill("#password", secret)
	b.press("main button")
	b.open("/operator/clients/billing")
	b.fill("#scope", "read")
	b.press("form[action$=billing] button")
	b.says("The scope write is removed.")
	b.settle()
	if got := asked[string](b, "document.activeElement.textContent"); got != "Cancel" {
		t.Errorf("the focus is on %q", got)
	}
	b.press("button[name=back]")
	b.says("Nothing is saved yet.")
	if got := b.value("#scope"); got != "read" || scope() != "read write" {
		t.Errorf("the form has the scope %q, the client %v", got, scope())
	}
	b.press("form[action$=billing] button")
	b.press("button[name=confirmed]")
	b.says("The client is saved.")
	if scope() != "read" {
		t.Errorf("the client has the scope %v", scope())
	}
}
